"""How long after its last byte a scene that is dropped into the inputs is taken, by the daemon.

Five kinds of drops against a daemon that runs: an mp4, a sequence with a marker, a sequence whose
frames took 25 s each, a sequence rendered over a registered one, a renamed scene. `asked`: the
sensor has asked for it (its Dagster run is there); `entered`: the catalog has it as it is now.
Everything is in real time, also the slow render: about four minutes. One JSON line.

The slow render and the one over an earlier one are waited for on purpose: 3 times 25 s, and the
30 s of `settle_s` in the settings. `early`: how many were taken before that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings, environment_of, load_settings

WITHIN_S = 240
FRAMES = 24
SLOW = 3
EVERY_S = 25


class Place:
    """A project with a daemon, and what one can see of it from outside."""

    def __init__(self, home: Path) -> None:
        cosmos = [sys.executable, "-m", "cosmos_pipelines.cli", "--home", str(home)]
        subprocess.run([*cosmos, "init", str(home)], check=True, capture_output=True)
        self.settings: Settings = load_settings(home)
        self.catalog = Catalog.open(self.settings.catalog_url, home)
        self._instance = open_instance(self.settings, captures=False)
        self.instance = self._instance.__enter__()
        self.lock = threading.Lock()
        with (self.settings.dagster_dir / "daemon.log").open("wb") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "cosmos_pipelines.daemon"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=home,
                env=environment_of(self.settings),
            )

    def close(self) -> None:
        """End the daemon."""
        assert self.daemon.stdin is not None
        self.daemon.stdin.close()
        self.daemon.wait(60)
        self._instance.__exit__(None, None, None)
        self.catalog.close()

    def asked(self, name: str, before: int) -> bool:
        """Whether there is a further Dagster run for the scene."""
        return self.runs(name) > before

    def runs(self, name: str) -> int:
        """Dagster runs for a scene so far."""
        from dagster import RunsFilter

        with self.lock:
            return self.instance.get_runs_count(RunsFilter(tags={"dagster/partition": name}))

    def frames(self, name: str) -> tuple[int, str]:
        """Frames and content of a scene as the catalog has it; (0, '') if it is not there."""
        with self.lock:
            row = self.catalog.find_scene(name)
        return (row.facts["color"]["frames"], row.digest) if row else (0, "")

    def directory(self, name: str) -> Path:
        """Where a scene lies."""
        return self.settings.inputs / name


def timed(place: Place, name: str, drop: Callable[[], None]) -> dict[str, float]:
    """Seconds from the end of `drop` until the scene is asked for, and until it is entered."""
    before, had = place.runs(name), place.frames(name)
    drop()
    began = time.monotonic()
    took: dict[str, float] = {}
    while len(took) < 2:
        now = time.monotonic() - began
        if "asked" not in took and place.asked(name, before):
            took["asked"] = now
        if "entered" not in took and place.frames(name) != had:
            took["entered"] = now
        if now > WITHIN_S:
            raise TimeoutError(f"{name} was not taken within {WITHIN_S} s: {took}")
        time.sleep(0.05)
    return took


def video(place: Place, name: str, clip: bytes) -> dict[str, float]:
    """An mp4 that is copied in pieces for a second."""

    def drop() -> None:
        place.directory(name).mkdir(parents=True)
        with (place.directory(name) / "color.mp4").open("wb") as file:
            for part in range(4):
                file.write(clip[part * len(clip) // 4 : (part + 1) * len(clip) // 4])
                file.flush()
                time.sleep(0.25 if part < 3 else 0)

    return timed(place, name, drop)


def picture(path: Path, shade: int) -> None:
    """One frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".tmp")
    Image.new("RGB", (160, 96), (shade % 256, 90, 120)).save(part, "png")
    part.rename(path)


def sequence(place: Place, name: str, count: int, first: int = 0) -> None:
    """Frames, as fast as they can be written; over those that are there."""
    for number in range(1, count + 1):
        picture(place.directory(name) / f"color.{number:04d}.png", first + 7 * number)


def marked(place: Place, name: str) -> dict[str, float]:
    """A sequence, then its marker."""

    def drop() -> None:
        sequence(place, name, FRAMES)
        (place.directory(name) / "scene.ready").touch()

    return timed(place, name, drop)


def slow(place: Place, name: str) -> dict[str, float]:
    """A sequence whose frames take 25 s each."""

    def drop() -> None:
        for number in range(1, SLOW + 1):
            picture(place.directory(name) / f"color.{number:04d}.png", 40 * number)
            time.sleep(EVERY_S if number < SLOW else 0)

    return timed(place, name, drop)


def over(place: Place, name: str) -> dict[str, float]:
    """Another render over a registered one, frame by frame, in place."""
    (place.directory(name) / "scene.ready").unlink()
    return timed(place, name, lambda: sequence(place, name, FRAMES, first=100))


def renamed(place: Place, name: str, new: str) -> dict[str, float]:
    """A registered scene that is given another name."""
    return timed(place, new, lambda: place.directory(name).rename(place.directory(new)) and None)


def clip() -> bytes:
    """A few seconds of a test picture."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "clip.mp4"
        source = ["-f", "lavfi", "-i", "testsrc=size=320x192:rate=24:duration=3"]
        words = ["ffmpeg", "-v", "error", *source, "-pix_fmt", "yuv420p", str(file)]
        subprocess.run(words, check=True)
        return file.read_bytes()


def together(works: list[Callable[[], dict[str, float]]]) -> list[dict[str, float]]:
    """Several drops at once; their results."""
    results: list[dict[str, float] | BaseException] = [{} for _ in works]

    def run(n: int) -> None:
        try:
            results[n] = works[n]()
        except Exception as e:  # noqa: BLE001 - raised below
            results[n] = e

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def told(results: list[dict[str, float]], at_least_s: float = 0) -> dict[str, Any]:
    """p50 and max of each time; how many came before they could be settled."""
    shown: dict[str, Any] = {"drops": len(results)}
    for what in ("asked", "entered"):
        values = [one[what] for one in results]
        shown[what] = {"p50_s": round(median(values), 2), "max_s": round(max(values), 2)}
    shown["early"] = sum(one["asked"] < at_least_s for one in results)
    return shown


def measure(place: Place, drops: int) -> dict[str, Any]:
    """All drops; the first scene only waits until the daemon looks."""
    mp4 = clip()
    video(place, "first", mp4)
    videos = [video(place, f"video{n}", mp4 + b"\0\0\0\x09free" + bytes([n])) for n in range(drops)]
    marks = [marked(place, f"marked{n}") for n in range(drops)]
    renames = [renamed(place, f"video{n}", f"other{n}") for n in range(drops)]
    waits = together(
        [lambda n=n: slow(place, f"slow{n}") for n in range(drops)]  # type: ignore[misc]
        + [lambda n=n: over(place, f"marked{n}") for n in range(drops)]  # type: ignore[misc]
    )
    return {
        "mp4": told(videos),
        "marker": told(marks),
        "25 s a frame": told(waits[:drops], 3 * EVERY_S - 1),
        "re-render": told(waits[drops:], 29),
        "rename": told(renames),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=3, help="of each kind")
    drops = parser.parse_args().drops
    home = Path(tempfile.mkdtemp(prefix="cosmos-drops-"))
    place = Place(home)
    try:
        found = measure(place, drops)
    finally:
        place.close()
        shutil.rmtree(home, ignore_errors=True)
    load = [round(value, 1) for value in os.getloadavg()]
    print(json.dumps({"name": "seconds from the last byte of a drop", **found, "load": load}))


if __name__ == "__main__":
    main()
