"""Find the passes of a scene in a directory, by the names that renderers give to files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.numbering import sequences
from cosmos_pipelines.media.pass_names import PASSES, recognise
from cosmos_pipelines.media.scene_file import products, read_scene_file

__all__ = ["PASSES", "VIDEOS", "Pass", "Survey", "find_passes", "recognise", "survey"]

VIDEOS: Final = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm"})
_PICTURES: Final = frozenset({".exr", ".jpg", ".jpeg", ".tif", ".tiff", ".hdr", ".dpx"})


@dataclass(frozen=True)
class Pass:
    """One pass as found: a video, or a PNG sequence in the order of its numbers."""

    name: str
    kind: Literal["png", "video"]
    label: str
    """For people: `depth/z.####.png`, relative to the directory that was searched."""
    files: tuple[Path, ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What a directory holds: the passes, and the pictures and videos that are none."""

    passes: dict[str, Pass]
    ignored: tuple[str, ...]


def find_passes(directory: Path) -> dict[str, Pass]:
    """The passes in `directory`, by name (color, depth, segmentation, edge, vis) in that order.

    Gaps in a sequence are not raised (see `numbering.missing`). Videos that were prepared from
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
            more = f" and {len(chosen) - 4} more" if len(chosen) > 4 else ""
            raise MediaError(
                f"{directory} holds {len(chosen)} candidates for the pass {name}: "
                f"{' and '.join(p.label for p in chosen[:4])}{more}.",
                hint="Keep one of them there.",
            )
        ignored += [p.label for p in others]
        if chosen:
            passes[name] = chosen[0]
    return Survey(passes, tuple(sorted(ignored)))


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
    places = {path.name: path for path in pictures}
    found = []
    for one in sequences(places):
        for (a, first), (b, second) in pairwise(zip(one.numbers, one.names, strict=False)):
            if a == b:
                raise MediaError(f"{prefix}{first} and {second} are both frame {a}.")
        still, png = not one.numbers, one.names[0].lower().endswith(".png")
        why = " (not PNG)" if not png else " (no frame number)" if still else ""
        found.append(
            _Item(
                words=f"{one.before} {one.after}".rpartition(".")[0],
                folder=folder,
                kind="other" if why else "png",
                label=f"{prefix}{one.label}{why}",
                files=tuple(places[name] for name in one.names),
                numbers=one.numbers,
            )
        )
    return found
