"""How long the daemon lets work wait, and what its looks cost while a long queue waits.

Two parts, a JSON line each. Times, against a daemon that runs, with runs of the preview engine that
take a second: from the marker of a dropped scene with a prompt.txt until its run is claimed; from
`cosmos inference --detach` (its start, and its end) until the run is claimed; from the end of a
batch's last run until the next batch is claimed; and how long 200 runs take to be registered. Then
the CPU time of each sensor's look with 10,000 waiting and 100,000 ended runs, in the catalog and in
Dagster, where nothing has changed, and of the look that requests the first batches; `videos`: of
one at 40 waiting upscales of different videos.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sqlalchemy import select

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.tables import revisions
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.operations import Upscale
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
from cosmos_pipelines.settings import environment_of
from tests.support.dagster_project import run_job, tick
from tests.support.many_runs import copy_dagster_run, copy_run
from tests.support.project import Project, make_project, write_video

WITHIN_S = 120
COMPLETED = {"status": "completed", "queued_at": None, "outputs": {"video": "outputs/none.mp4"}}


def waited(look: Callable[[], Any]) -> float:
    """Seconds until `look` says something."""
    began = time.monotonic()
    while not look():
        if time.monotonic() - began > WITHIN_S:
            raise TimeoutError(f"nothing came within {WITHIN_S} s")
        time.sleep(0.02)
    return time.monotonic() - began


def claimed(run: Run | None) -> bool:
    """Whether a process has taken the run."""
    return run is not None and run.status != "pending"


@contextmanager
def begun(home: Path) -> Iterator[tuple[Project, CosmosAPI, str]]:
    """A project with the scene `city`, its API on the same catalog, and a prompt."""
    made = make_project(home)
    made.catalog.close()
    with CosmosAPI(home) as api:
        project = replace(made, settings=api.settings, catalog=api.catalog)
        prompt = api.create_prompt("a street at dawn", str(project.scene()))
        yield project, api, prompt["id"]


class Daemon:
    """A daemon of a project."""

    def __init__(self, project: Project) -> None:
        settings = project.settings
        with open_instance(settings), (settings.dagster_dir / "daemon.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cosmos_pipelines.daemon"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=settings.home,
                env=environment_of(settings),
            )

    def close(self) -> None:
        """End the daemon."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def dropped(project: Project, name: str) -> float:
    """Seconds from a scene's marker until its run is claimed."""
    directory = project.scene(name)
    (directory / "prompt.txt").write_text(f"a street called {name}\n")
    (directory / "scene.ready").touch()
    prompts: list[str] = []

    def look() -> bool:
        if not prompts:
            prompts.extend(p.id for p in project.catalog.list_prompts(scene=name))
        return bool(prompts) and any(map(claimed, project.catalog.list_runs(prompt_id=prompts[0])))

    return waited(look)


def detached(project: Project, prompt_id: str) -> tuple[float, float]:
    """Seconds from start and from end of the command until its run is claimed."""
    began = time.monotonic()
    words = ["--home", str(project.settings.home), "inference", prompt_id, "--detach", "--json"]
    command = [sys.executable, "-m", "cosmos_pipelines.cli", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    returned = time.monotonic()
    run_id = json.loads(done.stdout)["id"]
    waited(lambda: claimed(project.catalog.find_run(run_id)))
    return time.monotonic() - began, time.monotonic() - returned


def idle(project: Project, api: CosmosAPI, prompt_id: str, runs: int) -> list[float]:
    """Seconds between the batches of a queue of `runs` runs."""
    ids = [api.create_run(prompt_id, queue=True, seed=seed)["id"] for seed in range(runs)]

    def ended() -> list[Run]:
        found = project.catalog.find_runs(ids).values()
        return [run for run in found if run.status == "completed"]

    waited(lambda: len(ended()) == runs)
    batches: dict[str, list[Run]] = {}
    for run in ended():
        batches.setdefault(run.batch_id or run.id, []).append(run)
    spans = sorted(
        (
            min(run.started_at for run in some if run.started_at),
            max(run.completed_at for run in some if run.completed_at),
        )
        for some in batches.values()
    )
    return [(b - end).total_seconds() for (_, end), (b, _) in pairwise(spans)]


def registered(project: Project, api: CosmosAPI, prompt_id: str) -> dict[str, float]:
    """Seconds for 200 runs from the form of the page, and from the Python API."""
    with open_instance(project.settings, captures=False) as instance:
        seeds = list(range(1000, 1200))
        began = time.monotonic()
        done = run_job(
            project,
            instance,
            "create_runs",
            "register_runs",
            prompts=[prompt_id],
            seeds=seeds,
            queue=False,
        )
        assert done.success
        form = time.monotonic() - began
    began = time.monotonic()
    for seed in range(2000, 2200):
        api.create_run(prompt_id, seed=seed)
    return {"form": round(form, 2), "API": round(time.monotonic() - began, 2)}


def measure_waits(home: Path, times: int) -> dict[str, Any]:
    """Times against a daemon that runs."""
    with begun(home) as (project, api, prompt_id):
        return waits_of(project, api, prompt_id, times)


def waits_of(project: Project, api: CosmosAPI, prompt_id: str, times: int) -> dict[str, Any]:
    """Times of a project against a daemon that runs."""
    daemon = Daemon(project)
    try:
        dropped(project, "first")  # the daemon has loaded everything after this
        drops = [dropped(project, f"scene{n}") for n in range(times)]
        detaches = [detached(project, prompt_id) for _ in range(times)]
        gaps = idle(project, api, prompt_id, 24)
    finally:
        daemon.close()
    return {
        "drop to start": told(drops),
        "detach to start": told([begin for begin, _ in detaches]),
        "detach's end to start": told([end for _, end in detaches]),
        "idle between batches": told(gaps),
        "registering 200 runs": registered(project, api, prompt_id),
    }


def told(seconds: list[float]) -> dict[str, float]:
    """p50 and maximum."""
    return {"p50": round(median(seconds), 2), "max": round(max(seconds), 2)}


def crowd(
    project: Project, run: Run, instance: dg.DagsterInstance, waiting: int, ended: int
) -> None:
    """Fill the catalog with copies of a run, and Dagster's records with ended Dagster runs."""
    copy_run(project.catalog, run, waiting - 1)
    copy_run(project.catalog, run, ended, **COMPLETED)
    tags = {"dagster/run_key": "ended", "cosmos/by": "queue", "cosmos/first_run": run.id}
    job = build_definitions(project.settings).resolve_job_def("execute_runs_batch")
    config = {"ops": {"execute_batch": {"config": {"run_ids": [run.id] * 8}}}}
    status = dg.DagsterRunStatus.SUCCESS
    one = instance.create_run_for_job(job, run_config=config, tags=tags, status=status)
    copy_dagster_run(instance, one.run_id, ended)


def take_up(instance: dg.DagsterInstance, requests: list[dg.RunRequest]) -> None:
    """Make the Dagster runs that the daemon would make of requests."""

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def some() -> None:
        nothing()

    for request in requests:
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        instance.create_run_for_job(some, tags=tags, status=dg.DagsterRunStatus.STARTED)


def measure_looks(home: Path, waiting: int, ended: int) -> dict[str, Any]:
    """CPU milliseconds of each sensor's look."""
    with begun(home) as (project, api, prompt_id):
        run = project.catalog.get_run(api.create_run(prompt_id, queue=True)["id"])
        return looks_of(project, run, waiting, ended)


def looks_of(project: Project, run: Run, waiting: int, ended: int) -> dict[str, Any]:
    """CPU milliseconds of each sensor's look at a project with copies of this run."""
    sensors = {s.name: s for s in build_definitions(project.settings).sensors or ()}
    found: dict[str, Any] = {}
    with open_instance(project.settings, captures=False) as instance:
        crowd(project, run, instance, waiting, ended)
        with project.catalog.read() as connection:
            newest = str(connection.execute(select(revisions.c.value)).scalar_one())
        for name, sensor in sensors.items():
            known = name in ("catalog_sync", "up_to_date")
            cursor = json.dumps({"at": newest}) if known else None
            result, cursor, first = look(project, sensor, instance, cursor)
            if name == "dispatch_queue":
                found["dispatch_queue, first look"] = first
            for _ in range(3):
                take_up(instance, getattr(result, "run_requests", None) or [])
                result, cursor, cost = look(project, sensor, instance, cursor)
            found[name] = cost
    return found


def measure_videos(home: Path) -> float:
    """CPU milliseconds of a look at 40 waiting upscales of different videos."""
    project = make_project(home)
    video = write_video(home / "video.mp4", frames=121, width=1280, height=704)
    for number in range(40):
        path = shutil.copy(video, home / f"video_{number}.mp4")
        fields = Upscale().config()
        source = {"video": str(path)}
        project.catalog.add_run("upscale", "preview", "local", fields, source=source, queued=True)
    with open_instance(project.settings, captures=False) as instance:
        return look(project, dispatch_queue, instance, None)[2]


def look(
    project: Project, sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None
) -> tuple[Any, str | None, float]:
    """A look of a sensor: what it says, the next cursor, and its CPU milliseconds."""
    began = time.process_time()
    result, cursor = tick(project, sensor, instance, cursor)
    return result, cursor, round((time.process_time() - began) * 1000, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="drops and detached runs")
    parser.add_argument("--waiting", type=int, default=10_000, help="waiting runs")
    parser.add_argument("--ended", type=int, default=100_000, help="ended runs")
    parser.add_argument("--only", choices=["waits", "looks"], help="one part")
    said = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="cosmos-daemon-"))
    try:
        if said.only != "looks":
            line = {"name": "seconds to wait", **measure_waits(base / "waits", said.times)}
            print(json.dumps({**line, "load": load()}), flush=True)
        if said.only != "waits":
            costs = measure_looks(base / "looks", said.waiting, said.ended)
            costs["dispatch_queue, videos"] = measure_videos(base / "videos")
            name = f"CPU ms of a look at {said.waiting} waiting and {said.ended} ended runs"
            print(json.dumps({"name": name, **costs, "load": load()}), flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def load() -> list[float]:
    """How busy the machine is."""
    return [round(value, 1) for value in os.getloadavg()]


if __name__ == "__main__":
    main()
