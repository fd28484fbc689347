"""The difference of two texts, in words. Pure."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Final, Literal, NamedTuple

Kind = Literal["same", "deleted", "inserted"]
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")


class Part(NamedTuple):
    """A piece of both texts, of the first alone or of the second alone."""

    kind: Kind
    text: str


def word_difference(before: str, after: str) -> list[Part]:
    """Return the parts of both texts in their order.

    All but the inserted are `before`, all but the deleted `after`, to the last blank.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    parts: list[Part] = []
    # the matcher's own rule for frequent words keeps it fast where one word fills the text
    for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            parts.append(Part("same", "".join(old[a:b])))
            continue
        if a < b:
            parts.append(Part("deleted", "".join(old[a:b])))
        if c < d:
            parts.append(Part("inserted", "".join(new[c:d])))
    return parts
