"""Characters that nobody sees: which of them change what is seen beside them, and stay. Pure.

A text that was pasted from a page or another program has some. They would make another prompt of
the same visible words, and a model reads them. Which there are is Unicode's property
Default_Ignorable_Code_Point; where they count is what UAX #31 (2.3) and UTS #51 say:

- ZERO WIDTH JOINER and NON-JOINER between letters that join (Arabic, Mongolian, ...) or beside a
  virama (Indic scripts); the joiner between two emoji as well.
- Variation selectors after what has variants: symbols, digits, ideographs.
- Tags in the flag of a country's part, the grapheme joiner between marks, Hangul fillers beside
  jamo.

The ZERO WIDTH SPACE only allows a line to break, and the marks of direction only order what is
shown: both go, as does U+FEFF, which is a byte order mark out of place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""The property's code points, with interlinear annotation, U+FFFE and U+FFFF."""

_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
_JOINING: Final = re.compile(
    "(ADLAM|ARABIC|CHORASMIAN|HANIFI|MANDAIC|MANICHAEAN|MONGOLIAN|NKO|PHAGS-PA|PSALTER|SOGDIAN"
    "|SYRIAC) "
)
"""Scripts whose letters join, by the first word of their characters' names."""
_VARIED: Final = "\u203c\u2049\u2139\u3001\u3002\u3030\uff01\uff0c\uff0e\uff1a\uff1b\uff1f"
"""What has variants besides symbols and ideographs."""
_MODIFIERS: Final = re.compile("[\ufe0f\U0001f3fb-\U0001f3ff]")
_JAMO: Final = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")


def without_invisible(text: str) -> str:
    """`text` without the characters that change nothing of what is seen."""
    if text.isascii() or not _IGNORABLE.search(text):
        return text
    flags = {i for found in _FLAG.finditer(text) for i in range(*found.span())}
    kept: list[str] = []
    for i, c in enumerate(text):
        if not _IGNORABLE.match(c) or i in flags or _counts(kept, c, text, i + 1):
            kept.append(c)
    return "".join(kept)


def _counts(kept: list[str], c: str, text: str, after: int) -> bool:
    """Whether `c` changes what is seen, between what was kept and the text from `after` on."""
    look = next((rule for span, rule in _RULES if span.match(c)), None)
    before = "".join(kept[-8:])  # as far as one has to look back
    if look is None or _JOINERS.match(before[-1:]):
        return False
    return look(before, _IGNORABLE.sub("", text[after : after + 16])[:8])


def _joiner(before: str, after: str) -> bool:
    return (
        _joins(_base(before[::-1]))
        or _joins(_base(after))
        or _by_virama(before, after)
        or (_emoji(_MODIFIERS.sub("", before)[-1:]) and _emoji(after[:1]))
    )


def _non_joiner(before: str, after: str) -> bool:
    between = _joins(_base(before[::-1])) and _joins(_base(after))
    return between or _by_virama(before, after)


def _variant(before: str, after: str) -> bool:
    last = before[-1:]
    if last.isascii():
        return last != "" and last in "0123456789#*" and after[:1] == "\u20e3"  # a keycap
    return last in _VARIED or unicodedata.category(last) in ("So", "Sm", "Lo")


def _mongolian_variant(before: str, _: str) -> bool:
    last = before[-1:]
    return "\u1800" <= last <= "\u18af" and unicodedata.category(last)[0] == "L"


def _mongolian_vowel(before: str, after: str) -> bool:
    last = before[-1:]
    return last != "\u180e" and all("\u1800" <= x <= "\u18af" for x in (last, after[:1]))


def _between_marks(before: str, after: str) -> bool:
    return all(x and unicodedata.combining(x) for x in (before[-1:], after[:1]))


def _beside_jamo(before: str, after: str) -> bool:
    return bool(_JAMO.match(before[-1:]) or _JAMO.match(after[:1]))


def _by_virama(before: str, after: str) -> bool:
    """Whether a virama (canonical combining class 9) is beside."""
    return any(x and unicodedata.combining(x) == 9 for x in (before[-1:], after[:1]))


def _base(text: str) -> str:
    """The first character that is no mark on another."""
    return next((c for c in text if unicodedata.category(c) != "Mn"), "")


def _joins(c: str) -> bool:
    return (
        c != ""
        and unicodedata.category(c)[0] == "L"
        and bool(_JOINING.match(unicodedata.name(c, "")))
    )


def _emoji(c: str) -> bool:
    return c >= "\u203c" and unicodedata.category(c) in ("So", "Sm")


_JOINERS: Final = re.compile("[\u200c\u200d\u115f\u1160]")
"""Of which one after another changes nothing more."""
_Rule = Callable[[str, str], bool]
_RULES: Final[tuple[tuple[re.Pattern[str], _Rule], ...]] = (
    (re.compile("\u200d"), _joiner),
    (re.compile("\u200c"), _non_joiner),
    (re.compile("\u034f"), _between_marks),
    (re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]"), _variant),
    (re.compile("\u180e"), _mongolian_vowel),
    (re.compile("[\u180b-\u180f]"), _mongolian_variant),
    (re.compile("[\u115f\u1160]"), _beside_jamo),
)
