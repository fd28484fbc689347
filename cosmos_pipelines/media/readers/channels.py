"""The channels of a part become layers: by their names, and by what stands behind those. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cosmos_pipelines.media.readers.layers import Layer

_COLOURS: Final = {
    **{name: name for name in "RGBAY"},
    **{"RED": "R", "GREEN": "G", "BLUE": "B", "ALPHA": "A"},
}
_ORDER: Final = "RGBYA"


@dataclass(frozen=True)
class Channel:
    """A channel as it stands in a part: its whole name, its kind, and where it is."""

    name: str
    kind: str
    place: int


def layers_of(
    channels: Iterable[Channel], part: int = 0, name: str = "", views: Sequence[str] = ()
) -> list[Layer]:
    """The layers of one part, whose own name is `name`.

    `views`: the eyes or cameras whose channels are in the part; what has no view in its name
    belongs to the first. Colours beside something else (R, G, B, A and Z) are a layer of their own,
    and so is each of the others.
    """
    groups: dict[str, list[Channel]] = {}
    for channel in channels:
        layer, _, last = channel.name.rpartition(".")
        groups.setdefault(_joined(name, layer), []).append(replace(channel, name=last))
    found = [one for layer, group in groups.items() for one in _split(layer, group, part)]
    return [replace(one, view=_view_of(one.name, views)) for one in found]


def unique(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The same layers, where no two have one name.

    A layer of a view that shares its name with one of another view is called `VIEW.NAME`, any
    other `NAME (2)`.
    """
    layers = list(layers)
    shared = _repeated([one.name for one in layers])
    found: list[Layer] = []
    taken: set[str] = set()
    for one in layers:
        name = _joined(one.view, one.name) if one.name in shared else one.name
        count = 1
        while name in taken:
            count += 1
            name = f"{one.name} ({count})"
        taken.add(name)
        found.append(replace(one, name=name))
    return tuple(found)


def _repeated(names: Collection[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def _joined(outer: str, inner: str) -> str:
    """`A` and `B.C` are `A.B.C`; `A.B` and `B` or `A.B` are `A.B`: parts repeat their name."""
    before, after = outer.split("."), inner.split(".")
    if not outer or after[: len(before)] == before:
        return inner
    if not inner or before[-len(after) :] == after:
        return outer
    return f"{outer}.{inner}"


def _split(name: str, channels: list[Channel], part: int) -> list[Layer]:
    letters = {c.name.upper() for c in channels}
    vector = {"X", "Y"} <= letters or {"U", "V"} <= letters
    colours = [] if vector else [c for c in channels if c.name.upper() in _COLOURS]
    others = [c for c in channels if c not in colours]
    found = []
    if colours:
        colours.sort(key=lambda c: _ORDER.index(_COLOURS[c.name.upper()]))
        letters_of = tuple(_COLOURS[c.name.upper()] for c in colours)
        found.append(_layer(name, letters_of, colours, part))
    if others and (colours or not name) and not vector:
        found += [_layer(_joined(name, c.name), (c.name,), [c], part) for c in others]
    elif others:
        found.append(_layer(name, tuple(c.name for c in others), others, part))
    return found


def _layer(name: str, letters: tuple[str, ...], channels: list[Channel], part: int) -> Layer:
    kinds = {c.kind for c in channels}
    kind = kinds.pop() if len(kinds) == 1 else "float"
    return Layer(name, letters, kind, part, tuple(c.place for c in channels))


def _view_of(name: str, views: Sequence[str]) -> str:
    words = name.split(".")
    return next((view for view in views if view in words), views[0] if views else "")
