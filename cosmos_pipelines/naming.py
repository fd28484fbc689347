"""Smart names: a prompt's text becomes at most three words by which people remember it. Pure.

Rules only, no model: filler words are left out, a hyphenated compound and what it describes are
taken first, else the first words that say something.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import Final

MAX_WORDS: Final = 3
MAX_LENGTH: Final = 40

_FILLER_WORDS: Final = """
    a an the this that these those some any each every all both such other another its his her
    their our your my it he she they we you i one ones own same
    of in on at by to from with without within into onto over under above below between among
    through across along around about against toward towards during before after behind beyond
    beside besides near next off out up down upon via per as like than then while where when which
    who whose what how so too very much many more most less few several lot lots bit just only also
    even still yet quite rather almost nearly fully slightly gently slowly softly subtly
    and or but nor if no not
    is are was were be been being am has have had having do does did can could will would shall
    should may might must there here
    beautiful gorgeous stunning breathtaking amazing awesome incredible lovely nice pretty great
    good best better perfect epic majestic wonderful magnificent masterpiece
    photorealistic photoreal realistic hyperrealistic ultrarealistic realism lifelike cinematic
    photographic photo detailed detail details intricate high highly quality resolution ultra hyper
    definition hd uhd fhd hdr 4k 8k 2k 1080p 720p sharp crisp clear style styled aesthetic rendered
    video videos clip footage film movie scene scenes shot shots image images picture view frame
    frames camera render rendering sequence animation cgi
    show shows showing shown depict depicts depicting depicted feature features featuring featured
    display displays displaying capture captures capturing captured set seen see look looks looking
    bathed filled covered surrounded illuminated make makes made create creates add adds give gives
    please gradual full various different
"""
_FILLER: Final = frozenset(_FILLER_WORDS.split())

_LETTERS: Final = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
"""Latin letters that do not decompose into an ASCII letter and a mark."""


def smart_name(text: str, taken: Callable[[str], bool] = lambda _: False) -> str:
    """A short snake_case name for `text`, ASCII, 40 characters at most, that is not `taken`.

    Text without a word in Latin letters or digits is called `prompt_` and six hex digits of its
    hash. Where the name is taken, `_2`, `_3`, ... is added.

    >>> smart_name("A beautiful sunset over ocean waves")
    'sunset_ocean_waves'
    >>> smart_name("Foggy street, low-lying mist with gradual falloff")
    'low_lying_mist'
    """
    words: list[str] = []
    for token in _chosen(_tokens(text)):
        words += [word for word in token.split("-") if word not in words]
    name = _joined(words[:MAX_WORDS]) or f"prompt_{_digest(text)}"
    return _free(name, taken)


def _tokens(text: str) -> list[str]:
    """Lower-case ASCII words without fillers; a compound of two stays one, with its hyphen."""
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    plain = re.sub(r"['’`]s\b|['’`]", "", plain)
    tokens: list[str] = []
    for written in re.findall(r"\w+(?:[-\u2010\u2011]\w+)*", plain):
        parts = [p for p in re.split(r"[-_\u2010\u2011]+", written) if _says_something(p)]
        whole = len(parts) == 2 and len(re.split(r"[-\u2010\u2011]", written)) == 2
        tokens += ["-".join(parts)] if whole else parts
    return list(dict.fromkeys(tokens))


def _says_something(word: str) -> bool:
    return re.fullmatch(r"[a-z0-9]*[a-z][a-z0-9]+", word) is not None and word not in _FILLER


def _chosen(tokens: list[str]) -> list[str]:
    """`tokens`, beginning with the first compound if there is one."""
    start = next((i for i, token in enumerate(tokens) if "-" in token), 0)
    return tokens[start:] + tokens[:start]


def _joined(words: list[str]) -> str:
    """As many `words` as fit into the length; a single longer one is cut."""
    while len(words) > 1 and len("_".join(words)) > MAX_LENGTH:
        words = words[:-1]
    return "_".join(words)[:MAX_LENGTH]


def _free(name: str, taken: Callable[[str], bool]) -> str:
    """The name with a number that is free, the first if there are no gaps; asks for few names."""
    last, free = 0, 1
    while taken(_numbered(name, free)):
        last, free = free, 2 * free
    while free - last > 1:
        middle = (last + free) // 2
        last, free = (middle, free) if taken(_numbered(name, middle)) else (last, middle)
    return _numbered(name, free)


def _numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    suffix = f"_{number}"
    return name[: MAX_LENGTH - len(suffix)].rstrip("_") + suffix


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()[:6]
