"""CPU of one tick of each sensor, with 10,000 scenes, 10,000 waiting and 100,000 ended runs.

Nothing changes between the ticks; the first one of each sensor is left out. The scenes' directories
are empty. One JSON line: CPU milliseconds by sensor, median and largest of the ticks.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.resources.instance import open_instance
from tests.support.dagster_project import tick
from tests.support.many import fill
from tests.support.project import make_project


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=10)
    parser.add_argument("--sensors", nargs="*", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "home")
        at = fill(project, n_scenes=10_000, n_waiting=10_000, n_ended=100_000)
        quiet = {
            "catalog_sync": json.dumps({"at": at, "sets": 1}),
            "up_to_date": json.dumps({"at": at, "files": {}}),
        }
        found = {}
        with open_instance(project.settings, captures=False) as instance:
            for sensor in build_definitions(project.settings).sensors or ():
                if given.sensors and sensor.name not in given.sensors:
                    continue
                cursor, times = quiet.get(sensor.name), []
                for _ in range(given.ticks + 1):
                    began = time.process_time()
                    _, cursor = tick(project, sensor, instance, cursor)
                    times.append(round((time.process_time() - began) * 1000, 1))
                found[sensor.name] = {"median_ms": median(times[1:]), "largest_ms": max(times[1:])}
    print(json.dumps({"bench": "ticks", "ticks": given.ticks, **found}))


if __name__ == "__main__":
    main()
