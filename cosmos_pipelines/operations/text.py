"""What a text may be: the one place where a user's words are cleaned. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.invisible import without_invisible

LONGEST: Final = 10_000
"""Characters of a prompt or a negative prompt."""
LONGEST_NAME: Final = 200
"""Characters of the name of a prompt or a recipe."""
_TOO_LONG: Final = 100_000
"""Characters above which a text is not even cleaned."""

_NEWLINES: Final = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def tidy(text: str) -> str:
    """`text` as it is kept: the same visible words are always the same text.

    `\\n` is its only line end, control characters and what nobody sees (see `invisible`) are gone,
    as are outer blanks; tabs stay. Letters and their marks are composed (NFC). Halves of a
    surrogate pair are joined, lone ones (which UTF-8 cannot write) go.
    """
    while (cleaned := _once(text)) != text:
        text = cleaned
    return text


def _once(text: str) -> str:
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return visible(_CONTROLS.sub("", _NEWLINES.sub("\n", text))).strip()


def visible(text: str) -> str:
    """`text` without what nobody sees, composed; blanks and line ends as they are."""
    return unicodedata.normalize("NFC", without_invisible(text))


def clean_text(text: str, what: str = "prompt") -> str:
    """`text` as `tidy` leaves it.

    Raises:
        InputError: nothing that can be seen is left, or more than 10,000 characters are.
    """
    text = text if len(text) > _TOO_LONG else tidy(text)
    if all(c.isspace() or unicodedata.category(c) == "Cf" for c in text[:_TOO_LONG]):
        raise InputError(f"The {what} is empty.")
    if len(text) > LONGEST:
        raise InputError(
            f"The {what} has {len(text):,} characters; {LONGEST:,} are allowed.",
            hint="Shorten it.",
        )
    return text


def clean_name(text: str, what: str = "name") -> str:
    """A name as it is kept: one line, with single blanks.

    Raises:
        InputError: nothing that can be seen is left, or more than 200 characters are.
    """
    name = " ".join(clean_text(text, what).split())
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"The {what} has {len(name):,} characters; {LONGEST_NAME} are allowed.",
            hint="Shorten it.",
        )
    return name
