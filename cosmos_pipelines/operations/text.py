"""Clean a user's text: the only place that does so. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from cosmos_pipelines.errors import InputError

LONGEST: Final = 10_000
"""Most characters of a prompt or a negative prompt."""

_NEWLINES: Final = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean_text(text: str, what: str = "prompt") -> str:
    """Return `text` with `\\n` as the only line end, without control characters and outer blanks.

    Tabs stay. Halves of a surrogate pair are joined; lone halves, which UTF-8 cannot write, are
    removed.

    Raises:
        InputError: no visible character is left, or more than 10,000 characters.
    """
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    text = _CONTROLS.sub("", _NEWLINES.sub("\n", text)).strip()
    if all(c.isspace() or unicodedata.category(c) == "Cf" for c in text):
        raise InputError(f"The {what} is empty.")
    if len(text) > LONGEST:
        raise InputError(
            f"The {what} has {len(text):,} characters; {LONGEST:,} are allowed.",
            hint=f"Shorten the {what}.",
        )
    return text
