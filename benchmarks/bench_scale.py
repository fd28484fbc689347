"""A project with 10,000 waiting and 100,000 ended runs: what each question of its users costs.

The catalog has 1,000 scenes with a prompt each, but one prompt has 10,000 of the ended runs, all of
an older render; Dagster has the partitions of all of them. One JSON line a question: CPU seconds of
this process and seconds of the clock (the first time, and the median of the next ones), and the
statements of the catalog and of Dagster's databases. Then the same of a tick of each sensor, with
nothing new. `--postgres`: all of it on a PostgreSQL server of its own. `--pages`: also our screens
and Dagster's in a real Chromium, with Dagster's answers to GraphQL.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import update

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.scale_pages import materialised, tell_pages
from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.partitions import (
    ENHANCE_KEYS,
    PROMPT_KEYS,
    RUN_KEYS,
    VIDEOS,
    add_keys,
)
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings
from tests.support.counting import counting
from tests.support.dagster_project import tick
from tests.support.many import fill
from tests.support.postgres import running_server
from tests.support.project import Project, settings_in

TIMES = 3
SCENES = 1_000
OF_ONE = 10_000
"""Ended runs of one prompt."""


@contextmanager
def database(postgres: bool) -> Iterator[str]:
    """What cosmos.toml says of the database."""
    if not postgres:
        yield ""
        return
    with running_server() as url:
        yield f'[postgres]\nurl = "{url.replace("+psycopg2", "")}"\n'


@contextmanager
def filled(folder: Path, toml: str, n_waiting: int, n_ended: int) -> Iterator[tuple[Project, str]]:
    """The project, and the cursor behind all of its changes."""
    settings = settings_in(folder / "home", toml)
    with closing(backend_for(settings)) as backend:
        assert isinstance(backend, LocalBackend)
        yield _filled(settings, backend, n_waiting, n_ended)


def _filled(
    settings: Settings, backend: LocalBackend, n_waiting: int, n_ended: int
) -> tuple[Project, str]:
    project = Project(settings, Catalog.open(settings.catalog_url), backend)
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
        ended = project.catalog.list_runs(status="completed", model_type="transfer", limit=None)
        materialised(instance, VIDEOS, [run.id for run in ended])
    return project, at


def questions(cosmos: CosmosAPI) -> dict[str, Callable[[], Any]]:
    """What the command line and the pages ask."""
    nothing = [f"rs_{n:032x}" for n in range(10**9, 10**9 + 10_001)]
    newest = cosmos.list_runs(limit=1)[0]["id"]
    return {
        "cosmos status": cosmos.check_status,
        "queue screen": cosmos.look_at_queue,
        "cosmos queue": lambda: cosmos.look_at_queue(50),
        "cosmos queue plan": cosmos.plan_queue,
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
    times, clock = [], []
    for _ in range(TIMES):
        began, at = time.process_time(), time.perf_counter()
        ask()
        times.append(round(time.process_time() - began, 3))
        clock.append(round(time.perf_counter() - at, 3))
    said = {name: number for name, number in counts.items() if "statement" in name}
    line = {"first_s": times[0], "then_s": median(times[1:]), "clock_s": median(clock), **said}
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
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--pages", action="store_true")
    given = parser.parse_args()

    def wanted(name: str) -> bool:
        return not given.only or any(word in name for word in given.only)

    with (
        database(given.postgres) as toml,
        tempfile.TemporaryDirectory(prefix="cosmos-scale-") as folder,
        filled(Path(folder), toml, given.waiting, given.ended) as (project, at),
    ):
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
        if given.pages:
            (run,) = project.catalog.list_runs(status="completed", model_type="transfer", limit=1)
            tell_pages(project.settings, run.id, max(0, given.waiting - 100))


if __name__ == "__main__":
    main()
