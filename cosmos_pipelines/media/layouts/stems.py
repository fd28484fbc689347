"""A file's place and name, cut into the pass that they speak of and the rest, its stem. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.media.layouts.tools import LONGEST, MATERIAL_AFTER, PHRASES, Phrase
from cosmos_pipelines.media.pass_names import is_pass_word, parts_of, recognise

_CHUNK: Final = re.compile(r"([\W_]*)([^\W_]+)")


@dataclass(frozen=True)
class Words:
    """What a name says. `rest`: without the words of passes. `said`: those, `shaded_seg`."""

    name: str | None
    clear: bool
    rest: str
    said: str
    meaning: str = ""
    shaded: bool = False


@dataclass(frozen=True)
class Cut:
    """Which pass a file is, and of which scene.

    `root`: directories above those that speak of a pass. `stem`: what files of one scene share
    below that: `demo_0_cam`. `said`: all by which a user may call it. `clash`: why it is refused.
    """

    name: str | None
    rank: int
    root: tuple[str, ...]
    stem: str
    said: frozenset[str]
    why: str
    meaning: str = ""
    shaded: bool = False
    clash: str = ""


CLEAR, WEAK, UNNAMED = 0, 1, 2
"""Ranks: a lower one wins."""


def words_of(text: str) -> Words:
    """Read a name.

    >>> words_of("demo_0_cam_shaded_segmentation").rest, words_of("distance_to_camera").meaning
    ('demo_0_cam', 'radial')
    """
    tokens = _tokens(text)
    found: Phrase | None = None
    rest, said, i = "", [], 0
    while i < len(tokens):
        count, phrase = _phrase_at(tokens, i)
        if phrase and _is_material(tokens, i, count):
            phrase = Phrase(recognise(" ".join(word for _, word in tokens[i + count :]))[0] or "")
        found = phrase or found
        if not count and is_pass_word(tokens[i][1].lower()):
            count = 1
        if count:
            said += [word.lower() for _, word in tokens[i : i + count]]
        else:
            rest += (tokens[i][0] if rest else "") + tokens[i][1]
        i += count or 1
    if found is not None:
        name, clear = found.name, True
        return Words(name, clear, rest, "_".join(said), found.meaning, found.shaded)
    known, clear = recognise(text)
    return Words(known, clear, rest, "_".join(said))


def cut(folders: Sequence[str], words: str, layer: str | None = None) -> Cut:
    """Cut the directories, the name without its number and, of a layer, its name.

    The name decides where it is clear, then the nearest directory that is clear, then the same
    again where they are not.
    """
    file = words_of(words)
    own = words_of(layer) if layer is not None else file
    if own.name is None and layer is not None:
        own = file
    read = [words_of(folder) for folder in folders]
    at, clear = _deciding(read)
    if own.name is not None and (own.clear or at is None or not clear):
        by, why = own, f"its {'layer' if layer and own is not file else 'name'} says {own.said}"
    elif at is not None:
        by, why = read[at], f"its directory says {read[at].said}"
    else:
        by, why = own, ""
    place = _place(read, by)
    root = tuple(folders if place is None else folders[:place])
    below = [] if place is None else [read[place].rest, *folders[place + 1 :]]
    meaning = by.meaning or next((w.meaning for w in read if w.name == by.name), "")
    if by.name in ("depth", "segmentation") and any(
        "carla" in f.lower() for f in (*folders, words)
    ):
        meaning = meaning or "carla"
    return Cut(
        name=by.name,
        rank=UNNAMED if by.name is None else CLEAR if by.clear else WEAK,
        root=root,
        stem="/".join(filter(None, (*below, file.rest))),
        said=_all_said(folders, read, file, own, layer),
        why=why,
        meaning=meaning,
        shaded=by.shaded,
        clash=_clash(read, own),
    )


def same(text: str) -> str:
    """A name as it is compared with others."""
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def _deciding(read: Sequence[Words]) -> tuple[int | None, bool]:
    """The nearest directory that speaks of a pass, and whether clearly."""
    for clear in (True, False):
        for i in range(len(read) - 1, -1, -1):
            if read[i].name is not None and read[i].clear is clear:
                return i, clear
    return None, False


def _place(read: Sequence[Words], by: Words) -> int | None:
    """The nearest directory of the pass: of a file with a clear name only one as clear."""
    for i in range(len(read) - 1, -1, -1):
        if by.name is not None and read[i].name == by.name and (read[i].clear or not by.clear):
            return i
    return None


def _clash(read: Sequence[Words], own: Words) -> str:
    if not (read and own.name and own.clear):
        return ""
    parent = read[-1]
    other = parent.name and parent.clear and not parent.rest and parent.name != own.name
    return f"lies in a directory for {parent.name} but is named as {own.name}" if other else ""


def _all_said(
    folders: Sequence[str], read: Sequence[Words], file: Words, own: Words, layer: str | None
) -> frozenset[str]:
    paths = ("/".join(folders[i:]) for i in range(len(folders)))
    said = [*folders, *paths, *(w.said for w in read), own.said, layer or ""]
    said += [file.said] if layer is None else []
    return frozenset(filter(None, map(same, said)))


def _phrase_at(tokens: Sequence[tuple[str, str]], i: int) -> tuple[int, Phrase | None]:
    for count in range(min(LONGEST, len(tokens) - i), 1, -1):
        if phrase := PHRASES.get(tuple(word.lower() for _, word in tokens[i : i + count])):
            return count, phrase
    return 0, None


def _is_material(tokens: Sequence[tuple[str, str]], i: int, count: int) -> bool:
    """Whether the name of a material stands right behind the words that say `FinalImage`."""
    words = tuple(word.lower() for _, word in tokens[i : i + count])
    return words == MATERIAL_AFTER and not all(sep for sep, _ in tokens[i + count :][:1])


def _tokens(text: str) -> list[tuple[str, str]]:
    """Words with the separator before each; `cam1` is one, `FinalImage` are two."""
    tokens = []
    for separator, chunk in _CHUNK.findall(text):
        first = separator[:1]
        for run in re.findall(r"[A-Za-z]+|[^A-Za-z]+", chunk):
            for part in parts_of(run) if run.isascii() and run.isalpha() else [run]:
                tokens.append((first, part))
                first = ""
    return tokens
