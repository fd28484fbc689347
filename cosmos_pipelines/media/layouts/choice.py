"""Of all items that may be a pass of one scene the one that is, and why others are not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from cosmos_pipelines.media.layer_names import LayerPass
from cosmos_pipelines.media.layouts.stems import Cut
from cosmos_pipelines.media.pass_names import PASSES

Kind = Literal["png", "pictures", "video", "other"]

SHOWN: Final = "shown"
"""A meaning of depth: as a video shows it, if it has 8 bits; near is bright."""


@dataclass(frozen=True)
class Item:
    """What may be a pass: a video, a numbered sequence, a layer of one; `other` can be none.

    `folders`: below the directory. `words`: its name without number and ending. `frames`: of
    pictures; a video tells when it is read. `of`: what stands behind it, for whoever asks.
    `wrong`: why it cannot be used. `told`: what it is by the layers of its files, unless `spare`
    says why another layer is.
    """

    folders: tuple[str, ...]
    words: str
    kind: Kind
    label: str
    suffix: str = ""
    frames: int = 0
    layer: str | None = None
    wrong: str = ""
    of: object = None
    told: LayerPass | None = None
    spare: str | None = None


Frames = Callable[[Item], int | None]
"""How many frames a video has; None: that cannot be told."""


@dataclass(frozen=True)
class Named:
    """An item and what its name says. `asked`: a user has said so. `none`: why it is no pass."""

    item: Item
    cut: Cut
    asked: bool = False
    none: str = ""

    @property
    def usable(self) -> bool:
        """Whether it is called as a pass that is used."""
        return bool(self.cut.name) and self.item.kind != "other"


@dataclass(frozen=True)
class Taken:
    """An item as a pass."""

    item: Item
    cut: Cut
    twin: Item | None = None
    """Of pictures the video of the same frames, which is left."""


@dataclass(frozen=True)
class Left:
    """An item that is no pass. `why`: empty where nothing calls it so, or less clearly."""

    label: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.label} ({self.why})" if self.why else self.label


@dataclass(frozen=True)
class Chosen:
    """`clashes`: the passes for which several items are as good."""

    passes: dict[str, Taken]
    left: list[Left]
    clashes: dict[str, list[Named]]


def choose(group: Sequence[Named], frames: Frames) -> Chosen:
    """At most one item for each pass, of those that lie together."""
    passes, clashes = dict[str, Taken](), dict[str, list[Named]]()
    left = [Left(one.item.label, one.none) for one in group if not one.usable]
    for name in PASSES:
        ones = [one for one in group if one.usable and one.cut.name == name]
        best, rest = _best(ones, frames)
        left += rest
        if len(best) > 1:
            clashes[name] = best
        if best:
            passes[name] = Taken(best[0].item, best[0].cut, _twin(best[0], ones, rest))
    if (depth := passes.get("depth")) and (why := _near_bright(depth, group)):
        cut = replace(depth.cut, meaning=SHOWN, why=f"{depth.cut.why}; {why}")
        passes["depth"] = replace(depth, cut=cut)
    return Chosen(passes, sorted(left, key=lambda one: one.label), clashes)


def _twin(taken: Named, ones: Sequence[Named], left: Sequence[Left]) -> Item | None:
    """The video that is left since its frames are there as pictures."""
    same = {one.label for one in left if one.why == _as_pictures(taken.item)}
    videos = (one.item for one in ones if one.item.kind == "video")
    return next((item for item in videos if item.label in same), None)


def _as_pictures(item: Item) -> str:
    return f"its {item.frames} frames are there as pictures"


def _near_bright(depth: Taken, group: Sequence[Named]) -> str:
    """Why pictures of depth are what a video of it would show, if they are of 8 bits."""
    if depth.item.kind not in ("png", "pictures") or depth.cut.meaning:
        return ""
    same = [o for o in group if o.usable and o.cut.name == "depth" and o.cut.stem == depth.cut.stem]
    if any(one.item.kind == "video" for one in same):
        return "8 bits are near bright, as its video"
    if any(one.cut.shaded for one in group):
        return "8 bits are near bright, as Isaac Sim writes them beside shaded segments"
    return ""


def _best(ones: list[Named], frames: Frames) -> tuple[list[Named], list[Left]]:
    """The items of one pass than which none is better."""
    left: list[Left] = []

    def keep(better: list[Named], why: str) -> None:
        nonlocal ones
        if better and len(better) < len(ones):
            left.extend(Left(one.item.label, why) for one in ones if one not in better)
            ones = better

    lowest = min((one.cut.rank for one in ones), default=0)
    keep([one for one in ones if one.cut.rank == lowest], "")
    keep([one for one in ones if not one.cut.shaded], "a plain one is there")
    if len({one.cut.stem for one in ones}) == 1:
        if all(one.cut.meaning in ("planar", "radial") for one in ones):
            planar = [one for one in ones if one.cut.meaning == "planar"]
            keep(planar, "the distance to the image plane is there")
        arrays = [one for one in ones if one.item.suffix == ".npy" and one.cut.name == "depth"]
        keep(arrays, "its values are there as arrays")
        pictures = [one for one in ones if one.item.kind != "video"]
        videos = [one for one in ones if one.item.kind == "video"]
        if len(pictures) == 1 and videos:
            count = pictures[0].item.frames
            if all(frames(one.item) == count for one in videos):
                keep(pictures, _as_pictures(pictures[0].item))
    return ones, left
