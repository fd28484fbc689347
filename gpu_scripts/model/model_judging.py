"""Why samples have no video, and whether to go on with the others. Pure.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from model_log import one_line

OF_THE_PLACE = frozenset({"out_of_memory", "launch_failed", "disk_full", "lost"})
"""Kinds that are no fault of one sample: another load would only meet them again."""


class Failure(NamedTuple):
    """Why a sample has no video."""

    kind: str
    sentence: str


class Line(NamedTuple):
    """A line of the model that says a failure, and the part that it was at."""

    part: int
    failure: Failure


class End(NamedTuple):
    """How a load ended; `said` is its last line that looks like an error, or just its last line."""

    code: int
    said: str = ""
    killed: bool = False
    """A process of it was killed by signal 9, not by us."""


class Load(NamedTuple):
    """What is known of a load when it has ended."""

    parts: int
    """How many it had."""
    batch_size: int
    reached: Collection[int]
    """Parts that are done with, well or not."""
    begun: int
    """The last part that is known to have been begun."""
    exact: bool
    """Whether the model says when it begins with a part."""
    lines: Sequence[Line]
    end: End


def judged(load: Load) -> dict[int, Failure]:
    """Why the parts have no video that were tried and have none; the others were never reached."""
    size, last = load.batch_size, load.begun // load.batch_size
    missing = [part for part in range(load.parts) if part not in load.reached]
    tried = missing if load.end.code == 0 else [n for n in missing if n // size <= last]
    failures = {}
    for part, said in _shared_out(tried, load).items():
        at_the_end = load.end.code != 0 and part // size == last
        failures[part] = _worst(said, of_the_end(load.end) if at_the_end else None)
    return failures


def _shared_out(tried: Sequence[int], load: Load) -> dict[int, list[Failure]]:
    """The failures that were said, by part.

    Where the model does not say what it begins with, neighbours without a video share what was
    said while they were in work; and as it may be ahead of what could be seen of it, what was said
    at a part that has its video counts for those before it, if nothing else was said of them.
    """
    size = load.batch_size
    said: dict[int, list[Failure]] = {}
    units = _units(tried, size, load.exact)
    for k, unit in enumerate(units):
        following = units[k + 1][0] if k + 1 < len(units) else load.parts
        first, end = unit[0] // size, unit[-1] // size + 1
        lines = [x for x in load.lines if first <= x.part // size < end]
        if not lines and not load.exact:
            lines = [x for x in load.lines if end <= x.part // size and x.part < following]
        share, rest = divmod(len(lines), len(unit))
        for n, part in enumerate(unit):
            own = lines if rest else lines[n * share : (n + 1) * share]
            said[part] = [line.failure for line in own]
    return said


def _units(parts: Sequence[int], batch_size: int, exact: bool) -> list[list[int]]:
    """Parts that cannot be told apart by when something was said."""

    def near(a: int, b: int) -> bool:
        return a // batch_size == b // batch_size if exact else b == a + 1

    units: list[list[int]] = []
    for part in parts:
        if units and near(units[-1][-1], part):
            units[-1].append(part)
        else:
            units.append([part])
    return units


def _worst(said: Sequence[Failure], at_the_end: Failure | None) -> Failure:
    """What ends a load outweighs a warning before it; else what was said first is the cause."""
    for failure in said:
        if failure.kind in OF_THE_PLACE:
            return failure
    if said:
        return said[0]
    return at_the_end or Failure("output_missing", "The model said no error and wrote no video.")


def of_the_end(end: End) -> Failure | None:
    """What the end of a load says by itself; None: nothing is wrong with it."""
    if end.killed or end.code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        why = "most likely the host's memory ran out"
        return Failure("out_of_memory", f"The model was killed (signal 9): {why}.")
    if end.code in (-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT):
        return Failure("lost", "Something else told the model to stop, not we.")
    if end.code == 0:
        return None
    if end.code in (126, 127):
        why = f": {one_line(end.said)}" if end.said else ""
        return Failure("launch_failed", f"The model's command cannot be run{why}.")
    if end.code < 0:
        how = f"The model crashed with signal {-end.code}"
    else:
        how = f"The model failed with exit code {end.code}"
    return Failure("model_failed", f"{how}: {one_line(end.said)}" if end.said else f"{how}.")


def goes_on(failures: Iterable[Failure], end: End, made: int, left: int) -> bool:
    """Whether another load is started for the `left` parts, after one that has `made` some.

    What belongs to one sample can be left out; what belongs to the place will come again. A load
    that makes nothing and was not refused a prompt would most likely fail in the same way again.
    """
    kinds = Counter(failure.kind for failure in failures)
    last = of_the_end(end)
    if not left or OF_THE_PLACE & kinds.keys() or (last and last.kind in OF_THE_PLACE):
        return False
    return bool(kinds) and (made > 0 or kinds.keys() == {"blocked"})


def never_reached(failures: Iterable[Failure], end: End, made: int, at: str) -> Failure:
    """What is said of the parts that a load has not come to, where there is no other one."""
    told = [*failures]
    last = of_the_end(end)
    why = next((f for f in told if f.kind in OF_THE_PLACE), None) or last or told[0]
    if why.kind in ("disk_full", "launch_failed") or (why.kind == "out_of_memory" and not made):
        return why  # it is as true of them
    where = f" at {at}" if at else ""
    return Failure("lost", f"Never begun: the model ended{where} ({why.kind}: {why.sentence})")
