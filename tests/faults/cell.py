"""A cell of the matrix: a fault at a step, and the untrue statements afterwards."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.media import provenance
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.runs.lost import lost_runs
from tests.faults.docker_place import DockerPlace
from tests.faults.faults import ALIVE, DONE, ENDED, LEFT, Fault
from tests.faults.local_place import LocalPlace
from tests.faults.place import Orchestrator, Place, small_disk
from tests.faults.slurm_place import SlurmPlace
from tests.rig.fleet import Fleet
from tests.rig.slurm import Cluster
from tests.support.waiting import until

STOPS = {
    "before upload": "upload",
    "during upload": "upload",
    "upload to start": "start",
    "start, answer lost": "-",
    "running": "-",
    "end to collect": "outcome",
    "during download": "collect",
    "recording": "record",
}
"""Where the orchestrator stops for a step; `-`: it does not stop, the step itself takes time."""


@dataclass(frozen=True)
class Rig:
    """What the places of all cells are made of."""

    fleet: Fleet | None = None
    cluster: Cluster | None = None

    def place(
        self, backend: str, fault: Fault, home: Path, fill: Callable[[], None]
    ) -> LocalPlace | DockerPlace | SlurmPlace:
        """Make the place of a cell."""
        apart, wait_s = fault.catalog_apart, fault.wait_s
        if backend == LocalPlace.backend:
            return LocalPlace(home, fill, catalog_apart=apart)
        if backend == SlurmPlace.backend:
            assert self.cluster is not None
            return SlurmPlace(home, fill, self.cluster, wait_s, catalog_apart=apart)
        assert self.fleet is not None
        host = self.fleet.hosts["gpu1"]
        return DockerPlace(home, fill, self.fleet, host, wait_s, catalog_apart=apart)


def untrue(fault: Fault, step: str, backend: str, rig: Rig) -> list[str]:
    """Return the untrue statements after a fault at a step; a traceback if this test failed.

    `fault`: as it is on this backend.
    """
    with ExitStack() as stack:
        try:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home"
            fill = stack.enter_context(small_disk(home)) if fault.here else _no_small_disk
            place = rig.place(backend, fault, home, fill)
            place.lease_s = fault.lease_s
            stack.callback(place.close)
            return list(_untrue(fault, step, place))
        except Exception:  # noqa: BLE001 - the other cells are tested
            return [traceback.format_exc()]


def _no_small_disk() -> None:
    raise AssertionError("the project is not on a small disk")


def _untrue(fault: Fault, step: str, place: Place) -> Iterator[str]:
    first = _begin(fault, step, place)
    fault.strike(place)
    first.go()
    place.release_answers()
    place.usual_link()
    place.open_gate()  # the model continues during the fault, if it can
    fault.relief(place)
    place.open_gate()
    first.end()
    yield from _wrong_end(fault.end(step), place, first)
    fault.late_relief(place)
    place.open_gate()
    place.behave(None)
    yield from _finish(fault.again.get(step, 1), place)
    yield from _wrong_result(place)
    yield from _wrong_starts(fault.starts.get(step, 1), place)
    yield from _remains(step in fault.leaves, place)


def _begin(fault: Fault, step: str, place: Place) -> Orchestrator:
    """Start an orchestrator; return it when it is at the step."""
    if step == "during upload":
        place.enlarge_input()
    if step == "during download":
        place.enlarge_output()
    if step == "start, answer lost":
        place.hold_answers()
    if step in ENDED or fault.behaviour in ("lie", "truncate", "small"):
        place.open_gate()
    place.behave(fault.behaviour)
    place.enter_run()
    stop = place.stops.get(step, STOPS[step])
    orchestrator = place.orchestrate(stop)
    if stop != "-":
        orchestrator.wait_for(f"AT {stop}")
    if step in ("during upload", "during download"):
        if step not in place.stops:
            place.slow_link()
            orchestrator.go()
        begun = place.upload_begun if step == "during upload" else place.download_begun
        until(begun, "the first bytes")
    if step in ALIVE:
        until(lambda: len(place.starts()) > 0, "the start")
    if step == "running" and not fault.behaviour:
        orchestrator.wait_for("frame 1/6")
    return orchestrator


def _wrong_end(allowed: tuple[str, ...], place: Place, first: Orchestrator) -> Iterator[str]:
    """Yield a wrong state of the run in the catalog after the first orchestrator."""
    run = place.run
    end: str | None = run.error_kind if run.status == "failed" else run.status
    if run.id in [left.id for left in lost_runs(place.catalog)]:
        end = LEFT
    if end not in allowed:
        yield (
            f"the run is {end} ({run.error_message}) instead of {' or '.join(allowed)}:\n"
            + "\n".join(first.lines[-12:])
        )


def _finish(times: int, place: Place) -> Iterator[str]:
    """Execute the run again, as a user does; it must be completed after so many times at most."""
    for left in reversed(range(times)):
        if place.run.status == DONE:
            return
        again = place.orchestrate()
        again.end()
        if not left and place.run.status != DONE:
            run = place.run
            yield (
                f"executed again the run is {run.status}, {run.error_kind}: {run.error_message}\n"
                + "\n".join(again.lines[-12:])
            )


def _wrong_result(place: Place) -> Iterator[str]:
    """Yield the faults of the video, the log and the record."""
    run = place.run
    if run.status != DONE:
        return
    video = place.home / run.outputs["video"]
    try:
        found = probe(video, deep=True)
        story = provenance.read(video) or {}
    except CosmosError as e:
        yield f"the video: {e}"
        return
    shape = (found.width, found.height, found.frames, str(found.fps))
    if shape != (64, 48, 6, "24"):
        yield f"the video is {shape}"
    if sha256_of(video) != run.outputs["sha256"]:
        yield "the video is not the one that was recorded"
    if story.get("run_id") != run.id:
        yield "the video's metadata has another run"
    log = (place.settings.outputs / f"run_{run.id}" / "logs" / "run.log").read_text()
    lines = [line for line in log.splitlines() if "frame" in line or "stand-in" in line]
    logged = [line.split()[-1] for line in lines]
    if logged != ["sample(s)", *(f"{i}/6" for i in range(1, 7))]:
        yield f"the log does not have each line once: {logged}"
    if lacking := [name for name in place.recorded if getattr(run, name) is None]:
        yield f"the record lacks {', '.join(lacking)}"


def _wrong_starts(allowed: int, place: Place) -> Iterator[str]:
    """Yield a wrong number of starts of the model."""
    found = place.starts()
    if len(found) != len(set(found)):
        yield f"an order was started twice: {found}"
    if len(found) != allowed:
        yield f"the model was started {len(found)} times instead of {allowed}: {found}"


def _remains(ended_may_stay: bool, place: Place) -> Iterator[str]:
    """Yield remaining containers, half-written files and leases."""
    if holder := place.run.leased_by:
        yield f"the run is still leased by {holder}"
    there, containers = place.left_there(), place.containers(running=ended_may_stay)
    if ended_may_stay:
        there = [name for name in there if name != f"runs/{place.run.batch_id}"]
    for what, left in (
        ("containers", containers), ("there", there), ("here", place.left_in_project())
    ):  # fmt: skip
        if left:
            yield f"left {what}: {left}"
