"""The planner against simpler ways to put runs together, on generated queues.

Runs arrive at their times; whenever a GPU is free, each way chooses the next load from the runs
that wait. No run is executed: a load takes its loading, then its runs one after the other. One JSON
line for each queue: GPU hours, and percent above the bound (every key in as few loads as it can
be), mean and p90 hours from a run's arrival to its end, the same for the urgent runs alone, and
CPU milliseconds to plan the whole queue at once (all there is for more than 1,000 runs). `--table`
prints tables.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.batching import Slot, Waiting, plan_loads

LOAD_S = 180.0
"""Seconds of loading; a guess: NVIDIA publishes none."""
MOST = 16
SIMULATED = 1000
"""Runs of a queue up to which the other ways are simulated as well."""
STEP_S = 3600.0
"""One step of priority in the order of the queue."""
Load = list[Waiting]
Way = Callable[[Sequence[Waiting], int], list[Load]]


def run(n: int, key: object, at: float, rng: random.Random, more: float = 0.0) -> Waiting:
    """A run of one chunk, 5 to 15 minutes; `more`: its other seconds in the queue's order."""
    seconds = rng.uniform(300, 900)
    return Waiting(
        f"rs_{n:05}", key, at + more, "cosmos_transfer1", "transfer", ("host",), seconds, LOAD_S,
        max_batch=MOST, since=at,
    )  # fmt: skip


def uniform(n: int, rng: random.Random) -> list[Waiting]:
    """Eight keys at random, all of them there at once."""
    return [run(i, rng.randrange(8), 0, rng, 300.0 * i) for i in range(n)]


def bursty(n: int, rng: random.Random) -> list[Waiting]:
    """Orders of 1 to 30 runs of one key, an hour apart on average; one of ten is urgent."""
    found: list[Waiting] = []
    at = 0.0
    while len(found) < n:
        key, urgent = rng.randrange(6), -20 * STEP_S * (rng.random() < 0.1)
        for i in range(min(rng.randint(1, 30), n - len(found))):
            found.append(run(len(found), key, at, rng, 300.0 * i + urgent))
        at += rng.expovariate(1 / 3600)
    return found


def sweep(n: int, rng: random.Random) -> list[Waiting]:
    """Prompts x 4 recipes, prompt by prompt."""
    return [run(i, i % 4, 0, rng, 300.0 * i) for i in range(n)]


def adversarial(n: int, rng: random.Random) -> list[Waiting]:
    """Many keys with 1 to 6 runs each, and urgent ones with less urgent mates."""
    keys = [key for key in range(n) for _ in range(rng.choice([1, 1, 2, 5, 6]))][:n]
    rng.shuffle(keys)
    urgent = [-20 * STEP_S if rng.random() < 0.05 else 0.0 for _ in keys]
    return [run(i, key, 0, rng, 300.0 * i + urgent[i]) for i, key in enumerate(keys)]


QUEUES = {f.__name__: f for f in (uniform, bursty, sweep, adversarial)}


def ordered(waiting: Iterable[Waiting]) -> list[Waiting]:
    return sorted(waiting, key=lambda run: (run.turn, run.run_id))


def one_by_one(waiting: Sequence[Waiting], _: int) -> list[Load]:
    return [[run] for run in ordered(waiting)]


def neighbours(waiting: Sequence[Waiting], _: int) -> list[Load]:
    """First in, first out: runs of one key that follow each other."""
    loads: list[Load] = []
    for run in ordered(waiting):
        if loads and loads[-1][0].key == run.key and len(loads[-1]) < MOST:
            loads[-1].append(run)
        else:
            loads.append([run])
    return loads


def identical(waiting: Sequence[Waiting], _: int, most: int = MOST) -> list[Load]:
    """All runs of one key, as many as a load may have."""
    open_loads: dict[object, Load] = {}
    loads: list[Load] = []
    for run in ordered(waiting):
        load = open_loads.get(run.key)
        if load is None or len(load) >= most:
            load = open_loads[run.key] = []
            loads.append(load)
        load.append(run)
    return loads


def fours(waiting: Sequence[Waiting], gpus: int) -> list[Load]:
    """All runs of one key, four at a time."""
    return identical(waiting, gpus, 4)


def planner(waiting: Sequence[Waiting], gpus: int) -> list[Load]:
    """Ours: only the loads that start now count, as all is planned again for the next one."""
    slots = [Slot("host", (n,)) for n in range(gpus)]
    by_id = {run.run_id: run for run in waiting}
    loads = plan_loads(waiting, slots).loads
    return [[by_id[run_id] for run_id in load.run_ids] for load in loads if load.start_s == 0]


WAYS: dict[str, Way] = {
    "one by one": one_by_one, "neighbours": neighbours, "identical": identical,
    "fours": fours, "planner": planner,
}  # fmt: skip


def simulate(queue: Sequence[Waiting], gpus: int, way: Way) -> tuple[float, dict[str, float]]:
    """GPU seconds, and by run the seconds from its arrival to its end."""
    coming = sorted(queue, key=lambda run: (run.since or 0.0, run.run_id), reverse=True)
    free = [0.0] * gpus
    heapify(free)
    here: dict[str, Waiting] = {}
    took, used, now = dict[str, float](), 0.0, 0.0
    while coming or here:
        now = max(now, free[0])
        if not here and coming:
            now = max(now, coming[-1].since or 0.0)
        while coming and (coming[-1].since or 0.0) <= now:
            run = coming.pop()
            here[run.run_id] = run
        idle = sum(at <= now for at in free)
        for load in way([*here.values()], idle)[:idle]:
            heappop(free)
            at = now + LOAD_S
            for run in load:
                at += run.seconds
                took[run.run_id] = at - (run.since or 0.0)
                del here[run.run_id]
            used += at - now
            heappush(free, at)
    return used, took


def bound(queue: Sequence[Waiting]) -> float:
    """GPU seconds that no way can stay below that knows of all runs from the beginning."""
    return plan_loads(queue, [Slot("host", (0,))]).fewest_gpu_s


def hours(seconds: Iterable[float]) -> dict[str, float]:
    """Mean and p90, in hours."""
    values = sorted(seconds)
    if not values:
        return {}
    high = quantiles(values, n=10)[-1] if len(values) > 1 else values[0]
    return {"mean_h": round(mean(values) / 3600, 2), "p90_h": round(high / 3600, 2)}


def measured(kind: str, n: int, gpus: int) -> dict[str, Any]:
    """All ways on one queue."""
    queue = QUEUES[kind](n, random.Random(n))
    slots = [Slot("host", (g,)) for g in range(gpus)]
    began = time.process_time()
    plan_loads(queue, slots)
    plan_ms = round((time.process_time() - began) * 1000, 1)
    head = {"bench": "planner", "queue": kind, "runs": n, "gpus": gpus, "plan_ms": plan_ms}
    if n > SIMULATED:
        return head
    least, found = bound(queue), {}
    urgent = {run.run_id for run in queue if run.turn < (run.since or 0.0)}
    for name, way in WAYS.items():
        used, took = simulate(queue, gpus, way)
        found[name] = {
            "gpu_h": round(used / 3600, 1),
            "above_bound_percent": round(100 * (used / least - 1), 2),
            **hours(took.values()),
            "urgent": hours(took[run_id] for run_id in urgent),
        }
    return {**head, **found}


def table(results: Sequence[dict[str, Any]]) -> None:
    """Print two tables in Markdown."""
    print(f"| queue | runs | GPUs | {' | '.join(WAYS)} | plan |")
    print(f"|---|---|---|{'---|' * len(WAYS)}---|")
    simulated = [r for r in results if "planner" in r]
    for r in simulated:
        cells = [
            f"+{r[w]['above_bound_percent']} %, {r[w]['mean_h']}, {r[w]['p90_h']}" for w in WAYS
        ]
        plan = f"{r['plan_ms']} ms"
        print(f"| {r['queue']} | {r['runs']} | {r['gpus']} | {' | '.join(cells)} | {plan} |")
    print(f"\n| urgent runs of | runs | GPUs | {' | '.join(WAYS)} |")
    print(f"|---|---|---|{'---|' * len(WAYS)}")
    for r in simulated:
        if r["planner"]["urgent"]:
            cells = [f"{r[w]['urgent']['mean_h']}, {r[w]['urgent']['p90_h']}" for w in WAYS]
            print(f"| {r['queue']} | {r['runs']} | {r['gpus']} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="*", default=[1, 20, 200, 1000, 5000])
    parser.add_argument("--gpus", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--queues", nargs="*", default=[*QUEUES])
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    results = []
    for kind in given.queues:
        for n in given.runs:
            for gpus in given.gpus:
                results.append(measured(kind, n, gpus))
                if not given.table:
                    print(json.dumps(results[-1]), flush=True)
    if given.table:
        table(results)


if __name__ == "__main__":
    main()
