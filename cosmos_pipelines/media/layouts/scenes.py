"""Items of a directory of renders become scenes: at most one item for each pass. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cosmos_pipelines.errors import MediaError, nearest
from cosmos_pipelines.media.layouts.choice import Chosen, Frames, Item, Left, Named, Taken, choose
from cosmos_pipelines.media.layouts.stems import CLEAR, UNNAMED, WEAK, cut, same

SHOWN: Final = 4
"""Candidates that are named."""
_NOT_TOLD: Final = "nothing tells which pass it is, or of which scene"
_NOBODYS: Final = "it cannot be told of which of the scenes it is"


@dataclass
class Arranged:
    """One scene. `root`: the directories that hold it; `stem`: its name there, if it has one."""

    root: tuple[str, ...]
    stem: str = ""
    passes: dict[str, Taken] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    """All that lies with it."""
    wrong: MediaError | None = None

    @property
    def name(self) -> str:
        """How a user calls it; empty where the directory is that scene."""
        return "/".join(filter(None, (*self.root, self.stem)))


def arrange(
    items: Iterable[Item],
    wanted: Mapping[str, str],
    frames: Frames,
    place: str,
    *,
    others: bool = False,
) -> tuple[list[Arranged], list[Left]]:
    """All scenes, in the order of their names, and what is of none of them.

    A directory in which nothing can be used and a file is damaged is a scene too, a wrong one.

    `wanted`: what shall be a pass, in the user's words. `place`: the directory, for people.
    `others`: further scenes lie below it, which are prepared and no items. Names are the same then.

    Raises:
        MediaError: nothing is called as `wanted` says.
    """
    named = [_named(item) for item in items]
    named = _as_wanted(named, wanted, place)
    named = named if others else _colour_alone(named)
    whole = _colours_by_stem(named)
    near = all(len(one.item.folders) <= 1 for one in whole if one.usable)
    if near and not _in_others(whole, others=others):
        chosen = choose(whole, frames)
        if not chosen.clashes:
            scene = _scene((), _own_name(chosen), chosen, whole)
            return _parted([scene] if chosen.passes else [], whole)
    found: list[Arranged] = []
    for root, group in sorted(_by_root(named).items()):
        found += _scenes_in(root, _colours_by_stem(group), frames, place)
    return _parted([_damaged(one) for one in found], named)


def _damaged(one: Arranged) -> Arranged:
    """What holds no pass cannot be used because of the damaged file in it, if there is one."""
    wrong = next((item.wrong for item in one.items if item.wrong), "")
    if wrong and not one.passes and not one.wrong:
        one.wrong = MediaError(wrong)
    return one


def _parted(found: Iterable[Arranged], named: Iterable[Named]) -> tuple[list[Arranged], list[Left]]:
    """The scenes, and what lies in a directory that is none."""
    scenes = [one for one in found if one.passes or one.wrong]
    theirs = {item.label for one in scenes for item in one.items}
    theirs |= {left.label for one in scenes for left in one.left}
    none = [one.item for one in named if one.item.label not in theirs]
    return scenes, [Left(item.label, _why_none(item) if scenes else "") for item in none]


def _why_none(item: Item) -> str:
    """Why an item is of no scene; a still says it in its label."""
    return "" if item.kind == "other" else _NOT_TOLD


def _named(item: Item) -> Named:
    """What an item is: by its files' layers where they say so, else by names."""
    found, told = cut(item.folders, item.words, item.layer), item.told
    if told is None:
        return Named(item, found)
    last = told.label.rpartition(".")[2]
    said = found.said | {same(word) for word in (told.label, last, *told.layers) if word}
    stem = "/".join(filter(None, (found.stem, told.group)))
    if item.spare is not None or not told.name:
        found = replace(found, name="", rank=UNNAMED, said=said, stem=stem, clash="")
        return Named(item, found, none=item.spare or "")
    by_file = cut(item.folders, item.words)
    rank = CLEAR if told.clear and by_file.name in (None, told.name) else WEAK
    if not told.clear and by_file.name == told.name:
        rank = by_file.rank
    layers = f"its layer is {told.label}" if told.clear else "it is the picture of its files"
    why = by_file.why if not told.clear and by_file.name else layers
    clash = found.clash if told.name == found.name else ""
    return Named(
        item,
        replace(
            found,
            name=told.name,
            rank=rank,
            said=said,
            stem=stem,
            meaning=told.meaning or found.meaning,
            why=why,
            clash=clash,
        ),
    )


def _in_others(named: Iterable[Named], *, others: bool) -> bool:
    """Whether the directories in which all lies are the scenes: one alone, or beside `others`."""
    roots = {one.cut.root for one in named if one.usable}
    return roots != {()} and (others or len(roots) == 1)


def candidates(place: str, name: str, labels: Sequence[str], take: str) -> MediaError:
    """Several items claim to be one pass."""
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return MediaError(
        f"{place} holds {len(labels)} candidates for the pass {name}: "
        f"{' and '.join(labels[:SHOWN])}{more}.",
        hint=f"Say which: `--pass {name}={take}`; or keep one of them there.",
    )


def _as_wanted(named: list[Named], wanted: Mapping[str, str], place: str) -> list[Named]:
    """What a user has said of passes, in place of what the names say."""
    for name, what in wanted.items():
        usable = [one for one in named if one.item.kind != "other"]
        hits = [one for one in usable if _is_called(one, what)]
        hits = hits or [one for one in usable if _has_word(one, what)]
        if not hits:
            raise _unknown(named, name, what, place)
        named = [_told(one, name, what) if one in hits else _not(one, name) for one in named]
    return named


def _is_called(one: Named, what: str) -> bool:
    label = one.item.label
    return what.rstrip("/") in (label, label.partition(" (")[0]) or same(what) in one.cut.said


def _has_word(one: Named, what: str) -> bool:
    """Whether it is a word of a name of several: `semantic` of `semantic_segmentation`."""
    return any(same(what) in said.split("_") for said in one.cut.said)


def _told(one: Named, name: str, what: str) -> Named:
    told = one.item.told
    meaning = told.meaning if told and told.name == name else ""
    meaning = one.cut.meaning if one.cut.name == name else meaning
    why = f"--pass {name}={what}"
    said = replace(one.cut, name=name, rank=CLEAR, why=why, meaning=meaning, clash="")
    return replace(one, asked=True, cut=said)


def _not(one: Named, name: str) -> Named:
    if one.cut.name != name or one.asked:
        return one
    return _as_none(one, "another was asked for")


def _as_none(one: Named, why: str) -> Named:
    return replace(one, none=why, cut=replace(one.cut, name="", rank=UNNAMED, clash=""))


def _unknown(named: list[Named], name: str, what: str, place: str) -> MediaError:
    usable = [one for one in named if one.item.kind != "other"]
    known = {said: one.item.label for one in usable for said in one.cut.said}
    known |= {same(one.item.label): one.item.label for one in usable}
    near = [known[k] for k in nearest(same(what), known)] or list(known.values())[:3]
    return MediaError(
        f"{place} holds nothing called {what} that could be the pass {name}.",
        hint=f"It holds {', '.join(dict.fromkeys(near))}." if near else "It holds no renders.",
    )


def _colour_alone(named: list[Named]) -> list[Named]:
    """What is the only sequence or video there, and has no word of a pass, is the colour."""
    plain = [one for one in named if one.item.kind != "other" and one.cut.name is None]
    if len(plain) != 1 or any(one.usable for one in named):
        return named
    cut = replace(plain[0].cut, name="color", rank=WEAK, why="nothing else is there")
    return [replace(one, cut=cut) if one is plain[0] else one for one in named]


def _colours_by_stem(named: list[Named]) -> list[Named]:
    """Items without a word of a pass are the colour of what is called as they are."""
    if any(one.asked and one.cut.name == "color" for one in named):
        return named
    stems: dict[str, set[str]] = defaultdict(set)
    for one in named:
        if one.usable:
            stems[_key(one)].add(str(one.cut.name))

    def is_colour(one: Named) -> bool:
        beside = stems.get(_key(one), set())
        unnamed = one.cut.name is None and one.item.kind != "other"
        return unnamed and bool(beside) and "color" not in beside

    why = "it is called as the others, without a word of a pass"
    return [
        replace(one, cut=replace(one.cut, name="color", why=why)) if is_colour(one) else one
        for one in named
    ]


def _key(one: Named) -> str:
    return "/".join((*one.cut.root, one.cut.stem)).lower()


def _own_name(chosen: Chosen) -> str:
    """The stem of a colour without a word of a pass: others of that kind may come beside it."""
    color = chosen.passes.get("color")
    return color.cut.stem if color and color.cut.rank == UNNAMED else ""


def _by_root(named: list[Named]) -> dict[tuple[str, ...], list[Named]]:
    """Items by the directory that holds their scene: the highest above them with a colour."""
    groups: dict[tuple[str, ...], list[Named]] = defaultdict(list)
    for one in named:
        groups[one.cut.root].append(one)
    whole = {root for root, group in groups.items() if _has_colour(_colours_by_stem(group))}
    moved: dict[tuple[str, ...], list[Named]] = defaultdict(list)
    for root, group in groups.items():
        above = [root[:n] for n in range(len(root) + 1) if root[:n] in whole]
        to = above[0] if above else root
        if root in whole and len(root) - len(to) > 1:
            group = [_as_none(o, "it is of another scene: prepare its directory") for o in group]  # noqa: PLW2901
        moved[to] += group
    return moved


def _has_colour(group: Iterable[Named]) -> bool:
    return any(one.usable and one.cut.name == "color" for one in group)


def _scenes_in(
    root: tuple[str, ...], group: list[Named], frames: Frames, place: str
) -> list[Arranged]:
    """The scenes of one directory: one, or one for each stem where passes are there repeatedly."""
    chosen = choose(group, frames)
    if not chosen.clashes:
        return [_scene(root, _own_name(chosen), chosen, group)]
    stems: dict[str, list[Named]] = defaultdict(list)
    for one in group:
        stems[one.cut.stem.lower()].append(one)
    with_colour = {stem for stem, ones in stems.items() if _has_colour(ones)}
    if "" in with_colour or len(with_colour) < 2:
        items = [one.item for one in group]
        return [Arranged(root, items=items, wrong=_refusal(chosen, place))]
    shared = [Left(one.item.label, _NOBODYS) for one in stems.pop("", []) if one.usable]
    found = []
    for ones in stems.values():
        stem = next((one.cut.stem for one in ones if one.usable), None)
        if stem is None:
            continue
        chosen = choose(ones, frames)
        scene = _scene(root, stem, chosen, ones)
        scene.left += shared
        if chosen.clashes:
            scene.wrong = _refusal(chosen, place)
        found.append(scene)
    return sorted(found, key=lambda one: one.stem)


def _scene(root: tuple[str, ...], stem: str, chosen: Chosen, group: list[Named]) -> Arranged:
    items = [one.item for one in group]
    scene = Arranged(root, stem, chosen.passes, chosen.left, items)
    wrong = next((t.item.wrong for t in chosen.passes.values() if t.item.wrong), None)
    clash = next((one for one in group if one.cut.clash and one.item.kind != "other"), None)
    if wrong:
        scene.wrong = MediaError(wrong)
    elif clash is not None:
        said = f"{clash.item.label} {clash.cut.clash}."
        scene.wrong = MediaError(said, hint="Rename one of the two.")
    return scene


def _refusal(chosen: Chosen, place: str) -> MediaError:
    name, ones = next(iter(chosen.clashes.items()))
    return candidates(place, name, [one.item.label for one in ones], _shortest(ones))


def _shortest(ones: Sequence[Named]) -> str:
    """The shortest word by which the first candidate alone is called."""
    first, others = ones[0], ones[1:]
    alone = [said for said in first.cut.said if not any(said in o.cut.said for o in others)]
    label = first.item.label
    quoted = f"'{label}'" if " " in label or "#" in label else label
    return min(alone, key=lambda said: (len(said), said), default=quoted)
