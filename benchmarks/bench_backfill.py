"""A backfill of prompts to enhance, asked for on Dagster's page: loads of the model, seconds.

A project with prompts for one tiny scene and the preview engine, `cosmos ui` with its daemon. All
prompts' partitions of `enhanced_prompts` are selected, or every second one, and materialised. One
JSON line each: Dagster runs of the backfill, loads of the model, seconds until all are made, and
`ranges`: the Dagster runs that BackfillPolicy.single_run would make of the same selection.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.partitions import ENHANCE_KEYS, ENHANCED
from cosmos_pipelines.assets.sync import add_partitions
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import environment_of
from tests.support.project import Project, make_project

BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on PythonError { message } } }"""
WITHIN_S = 400


def ask(url: str, query: str, **variables: Any) -> Any:
    """The page's answer."""
    body = {"query": query, "variables": variables}
    return httpx.post(f"{url}/graphql", json=body, timeout=60).json()["data"]


def served(project: Project) -> tuple[subprocess.Popen[bytes], str]:
    """`cosmos ui`, when its page and its code answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = subprocess.Popen(
        [sys.executable, "-m", "cosmos_pipelines.cli", "--home", str(project.settings.home), "ui",
         "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment_of(project.settings),
    )  # fmt: skip
    url, node = f"http://127.0.0.1:{port}", "{ assetNodes { id } }"
    for _ in range(WITHIN_S):
        try:
            if ask(url, node)["assetNodes"]:
                return page, url
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        time.sleep(0.3)
    raise TimeoutError("the page")


def ranges(instance: dg.DagsterInstance, keys: list[str]) -> int:
    """Into how many ranges Dagster divides these keys for BackfillPolicy.single_run."""
    every = instance.get_dynamic_partitions(str(ENHANCE_KEYS.name))
    wanted = [key in keys for key in every]
    return sum(one and not before for before, one in zip([False, *wanted], wanted, strict=False))


def measure(project: Project, url: str, keys: list[str]) -> dict[str, Any]:
    """Ask for these partitions, and wait for them."""
    path = {"path": list(ENHANCED.path)}
    began = time.monotonic()
    said = ask(url, BACKFILL, params={"partitionNames": keys, "assetSelection": [path]})
    assert said["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", said
    with open_instance(project.settings, captures=False) as instance:
        while True:
            (backfill,) = instance.get_backfills(limit=1)
            if backfill.status.value.startswith("COMPLETED"):
                break
            if time.monotonic() - began > WITHIN_S:
                raise TimeoutError(backfill.status)
            time.sleep(0.2)
        took = time.monotonic() - began
        mine = dg.RunsFilter(tags={"dagster/backfill": backfill.backfill_id})
        dagster_runs, found = len(instance.get_runs(mine)), ranges(instance, keys)
    runs = [r for r in project.catalog.list_runs(limit=None) if r.prompt_id in keys]
    ended = max(run.completed_at for run in runs if run.completed_at)
    started = min(run.started_at for run in runs if run.started_at)
    return {
        "partitions": len(keys),
        "completed": sum(run.status == "completed" for run in runs),
        "dagster_runs": dagster_runs,
        "ranges": found,
        "loads": len({run.batch_id for run in runs}),
        "s": round(took, 1),
        "first_start_to_last_end_s": round((ended - started).total_seconds(), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cosmos-backfill-") as folder:
        project = make_project(Path(folder) / "home")
        scene = project.scene()
        with CosmosAPI(project.settings.home) as cosmos:
            keys = [cosmos.create_prompt(f"look {n}", scene)["id"] for n in range(given.prompts)]
        with open_instance(project.settings, captures=False) as instance:
            add_partitions(instance, project.catalog.list_prompts(limit=None))
        page, url = served(project)
        try:
            for some, name in ((keys[::2], "every second"), (keys[1::2], "the others")):
                line = measure(project, url, some)
                load = round(os.getloadavg()[0], 1)
                print(json.dumps({"bench": "backfill", "which": name, **line, "load": load}))
        finally:
            page.send_signal(signal.SIGINT)
            page.wait(30)


if __name__ == "__main__":
    main()
