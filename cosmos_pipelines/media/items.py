"""What may be a pass among the files of a directory: videos, numbered pictures, their layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.layer_names import passes_of
from cosmos_pipelines.media.layouts.by_names import item_of
from cosmos_pipelines.media.layouts.choice import Item
from cosmos_pipelines.media.layouts.stems import cut
from cosmos_pipelines.media.layouts.tree import VIDEOS, Folder
from cosmos_pipelines.media.numbering import sequences
from cosmos_pipelines.media.readers.picture import read_facts
from cosmos_pipelines.media.segments.manifest import manifests_beside


@dataclass(frozen=True)
class Files:
    """What stands behind an item."""

    files: tuple[Path, ...]
    numbers: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()


def frames_of_video(item: Item) -> int | None:
    """How many frames a video has; None: that cannot be told."""
    from cosmos_pipelines.media.probe import probe

    assert isinstance(item.of, Files)
    try:
        return probe(item.of.files[0]).frames
    except MediaError:
        return None


def items_of(folder: Folder) -> list[Item]:
    """All videos and sequences in one directory; of pictures with layers one item for each."""
    prefix = "".join(f"{part}/" for part in folder.parts)
    names = {Path(entry.name): folder.path / entry.name for entry in folder.media}
    videos = [name for name in names if name.suffix.lower() in VIDEOS]
    items = [
        Item(
            folder.parts,
            name.stem,
            "video",
            f"{prefix}{name}",
            name.suffix.lower(),
            of=Files((names[name],)),
        )
        for name in sorted(videos)
    ]
    return items + _sequences([n for n in names if n not in videos], folder)


def _sequences(pictures: Iterable[Path], folder: Folder) -> list[Item]:
    found = []
    for one in sequences(path.name for path in pictures):
        item = item_of(one, folder.parts)
        twice = [
            f"{item.label.rpartition('/')[0]}/{first} and {second} are both frame {a}.".lstrip("/")
            for (a, first), (b, second) in pairwise(zip(one.numbers, one.names, strict=False))
            if a == b
        ]
        files = tuple(folder.path / name for name in one.names)
        item = replace(
            item, layer=None, wrong=twice[0] if twice else "", of=Files(files, one.numbers)
        )
        found += _of_layers(item) if item.kind == "pictures" else [item]
    return found


def _of_layers(item: Item) -> list[Item]:
    """An item for each layer of a sequence that may have several."""
    of = item.of
    assert isinstance(of, Files)
    try:
        facts = read_facts(of.files[0])
    except MediaError as e:
        return [replace(item, wrong=str(e))]
    says = cut(item.folders, item.words).name
    found = passes_of(facts.layers, facts.attributes, says)
    alone = len(facts.layers) == 1
    if alone and says is None and facts.layers[0].name == "":
        return [replace(item, of=replace(of, layers=("",)))]
    of = replace(of, beside=manifests_beside(facts, of.files))
    best = [(p, None) for scene in found.scenes.values() for ps in scene.values() for p in ps]
    return [
        replace(
            item,
            layer=told.layers[0],
            label=item.label if alone else f"{item.label} ({told.label})",
            of=replace(of, layers=told.layers),
            told=told,
            spare=spare,
        )
        for told, spare in (*best, *found.ignored.items())
    ]
