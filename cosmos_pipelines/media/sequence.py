"""Find the passes of a scene in a directory, by the names that renderers give to files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final, Literal

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.scene_file import products, read_scene_file

PASSES: Final = ("color", "depth", "segmentation", "edge", "vis")
VIDEOS: Final = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm"})
_PICTURES: Final = frozenset({".exr", ".jpg", ".jpeg", ".tif", ".tiff", ".hdr", ".dpx"})

_CLEAR: Final[Mapping[str, str]] = {
    word: name
    for name, words in {
        "color": "color colour beauty",
        "depth": "depth zdepth zbuffer depthmap distance",
        "segmentation": "segmentation seg segment segments segm semantic semantics semseg instance"
        " instances objectid indexob matid materialid idmask idmap",
        "edge": "edge edges canny lineart",
        "vis": "vis blur",
        "": "normal normals albedo diffuse diff diffcol specular spec gloss glossy ao occlusion"
        " motion motionvector vector vectors flow uv shadow shadows emission emit position crypto"
        " cryptomatte denoising",
    }.items()
    for word in words.split()
}
"""Words that say which pass a file is; '' for passes that are not used."""

_WEAK: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ["rgb", "rgba", "image", "img", "render", "rendered", "combined", "final"], "color"
    ),
    **dict.fromkeys(["z", "dist"], "depth"),
    **dict.fromkeys(["id", "ids", "mask", "masks", "label", "labels"], "segmentation"),
}
"""Words that count only where no clear one does."""


@dataclass(frozen=True)
class Pass:
    """One pass as found: a video, or a PNG sequence in the order of its numbers."""

    name: str
    kind: Literal["png", "video"]
    label: str
    """For people: `depth/z.####.png`, relative to the directory that was searched."""
    files: tuple[Path, ...]
    numbers: tuple[int, ...] = ()

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Missing numbers as (first, last) stretches."""
        return tuple((a + 1, b - 1) for a, b in pairwise(self.numbers) if b > a + 1)

    @property
    def gaps_text(self) -> str:
        """`13-14, 20`: the missing numbers for people; empty if there are none."""
        said = [str(a) if a == b else f"{a}-{b}" for a, b in self.gaps]
        return ", ".join(said[:8]) + (f" and {len(said) - 8} more" if len(said) > 8 else "")


@dataclass(frozen=True)
class Survey:
    """What a directory holds: the passes, and the pictures and videos that are none."""

    passes: dict[str, Pass]
    ignored: tuple[str, ...]


def find_passes(directory: Path) -> dict[str, Pass]:
    """The passes in `directory`, by name (color, depth, segmentation, edge, vis) in that order.

    Gaps in a sequence are told by `Pass.gaps`, not raised. Videos that were prepared from
    pictures in the same directory (scene.json says so) are not passes of it.

    Raises:
        MediaError: missing, not readable, two candidates for one pass, a frame number twice.
    """
    made = products(directory, read_scene_file(directory))
    return survey(directory, skip=made).passes


def survey(directory: Path, *, skip: Collection[Path] = ()) -> Survey:
    """As `find_passes`, and what was ignored. Files and directories in `skip` are not there.

    Looks in `directory` and its direct sub-directories. A file's own name decides, then that of
    its sub-directory; clear words (`depth`) win over weak ones (`image`).
    """
    found: dict[str, list[tuple[bool, Pass]]] = {}
    ignored = []
    for item in _items(directory, skip):
        name, clear = _pass_of(item)
        if name and item.kind != "other":
            one = Pass(name, item.kind, item.label, item.files, item.numbers)
            found.setdefault(name, []).append((clear, one))
        else:
            ignored.append(item.label)
    passes: dict[str, Pass] = {}
    for name in PASSES:
        best = [p for clear, p in found.get(name, ()) if clear]
        rest = [p for clear, p in found.get(name, ()) if not clear]
        chosen, others = (best, rest) if best else (rest, [])
        if len(chosen) > 1:
            raise MediaError(
                f"{directory} holds {len(chosen)} candidates for the pass {name}: "
                f"{' and '.join(p.label for p in chosen)}.",
                hint="Keep one of them there.",
            )
        ignored += [p.label for p in others]
        if chosen:
            passes[name] = chosen[0]
    return Survey(passes, tuple(sorted(ignored)))


def recognise(words: str) -> tuple[str | None, bool]:
    """The pass that a name speaks of, and whether it does so clearly.

    >>> recognise("shot_v2_beauty"), recognise("diffuse_color"), recognise("Image")
    (('color', True), ('', True), ('color', False))
    """
    tokens = _tokens(words)
    for table, clear in ((_CLEAR, True), (_WEAK, False)):
        for i in range(len(tokens) - 1, -1, -1):
            if tokens[i] in table:
                other = i > 0 and _CLEAR.get(tokens[i - 1]) == ""  # `diffuse_color` is not color
                return ("" if other else table[tokens[i]]), clear
    return None, False


def _tokens(words: str) -> list[str]:
    tokens = []
    for segment in re.split(r"[^A-Za-z]+", words):
        whole = segment.lower()
        if whole in _CLEAR or whole in _WEAK:
            tokens.append(whole)
        else:
            camel = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", segment)
            tokens += [part.lower() for part in camel]
    return tokens


@dataclass(frozen=True)
class _Item:
    """A video, a numbered PNG sequence, or other pictures, before we know which pass it is."""

    words: str
    folder: str
    kind: Literal["png", "video", "other"]
    label: str
    files: tuple[Path, ...]
    numbers: tuple[int, ...] = ()


def _pass_of(item: _Item) -> tuple[str | None, bool]:
    """File name clearly, then directory clearly, then file name weakly, then directory weakly."""
    if item.kind == "other":
        return None, False
    own, own_clear = recognise(item.words)
    parent, parent_clear = recognise(item.folder)
    if own is not None and own_clear:
        if parent and parent_clear and own and parent != own:
            raise MediaError(
                f"{item.label} lies in a directory for {parent} but is named as {own}.",
                hint="Rename one of the two.",
            )
        return own, True
    if parent is not None and parent_clear:
        return parent, True
    return (own, False) if own is not None else (parent, False)


def _items(directory: Path, skip: Collection[Path]) -> list[_Item]:
    items: list[_Item] = []
    inside = _listed(directory, skip)
    for folder in (directory, *(p for p in inside if p.is_dir())):
        files = inside if folder == directory else _listed(folder, skip)
        name = "" if folder == directory else folder.name
        prefix = name and f"{name}/"
        with saying_why_not_read(folder):
            kinds = [(f, f.suffix.lower()) for f in files if f.is_file()]
        for f, suffix in kinds:
            if suffix in VIDEOS:
                items.append(_Item(f.stem, name, "video", prefix + f.name, (f,)))
        pictures = [f for f, suffix in kinds if suffix == ".png" or suffix in _PICTURES]
        items += _sequences(pictures, name, prefix)
    return items


def _listed(directory: Path, skip: Collection[Path]) -> list[Path]:
    with saying_why_not_read(directory):
        return sorted(
            p for p in directory.iterdir() if not p.name.startswith(".") and p not in skip
        )


def _sequences(pictures: Iterable[Path], folder: str, prefix: str) -> list[_Item]:
    split = sorted((*_split(p), p) for p in pictures)
    found = []
    for (before, after), group in groupby(split, key=lambda s: (s[0], s[1])):
        numbered = [(number, path) for _, _, number, path in group]
        for (a, first), (b, second) in pairwise(numbered):
            if a == b:
                raise MediaError(f"{prefix}{first.name} and {second.name} are both frame {a}.")
        numbers, files = zip(*numbered, strict=True)
        still, png = numbers[0] < 0, after.lower().endswith(".png")
        why = " (not PNG)" if not png else " (no frame number)" if still else ""
        found.append(
            _Item(
                words=f"{before} {Path(after).stem}",
                folder=folder,
                kind="other" if why else "png",
                label=f"{prefix}{before}{'' if still else '####'}{after}{why}",
                files=files,
                numbers=numbers,
            )
        )
    return found


def _split(path: Path) -> tuple[str, str, int]:
    """(before, after, number): the number ends the stem, else it is the longest run of digits."""
    stem = path.stem
    match = re.search(r"\d+$", stem) or max(
        re.finditer(r"\d+", stem), key=lambda m: len(m.group()), default=None
    )
    if match is None:
        return stem, path.suffix, -1
    return stem[: match.start()], stem[match.end() :] + path.suffix, int(match.group())
