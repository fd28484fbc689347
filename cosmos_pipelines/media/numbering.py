"""Numbered file names become sequences: which digits are the frame number, and its sign. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import PurePath

_DIGITS = re.compile(r"(?<![0-9])(?:(?<![^\W_])-)?[0-9]{1,19}(?![0-9])")
"""A hyphen is a sign unless a letter or a digit stands before it: `a.-1`, but not `a-1`.
Nanoseconds since 1970 have 19 digits; what has more (a hash, an id) is no frame number."""

_VERSION = re.compile(r"(?<![^\W_])[vV]$")


@dataclass(frozen=True)
class Numbered:
    """Files that differ in their frame number, in its order; `numbers` is empty for a still."""

    before: str
    after: str
    names: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def label(self) -> str:
        """`shot010_color_####_v002.png`: the frame number as ####."""
        return self.before + ("####" if self.numbers else "") + self.after


@dataclass(frozen=True)
class _Name:
    """A file name cut at its digits: one literal more than there are groups."""

    name: str
    literals: tuple[str, ...]
    groups: tuple[str, ...]
    suffix: str


def sequences(names: Iterable[str]) -> list[Numbered]:
    """All `names`, each in one sequence, sorted by label.

    The frame number is the group of digits that varies. Where several vary, it is the one that
    varies most: versions, shots and cameras make sequences of their own. Digits that grow with the
    number (a time of day) are `*` in the label.
    """
    cut = sorted((_cut(name) for name in names), key=_family)
    found: list[Numbered] = []
    for _, family in groupby(cut, key=_family):
        found += _assemble(list(family))
    return sorted(_joined_over_zero(found), key=lambda s: s.label)


def missing(numbers: Sequence[int], step: int = 1) -> tuple[tuple[int, int], ...]:
    """The numbers that sorted `numbers`, all multiples of `step` apart, leave out, as stretches."""
    return tuple((a + step, b - step) for a, b in pairwise(numbers) if b > a + step)


def stretches_text(stretches: Sequence[tuple[int, int]], step: int = 1) -> str:
    """`13-14, 20`: for people; empty if there are none, the first eight if there are many."""
    by = f" by {step}" if step > 1 else ""
    said = [
        str(a) if a == b else (f"{a}-{b}{by}" if a >= 0 else f"{a} to {b}{by}")
        for a, b in stretches
    ]
    return ", ".join(said[:8]) + (f" and {len(said) - 8} more" if len(said) > 8 else "")


def step_of(numbers: Sequence[int]) -> int | None:
    """By how much each of sorted `numbers` is more than the one before; None if that varies."""
    steps = {b - a for a, b in pairwise(numbers)} or {1}
    return steps.pop() if len(steps) == 1 else None


def _cut(name: str) -> _Name:
    path = PurePath(name)
    groups = tuple(_DIGITS.findall(path.stem))
    return _Name(name, tuple(_DIGITS.split(path.stem)), groups, path.suffix)


def _family(name: _Name) -> tuple[tuple[str, ...], str]:
    """Names that are equal but for their digits."""
    return name.literals, name.suffix


def _assemble(family: list[_Name]) -> Iterator[Numbered]:
    first = family[0]
    if not first.groups:
        yield Numbered(first.name, "", (first.name,), ())
        return
    number, moving = _number_of(family)
    fixed = [i for i in range(len(first.groups)) if i not in moving]

    def rest(name: _Name) -> tuple[str, ...]:
        return tuple(name.groups[i] for i in fixed)

    for texts, group in groupby(sorted(family, key=rest), key=rest):
        numbers, names = zip(*_in_order(list(group), number), strict=True)
        marks = dict.fromkeys(moving, "*") | dict(zip(fixed, texts, strict=True))
        parts = [part for i, m in sorted(marks.items()) for part in (first.literals[i], m)]
        at = 2 * number + 1
        after = [*parts[at + 1 :], first.literals[-1], first.suffix]
        yield Numbered("".join(parts[:at]), "".join(after), names, numbers)


def _in_order(names: list[_Name], number: int) -> list[tuple[int, str]]:
    # nobody writes minus zero: the hyphen of `a--0000` is a separator
    signed = not any(re.fullmatch("-0+", name.groups[number]) for name in names)
    texts = [(name.groups[number], name.name) for name in names]
    return sorted((int(text if signed else text.lstrip("-")), name) for text, name in texts)


def _number_of(family: list[_Name]) -> tuple[int, set[int]]:
    """Which group is the frame number, and those that are no part of the sequence's name."""
    count = len(family[0].groups)
    values = [{name.groups[i] for name in family} for i in range(count)]
    varying = [i for i in range(count) if len(values[i]) > 1]
    if not varying:
        usual = _usual(family[0])
        return usual, {usual}
    most = max(len(values[i]) for i in varying)
    likely = [i for i in varying if len(values[i]) == most]
    together = [i for i in likely if _grow_together(family, likely[0], i)]
    steady = [i for i in together if step_of(sorted(int(g) for g in values[i])) == 1]
    plain = [i for i in steady or likely if not _VERSION.search(family[0].literals[i])]
    number = (plain or steady or likely)[-1]
    return number, set(together) if number in together else {number}


def _grow_together(family: list[_Name], one: int, other: int) -> bool:
    """Whether two groups of digits put all files into the same order, each file once."""
    ordered = sorted(family, key=lambda name: int(name.groups[one]))
    pairs = [(int(name.groups[one]), int(name.groups[other])) for name in ordered]
    return all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))


def _usual(name: _Name) -> int:
    """The number of a file alone: at the end, else the longest; no version if there is another."""
    last = len(name.groups) - 1
    choice = [i for i in range(last + 1) if not _VERSION.search(name.literals[i])] or [last]
    if last in choice and not name.literals[-1]:
        return last
    return max(choice, key=lambda i: len(name.groups[i]))


def _joined_over_zero(found: list[Numbered]) -> list[Numbered]:
    """`a-2 a-1` and `a0 a1`, where no separator tells a sign from a hyphen, are one sequence."""
    begun = {(s.before, s.after): s for s in found if s.numbers[:1] == (0,)}
    below = {
        (s.before[:-1], s.after): s
        for s in found
        if s.before.endswith("-") and s.numbers[:1] == (1,) and (s.before[:-1], s.after) in begun
    }
    kept = [s for s in found if s not in below.values() and begun.get((s.before, s.after)) != s]
    for place, above in begun.items():
        kept.append(_below_zero(below[place], above) if place in below else above)
    return kept


def _below_zero(below: Numbered, above: Numbered) -> Numbered:
    return Numbered(
        above.before,
        above.after,
        (*reversed(below.names), *above.names),
        (*(-n for n in reversed(below.numbers)), *above.numbers),
    )
