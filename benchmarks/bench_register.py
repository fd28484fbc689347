"""What it costs to register many runs, by each door: seconds, CPU, statements, transactions.

A project with one tiny scene and the preview engine, nothing in its queue, no daemon. Each door
registers the same number of runs: `api` (`cosmos inference` with many prompts, `--detach`), `order`
(the order page), `job` (the job `create_runs` of Dagster's page, its Dagster run included) and
`scene` (the asset `scenes`: runs of ten prompts that the scene's own file asks for). `dagster`
counts the statements of Dagster's databases. The yardstick of this machine, in the same process: so
many rows written to the same catalog, each in a transaction of its own (`ratio` is the seconds of a
door by those). One JSON line a door.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.partitions import SCENES
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.resources.instance import open_instance
from tests.support.dagster_project import QUIET, materialize
from tests.support.project import Project, make_project


class Counts:
    """The statements and commits of this process, by the database's file."""

    def __init__(self, catalog: str) -> None:
        self.catalog, self.numbers = catalog, dict[str, int]()

    def statement(self, connection: Any, *_: Any) -> None:
        where = "catalog" if self.catalog in str(connection.engine.url) else "dagster"
        self.numbers[where] = self.numbers.get(where, 0) + 1

    def commit(self, connection: Any) -> None:
        where = "catalog" if self.catalog in str(connection.engine.url) else "dagster"
        name = f"{where}_commits"
        self.numbers[name] = self.numbers.get(name, 0) + 1


@contextmanager
def counted(catalog: str) -> Iterator[dict[str, int]]:
    """What this process asks of databases in here."""
    counts = Counts(catalog)
    event.listen(Engine, "before_cursor_execute", counts.statement)
    event.listen(Engine, "commit", counts.commit)
    try:
        yield counts.numbers
    finally:
        event.remove(Engine, "before_cursor_execute", counts.statement)
        event.remove(Engine, "commit", counts.commit)


def yardstick(project: Project, number: int) -> float:
    """Seconds of so many small transactions of the catalog."""
    began = time.perf_counter()
    for n in range(number):
        project.catalog.put_recipe("yardstick", "preview", "transfer", {"seed": n})
    return time.perf_counter() - began


def request(scene: Path, number: int) -> None:
    """A scene.toml that asks for so many runs, of ten prompts."""
    prompts = "".join(f'[[prompt]]\ntext = "asked {n}"\n' for n in range(10))
    recipes = "".join(f"[[recipe]]\nseed = {n}\n" for n in range(number // 10))
    (scene / "scene.toml").write_text(prompts + recipes)


def doors(
    project: Project, cosmos: CosmosAPI, number: int, prompts: list[str]
) -> dict[str, Callable[[], object]]:
    """The ways in, each with what it registers."""
    settings = project.settings
    job = build_definitions(settings).resolve_job_def("create_runs")
    form = {"prompts": prompts, "seeds": [1000]}

    def by_job() -> None:
        with open_instance(settings, captures=False) as instance:
            config = QUIET | {"ops": {"register_runs": {"config": form}}}
            assert job.execute_in_process(instance=instance, run_config=config).success

    def by_order() -> None:
        assert cosmos.queue_order(prompts, key="benchmark-1")["new"] == number

    def by_scene() -> None:
        before = project.catalog.count_by_status()["pending"]
        with open_instance(settings, captures=False) as instance:
            assert materialize(project, instance, SCENES, "city").success
        assert project.catalog.count_by_status()["pending"] - before == number

    return {
        "api": lambda: cosmos.batch_inference(prompts, queue=True, seed=7),
        "order": by_order,
        "job": by_job,
        "scene": by_scene,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--doors", nargs="*")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cosmos-register-") as folder:
        project = make_project(Path(folder) / "home")
        scene = project.scene()
        with CosmosAPI(project.settings.home) as cosmos:
            prompts = [cosmos.create_prompt(f"look {n}", scene)["id"] for n in range(given.runs)]
            with open_instance(project.settings, captures=False) as instance:
                known = project.catalog.list_prompts(limit=None)
                record(instance, project.catalog, project.settings, *known)
            request(scene, given.runs)
            for name, register in doors(project, cosmos, given.runs, prompts).items():
                if given.doors and name not in given.doors:
                    continue
                stick = yardstick(project, given.runs)
                began, cpu = time.perf_counter(), time.process_time()
                with counted(str(project.settings.catalog_url).rpartition("/")[2]) as numbers:
                    register()
                took = time.perf_counter() - began
                line = {
                    "bench": "register",
                    "door": name,
                    "runs": given.runs,
                    "s": round(took, 2),
                    "cpu_s": round(time.process_time() - cpu, 2),
                    "yardstick_s": round(stick, 2),
                    "ratio": round(took / stick, 1),
                    **numbers,
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
