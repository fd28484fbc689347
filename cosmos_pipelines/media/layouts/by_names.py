"""Which files of a listing are of which scene, by their names alone: nothing is read. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.layouts.choice import Item
from cosmos_pipelines.media.layouts.scenes import Arranged, arrange
from cosmos_pipelines.media.layouts.stems import words_of
from cosmos_pipelines.media.layouts.tree import MEDIA, VIDEOS
from cosmos_pipelines.media.numbering import Numbered, sequences


def scenes_by_names(names: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """The files of each scene; a scene's name is empty where the directory is that scene.

    `names`: paths relative to the directory; only pictures and videos count. {}: there is no scene,
    as far as names tell. Layers are not known, so that an EXR without a word of a pass is taken for
    one that has all of them.
    """
    items = [item for folder, inside in _by_folder(names) for item in _items(folder, inside)]
    try:
        found, _ = arrange(items, {}, lambda _: None, "")
    except MediaError:
        return {}
    return {one.name: frozenset(_files(one)) for one in found}


def _by_folder(names: Iterable[str]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    folders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path in map(PurePosixPath, names):
        if path.suffix.lower() not in MEDIA:
            continue
        folders[path.parent.parts].append(path.name)
    return iter(sorted(folders.items()))


def _items(folder: tuple[str, ...], names: list[str]) -> Iterator[Item]:
    videos = [name for name in names if _suffix(name) in VIDEOS]
    for name in videos:
        path = "/".join((*folder, name))
        yield Item(folder, PurePosixPath(name).stem, "video", path, of=(path,))
    for one in sequences(name for name in names if _suffix(name) not in VIDEOS):
        yield item_of(one, folder)


def item_of(one: Numbered, folder: tuple[str, ...]) -> Item:
    """The item of a sequence of pictures; all its layers are one."""
    suffix = _suffix(one.names[0])
    prefix = "".join(f"{part}/" for part in folder)
    still = not one.numbers
    item = Item(
        folder,
        words=f"{one.before} {one.after}".rpartition(".")[0],
        kind="other" if still else "png" if suffix == ".png" else "pictures",
        label=f"{prefix}{one.label}" + (" (no frame number)" if still else ""),
        suffix=suffix,
        frames=len(one.names),
        of=tuple(prefix + name for name in one.names),
    )
    whole = suffix == ".exr" and words_of(item.words).name is None
    return replace(item, layer="beauty") if whole and not _in_a_pass(folder) else item


def _in_a_pass(folder: tuple[str, ...]) -> bool:
    return any(words_of(part).name is not None for part in folder)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _files(one: Arranged) -> Iterator[str]:
    for item in one.items:
        if isinstance(item.of, tuple):
            yield from item.of
