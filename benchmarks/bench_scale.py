"""A project with 10,000 waiting and 100,000 ended runs: what each question of its users costs.

The catalog has 1,000 scenes with a prompt each, but one prompt has 10,000 of the ended runs, all of
an older render; Dagster has the partitions of all of them. One JSON line a question: CPU seconds of
this process (the first time, and the median of the next ones), and the statements of the catalog
and of Dagster's databases. Then the same of a tick of each sensor, with nothing new.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import update

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.partitions import ENHANCE_KEYS, PROMPT_KEYS, RUN_KEYS, add_keys
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.resources.instance import open_instance
from tests.support.counting import counting
from tests.support.dagster_project import tick
from tests.support.many import fill
from tests.support.project import Project, make_project

TIMES = 3
SCENES = 1_000
OF_ONE = 10_000
"""Ended runs of one prompt."""


def filled(folder: Path, n_waiting: int, n_ended: int) -> tuple[Project, str]:
    """The project, and the cursor behind all of its changes."""
    project = make_project(folder / "home")
    at = fill(project, n_scenes=SCENES, n_waiting=n_waiting, n_ended=n_ended)
    with project.catalog.write() as tx:
        first = runs.c.id < f"rs_{min(OF_ONE, n_ended):032x}"
        tx.connection.execute(update(runs).where(first).values(prompt_id=f"ps_{0:032x}"))
    with open_instance(project.settings, captures=False) as instance:
        prompts = [f"ps_{n:032x}" for n in range(SCENES)]
        for keys in (PROMPT_KEYS, ENHANCE_KEYS):
            add_keys(instance, str(keys.name), prompts)
        every = [f"rs_{n:032x}" for n in range(n_waiting + n_ended)]
        add_keys(instance, str(RUN_KEYS.name), every)
    return project, at


def questions(cosmos: CosmosAPI) -> dict[str, Callable[[], Any]]:
    """What the command line and the pages ask."""
    nothing = [f"rs_{n:032x}" for n in range(10**9, 10**9 + 10_001)]
    newest = cosmos.list_runs(limit=1)[0]["id"]
    return {
        "cosmos status": cosmos.check_status,
        "queue screen": cosmos.look_at_queue,
        "queue screen, page 50": lambda: cosmos.look_at_queue(200, 9800),
        "strip": cosmos.count_states,
        "what now": cosmos.what_now,
        "wall, first page": cosmos.find_runs,
        "wall, count": cosmos.count_runs,
        "wall, tags": cosmos.known_tags,
        "cosmos list runs": cosmos.list_runs,
        "run page, story": lambda: cosmos.story(newest),
        "run page, sheet": lambda: cosmos.run_sheet(newest),
        "scenes screen": cosmos.scenes_after,
        "older videos of a scene": lambda: cosmos.older_videos("scene_00000"),
        "cancel 10,001 unknown": lambda: cosmos.cancel_waiting(nothing),
        "stop 10,001 unknown": lambda: cosmos.stop_runs(nothing),
        "queued ids": lambda: cosmos.queued_ids("night"),
        "changes, nothing new": lambda: cosmos.changes(None),
    }


def tell(project: Project, name: str, ask: Callable[[], Any]) -> None:
    """Ask several times, and print what it has cost."""
    with counting(project.settings) as counts:
        ask()
    times = []
    for _ in range(TIMES):
        began = time.process_time()
        ask()
        times.append(round(time.process_time() - began, 3))
    said = {name: number for name, number in counts.items() if "statement" in name}
    line = {"first_s": times[0], "then_s": median(times[1:]), **said}
    print(json.dumps({"bench": "scale", "what": name, **line}), flush=True)


class Ticks:
    """A sensor that is evaluated again and again."""

    def __init__(self, project: Project, sensor: Any, instance: Any, cursor: str | None) -> None:
        self.of, self.cursor = (project, sensor, instance), cursor

    def __call__(self) -> None:
        _, self.cursor = tick(*self.of, self.cursor)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--ended", type=int, default=100_000)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()

    def wanted(name: str) -> bool:
        return not given.only or any(word in name for word in given.only)

    with tempfile.TemporaryDirectory(prefix="cosmos-scale-") as folder:
        project, at = filled(Path(folder), given.waiting, given.ended)
        with CosmosAPI(project.settings.home) as cosmos:
            for name, ask in questions(cosmos).items():
                if wanted(name):
                    tell(project, name, ask)
        quiet = {
            "catalog_sync": json.dumps({"at": at, "sets": 1}),
            "up_to_date": json.dumps({"at": at, "files": {}}),
        }
        with open_instance(project.settings, captures=False) as instance:
            for sensor in build_definitions(project.settings).sensors or ():
                if wanted(name := f"tick of {sensor.name}"):
                    ticks = Ticks(project, sensor, instance, quiet.get(sensor.name))
                    tell(project, name, ticks)


if __name__ == "__main__":
    main()
