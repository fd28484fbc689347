"""Compares what the hosts have written down with what the catalog says. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Cut = tuple[str, float, float]
"""A host, and from when to when it had no power."""


@dataclass
class Program:
    """One start of the model's program, as its host tells it."""

    token: str
    order: str
    host: str
    gpus: tuple[str, ...]
    runs: tuple[str, ...]
    start: float
    last: float
    code: int | None = None
    """None: it did not come to its end."""
    made: dict[str, str] = field(default_factory=dict)
    """SHA-256 by run."""
    failed: set[str] = field(default_factory=set)
    hangs: set[str] = field(default_factory=set)

    def cut(self, cuts: Iterable[Cut]) -> bool:
        """Whether its host lost its power while it ran."""
        return self.code is None and any(
            host == self.host and self.start <= off and self.last <= off + 1
            for host, off, _ in cuts
        )


@dataclass(frozen=True)
class Made:
    """A run of the catalog at the end."""

    id: str
    text: str
    """Of its prompt, which is another one for each run."""
    status: str
    error_kind: str | None
    model_sha256: str | None
    """Of the file that was fetched from the host."""
    whole: bool
    """Whether the file on the disk is the one that the catalog says."""


def programs_of(text: str) -> list[Program]:
    """Read an account. A line that a power cut has torn is left out."""
    found: dict[str, Program] = {}
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        _add(found, event)
    return list(found.values())


def _add(found: dict[str, Program], event: Mapping[str, Any]) -> None:
    token, at = event["token"], event["at"]
    if event["event"] == "start":
        gpus, runs = tuple(event["gpus"]), tuple(event["runs"])
        found[token] = Program(token, event["order"], event["host"], gpus, runs, at, at)
        return
    program = found[token]
    program.last = max(program.last, at)
    match event["event"]:
        case "made":
            program.made[event["run"]] = event["sha256"]
        case "failed":
            program.failed.add(event["run"])
        case "hangs":
            program.hangs.add(event["run"])
        case "end":
            program.code = event["code"]


def breaks(
    ordered: Collection[str],
    runs: Sequence[Made],
    programs: Sequence[Program],
    cuts: Sequence[Cut],
) -> Iterator[str]:
    """Yield what is not as it must be.

    Args:
        ordered: the texts that were ordered, one run each.
        runs: all runs of the catalog.
        programs: all starts of the model on all hosts.
        cuts: of the hosts' power.
    """
    yield from _wrong_orders(ordered, runs)
    yield from _shared_gpus(programs)
    of_run = defaultdict[str, list[Program]](list)
    for program in sorted(programs, key=lambda p: p.start):
        for run_id in program.runs:
            of_run[run_id].append(program)
    known = {run.id for run in runs}
    for run_id in of_run.keys() - known:
        yield f"{run_id} was started on a host, and is not in the catalog"
    for run in runs:
        mine = of_run[run.id]
        yield from (f"{run.id} ({run.text}): {what}" for what in _wrong_end(run, mine, cuts))
        yield from (f"{run.id} ({run.text}): {what}" for what in _wrong_starts(run, mine, cuts))


def _wrong_orders(ordered: Collection[str], runs: Sequence[Made]) -> Iterator[str]:
    counted = Counter(run.text for run in runs)
    for text in sorted({*ordered} - counted.keys()):
        yield f"'{text}' was ordered, and there is no run of it"
    for text, number in counted.items():
        if text not in ordered:
            yield f"'{text}' has a run, and was not ordered"
        elif number > 1:
            yield f"'{text}' was ordered once, and has {number} runs"


def _shared_gpus(programs: Sequence[Program]) -> Iterator[str]:
    by_gpu = defaultdict[tuple[str, str], list[Program]](list)
    for program in programs:
        if len(program.gpus) != 1:
            gpus = ",".join(program.gpus) or "none"
            yield f"{program.order} on {program.host} was given other GPUs than one: {gpus}"
        for gpu in program.gpus:
            by_gpu[program.host, gpu].append(program)
    for (host, gpu), users in by_gpu.items():
        users.sort(key=lambda p: p.start)
        for before, after in pairwise(users):
            if after.start < before.last:
                both = f"{before.order} and {after.order}"
                seconds = f"{before.last - after.start:.1f} s"
                yield f"GPU {gpu} of {host} was used by {both} for {seconds}"


def _wrong_end(run: Made, mine: Sequence[Program], cuts: Sequence[Cut]) -> Iterator[str]:
    """Yield what is untrue of a run's end."""
    made = [program.made[run.id] for program in mine if run.id in program.made]
    if run.status == "completed":
        if run.model_sha256 not in made:
            yield "it is completed, and its file is of no program on a host"
        if not run.whole:
            yield "it is completed, and its file on the disk is another one"
        return
    if run.status != "failed":
        yield f"it is {run.status} at the end"
        return
    true = {
        "model_failed": any(run.id in program.failed for program in mine),
        "stalled": any(program.hangs for program in mine),
        "timeout": any(program.hangs for program in mine),
        "lost": any(program.cut(cuts) for program in mine),
        "host_gone": any(program.cut(cuts) for program in mine),
    }
    if not true.get(run.error_kind or "", False):
        yield f"it failed as {run.error_kind}, which no host knows of"
    if made:
        yield f"it failed as {run.error_kind}, and a host has made it"


def _wrong_starts(run: Made, mine: Sequence[Program], cuts: Sequence[Cut]) -> Iterator[str]:
    """Yield each start that should not have been, or that came too early."""
    for before, after in pairwise(mine):
        if run.id in before.made:
            yield f"it was made by {before.order}, and started again by {after.order}"
        elif run.id in before.failed:
            yield f"it failed in {before.order}, and was started again by {after.order}"
        elif not before.hangs and not before.cut(cuts):
            yield f"{before.order} was not cut off and did not hang, and {after.order} followed"
        if after.start < before.last:
            yield f"{after.order} began while {before.order} was at work"
    if not mine and run.status in ("completed", "failed"):
        yield f"it is {run.status}, and no host has started it"
