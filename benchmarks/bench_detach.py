"""How long after `cosmos inference --detach` has returned its run starts, by the daemon.

For each run the seconds until: `asked` (its Dagster run is there), `launched` (taken out of
Dagster's queue), `started` (its process is there and executes it), `claimed` (the run is no longer
pending), `running` (the model was started). The runs are of a tiny scene with the preview engine,
one after the other; the first, which also waits until the daemon has loaded the project, is not
counted. One JSON line.
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
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings, environment_of, load_settings

WITHIN_S = 180
STEPS = ("asked", "launched", "started", "claimed", "running")
LAUNCHED = ("STARTING", "STARTED", "SUCCESS")


def cosmos(home: Path, *words: str) -> Any:
    """What a command prints as JSON."""
    command = [sys.executable, "-m", "cosmos_pipelines.cli", "--home", str(home), *words, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def scene(home: Path) -> Path:
    """A tiny scene of three passes."""
    directory = home / "inputs" / "videos" / "city"
    directory.mkdir(parents=True)
    for name, source in (
        ("color", "testsrc"),
        ("depth", "testsrc2"),
        ("segmentation", "rgbtestsrc"),
    ):
        given = ["-f", "lavfi", "-i", f"{source}=size=64x48:rate=24:duration=0.25"]
        file = directory / f"{name}.mp4"
        subprocess.run(["ffmpeg", "-v", "error", *given, "-pix_fmt", "yuv420p", file], check=True)
    return directory


def timed(
    home: Path, catalog: Catalog, instance: dg.DagsterInstance, prompt: str, seed: int
) -> dict[str, float]:
    """Seconds from the end of the command to each step of its run."""
    run_id = cosmos(home, "inference", prompt, "--seed", str(seed), "--detach")["id"]
    began, took = time.monotonic(), dict[str, float]()
    while len(took) < len(STEPS):
        run = catalog.get_run(run_id)
        found = instance.get_runs(dg.RunsFilter(tags={"cosmos/first_run": run_id}), limit=1)
        status = found[0].status.value if found else None
        reached = {
            "asked": found,
            "launched": status in LAUNCHED,
            "started": status in LAUNCHED[1:],
            "claimed": run.status != "pending",
            "running": run.started_at is not None,
        }
        now = time.monotonic() - began
        for step in STEPS:
            if reached[step]:
                took.setdefault(step, now)
        if now > WITHIN_S or run.status == "failed":
            raise TimeoutError(f"{run_id} is {run.status} after {now:.0f} s: {took}")
        time.sleep(0.02)
    while catalog.get_run(run_id).status != "completed" or not instance.get_runs()[0].is_finished:
        time.sleep(0.05)
    return took


def measure(home: Path, settings: Settings, runs: int) -> list[dict[str, float]]:
    """The runs, with a daemon."""
    prompt = cosmos(home, "create", "prompt", "fog at dawn", str(scene(home)))["id"]
    with (
        Catalog.open(settings.catalog_url, home) as catalog,
        open_instance(settings, captures=False) as instance,
        (settings.dagster_dir / "daemon.log").open("wb") as log,
    ):
        daemon = subprocess.Popen(
            [sys.executable, "-m", "cosmos_pipelines.daemon"],
            stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=home, env=environment_of(settings),
        )  # fmt: skip
        try:
            timed(home, catalog, instance, prompt, 0)
            found = []
            for seed in range(1, runs + 1):
                time.sleep(1.7)  # so that the commands come at any moment of a tick
                found.append(timed(home, catalog, instance, prompt, seed))
            return found
        finally:
            assert daemon.stdin is not None
            daemon.stdin.close()
            daemon.wait(60)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=6)
    runs = parser.parse_args().runs
    home = Path(tempfile.mkdtemp(prefix="cosmos-detach-"))
    try:
        subprocess.run(
            [sys.executable, "-m", "cosmos_pipelines.cli", "init", str(home)],
            check=True, capture_output=True,
        )  # fmt: skip
        found = measure(home, load_settings(home), runs)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    line: dict[str, Any] = {"name": "seconds from --detach to the start of the run", "runs": runs}
    for step in STEPS:
        values = [one[step] for one in found]
        line[step] = {"p50_s": round(median(values), 2), "max_s": round(max(values), 2)}
    print(json.dumps({**line, "load": [round(value, 1) for value in os.getloadavg()]}))


if __name__ == "__main__":
    main()
