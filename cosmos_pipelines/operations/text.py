"""Clean a user's text: the only place that does so. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.invisible import without_invisible

LONGEST: Final = 10_000
"""Most characters of a prompt or a negative prompt."""
LONGEST_NAME: Final = 200
"""Most characters of the name of a prompt or a recipe."""
_TOO_LONG: Final = 100_000
"""Most characters of a text that is cleaned at all."""

_NEWLINES: Final = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def tidy(text: str) -> str:
    """Return `text` as it is kept: the same visible words are always the same text.

    `\\n` is the only line end; control characters, invisible characters (see `invisible`) and outer
    blanks are removed. Tabs stay. Letters and their marks are composed (NFC). Halves of a surrogate
    pair are joined; lone halves, which UTF-8 cannot write, are removed.
    """
    while (cleaned := _once(text)) != text:
        text = cleaned
    return text


def _once(text: str) -> str:
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return visible(_CONTROLS.sub("", _NEWLINES.sub("\n", text))).strip()


def visible(text: str) -> str:
    """Return `text` without invisible characters, composed; blanks and line ends stay."""
    return unicodedata.normalize("NFC", without_invisible(text))


def clean_text(text: str, what: str = "prompt") -> str:
    """Return `text` as `tidy` leaves it.

    Raises:
        InputError: no visible character is left, or more than 10,000 characters.
    """
    text = text if len(text) > _TOO_LONG else tidy(text)
    if all(c.isspace() or unicodedata.category(c) == "Cf" for c in text[:_TOO_LONG]):
        raise InputError(f"The {what} is empty.")
    if len(text) > LONGEST:
        raise InputError(
            f"The {what} has {len(text):,} characters; {LONGEST:,} are allowed.",
            hint=f"Shorten the {what}.",
        )
    return text


def clean_name(text: str, what: str = "name") -> str:
    """Return a name as it is kept: one line, with single blanks.

    Raises:
        InputError: no visible character is left, or more than 200 characters.
    """
    name = " ".join(clean_text(text, what).split())
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"The {what} has {len(name):,} characters; {LONGEST_NAME} are allowed.",
            hint=f"Shorten the {what}.",
        )
    return name
