"""How good estimates are, and what a plan of many runs costs, on generated histories.

Each run of a history is estimated from those before it, with the real catalog, and then made. One
JSON line for each history: `inside`, percent of runs that took no longer than their p90 (the goal:
90); `off`, median of the error of the p50 in percent of the time that the run took; `p90`, median
of the p90 in percent of that time (the nearer to 100, the better). The last line: seconds in which
5,000 runs of 50 kinds of work are estimated behind 200 completed runs, and SQL statements for it.

    steady       5 % of noise
    uneven       25 % of noise
    mixed        5 % of noise, 1 to 8 chunks, of which the first one takes a third longer
    slower       5 % of noise, each run takes 0.5 % longer than the one before
    bad_nights   5 % of noise, one run in twelve takes three times as long
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.runs.estimates.model import Estimates
from cosmos_pipelines.runs.estimates.work import Work
from tests.support.counting import counting
from tests.support.project import Project, make_project

Takes = Callable[[random.Random, int, int], float]
"""Seconds of a run, by its number and chunks."""


def noise(draw: random.Random, part: float) -> float:
    """A factor around 1."""
    return draw.lognormvariate(0, part)


def steady(draw: random.Random, _: int, chunks: int) -> float:
    return 350 * chunks * noise(draw, 0.05)


def uneven(draw: random.Random, _: int, chunks: int) -> float:
    return 350 * chunks * noise(draw, 0.25)


def mixed(draw: random.Random, _: int, chunks: int) -> float:
    return 350 * (chunks + 1 / 3) * noise(draw, 0.05)


def slower(draw: random.Random, number: int, chunks: int) -> float:
    return steady(draw, number, chunks) * 1.005**number


def bad_nights(draw: random.Random, number: int, chunks: int) -> float:
    return steady(draw, number, chunks) * (3 if draw.random() < 1 / 12 else 1)


HISTORIES: dict[str, tuple[tuple[int, ...], Takes]] = {
    "steady": ((2,), steady),
    "uneven": ((2,), uneven),
    "mixed": ((1, 2, 3, 5, 8), mixed),
    "slower": ((2,), slower),
    "bad_nights": ((2,), bad_nights),
}


def work_of(chunks: int) -> Work:
    """A transfer of so many chunks."""
    return Work("cosmos_transfer1", "transfer", 1, "3 control(s)", chunks, 35)


def made(project: Project, prompt: str, chunks: int, seconds: float, load_s: float) -> None:
    """Enter a completed run."""
    catalog = project.catalog
    run = catalog.add_run("transfer", "cosmos_transfer1", "local", {}, prompt_id=prompt)
    catalog.claim(run.id, "us")
    catalog.advance(run.id, "us", "uploading", "running")
    catalog.advance(run.id, "us", "running", "downloading")
    timing: dict[str, Any] = {"seconds": seconds, "load_s": load_s, "chunks": chunks, "steps": 35}
    timing |= {"gpus": 1, "kind": "3 control(s)"}
    outputs = {"video": "v", "timing": timing}
    catalog.advance(run.id, "us", "downloading", "completed", outputs=outputs)


def judged(name: str, number: int) -> dict[str, Any]:
    """How good the estimates of a history are."""
    lengths, takes = HISTORIES[name]
    draw = random.Random(name)
    inside, off, high = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        prompt = project.catalog.add_prompt("text", None, "city", "name", {})[0].id
        for n in range(number):
            chunks = draw.choice(lengths)
            seconds, load_s = takes(draw, n, chunks), 90 * noise(draw, 0.1)
            told = Estimates(project.catalog, project.settings).of_run(work_of(chunks), "local")
            if told is not None and told.whole.p90 is not None:
                true = seconds + load_s
                inside.append(true <= told.whole.p90)
                off.append(abs(told.whole.p50 - true) / true)
                high.append(told.whole.p90 / true)
            made(project, prompt, chunks, seconds, load_s)
        project.catalog.close()
    percents = {"off": median(off), "p90": median(high), "inside": sum(inside) / len(inside)}
    return {"history": name, "runs": len(inside)} | {k: round(100 * v) for k, v in percents.items()}


def planned(number: int) -> dict[str, Any]:
    """What it costs to estimate many runs."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        prompt = project.catalog.add_prompt("text", None, "city", "name", {})[0].id
        for n in range(200):
            made(project, prompt, 1 + n % 50, 350.0, 90.0)
        began = time.perf_counter()
        estimates = Estimates(project.catalog, project.settings)
        for n in range(number):
            estimates.of_run(work_of(1 + n % 50), "local")
        seconds = time.perf_counter() - began
        with counting(project.settings) as counts:
            Estimates(project.catalog, project.settings).of_run(work_of(1), "local")
        project.catalog.close()
    return {"estimated": number, "seconds": round(seconds, 3), "statements": counts["statement"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=120, help="of each history")
    given = parser.parse_args()
    for name in HISTORIES:
        print(json.dumps(judged(name, given.runs)), flush=True)
    print(json.dumps(planned(5_000)), flush=True)


if __name__ == "__main__":
    main()
