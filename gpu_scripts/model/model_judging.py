"""Decide why samples have no video, and whether to continue with the other samples. Pure.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from model_log import one_line

OF_THE_PLACE = frozenset({"out_of_memory", "gpu_lost", "launch_failed", "disk_full", "lost"})
"""Kinds of failures that belong to the host, not to a sample: another load would fail too."""


class Failure(NamedTuple):
    """The reason why a sample has no video."""

    kind: str
    sentence: str


class Line(NamedTuple):
    """A failure in a line of the model, and the part that the model was making."""

    part: int
    failure: Failure


class End(NamedTuple):
    """The end of a load; `said`: its last line that looks like an error, or just its last line."""

    code: int
    said: str = ""
    killed: bool = False
    """Whether signal 9 killed a process of the model, not sent by this program."""


class Load(NamedTuple):
    """The known facts of a load that has ended."""

    parts: int
    """Number of the load's parts."""
    batch_size: int
    reached: Collection[int]
    """Parts that have ended, finished or failed."""
    begun: int
    """The last part that is known to have started."""
    exact: bool
    """Whether the model prints a line when it starts a part."""
    lines: Sequence[Line]
    end: End


def judged(load: Load) -> dict[int, Failure]:
    """Return the failures of parts that were tried and have no video; others were not reached."""
    size, last = load.batch_size, load.begun // load.batch_size
    missing = [part for part in range(load.parts) if part not in load.reached]
    tried = missing if load.end.code == 0 else [n for n in missing if n // size <= last]
    failures = {}
    for part, printed in _shared_out(tried, load).items():
        at_the_end = load.end.code != 0 and part // size == last
        failures[part] = _worst(printed, of_the_end(load.end) if at_the_end else None)
    return failures


def _shared_out(tried: Sequence[int], load: Load) -> dict[int, list[Failure]]:
    """Assign the failures of log lines to parts.

    If the model does not print which part it starts, neighbouring parts without a video share the
    failures that were printed while they were made. The model may be ahead of its visible files:
    so a failure printed at a part with a video counts for the parts before it, if there is no other
    failure for them.
    """
    size = load.batch_size
    shared: dict[int, list[Failure]] = {}
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
            shared[part] = [line.failure for line in own]
    return shared


def _units(parts: Sequence[int], batch_size: int, exact: bool) -> list[list[int]]:
    """Group parts that the time of a line cannot distinguish."""

    def near(a: int, b: int) -> bool:
        return a // batch_size == b // batch_size if exact else b == a + 1

    units: list[list[int]] = []
    for part in parts:
        if units and near(units[-1][-1], part):
            units[-1].append(part)
        else:
            units.append([part])
    return units


def _worst(failures: Sequence[Failure], at_the_end: Failure | None) -> Failure:
    """Choose the cause: a failure of the host counts most, else the first printed failure."""
    for failure in failures:
        if failure.kind in OF_THE_PLACE:
            return failure
    if failures:
        return failures[0]
    return at_the_end or Failure("output_missing", "The model printed no error and wrote no video.")


def of_the_end(end: End) -> Failure | None:
    """Return the failure that a load's end shows; None if the load ended well."""
    if end.killed or end.code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        why = "most likely the host's memory ran out"
        return Failure("out_of_memory", f"The model was killed (signal 9): {why}.")
    if end.code in (-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT):
        return Failure("lost", "Another program stopped the model.")
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
    """Whether to start another load for the `left` parts, after a load that `made` some parts.

    A sample that failed by itself can be left out; a failure of the host will come again. A load
    that makes nothing and had no refused prompt would most likely fail in the same way again.
    """
    kinds = Counter(failure.kind for failure in failures)
    last = of_the_end(end)
    if not left or OF_THE_PLACE & kinds.keys() or (last and last.kind in OF_THE_PLACE):
        return False
    return bool(kinds) and (made > 0 or kinds.keys() == {"blocked"})


def never_reached(failures: Iterable[Failure], end: End, made: int, at: str) -> Failure:
    """Return the failure of parts that the last load did not reach."""
    known = [*failures]
    last = of_the_end(end)
    why = next((f for f in known if f.kind in OF_THE_PLACE), None) or last or known[0]
    if why.kind in ("disk_full", "launch_failed", "gpu_lost") or (
        why.kind == "out_of_memory" and not made
    ):
        return why  # this failure is true for all parts
    where = f" at {at}" if at else ""
    return Failure("lost", f"Never started: the model ended{where} ({why.kind}: {why.sentence})")
