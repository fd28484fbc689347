"""The matrix for a Slurm cluster: `python -m tests.faults.slurm [FAULT [STEP]]`, as root.

As `tests.faults`, with a real cluster of this machine as the place: see `tests/rig/slurm.py`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.lease import LEASE_S
from cosmos_pipelines.runs.lost import lost_runs
from cosmos_pipelines.runs.plan import plan_transfer
from tests.faults.faults import DONE, LEFT
from tests.faults.place import Orchestrator
from tests.rig.slurm import NODES, Cluster, missing, running_cluster
from tests.support.project import PASSES, settings_in, write_video
from tests.support.sshd import Sshd
from tests.support.stand_in_engine import registered

STEPS: Final = {
    "before upload": "upload",
    "upload to start": "start",
    "running": "-",
    "end to collect": "outcome",
    "recording": "record",
}
"""Where the orchestrator stops for a step; `-`: the model waits."""
RUNNING: Final = frozenset({"running"})
WIDTH: Final = 38

_SETTINGS: Final = """
[execution]
backend = "cluster"
engine = "stand_in"
grace_s = 2
[hosts.cluster]
host = "loop"
ssh_config = "{config}"
remote_dir = "{home}/there"
[hosts.cluster.docker]
python = "{python}"
[hosts.cluster.slurm]
images = "none"
memory = "100M"
cpus = 1
"""
_MODEL: Final = """
import json, sys
sys.path.insert(0, {root!r})
from tests.models import stand_in
with open({log!r}, "a") as log:
    log.write(json.load(open("order.json"))["id"] + "\\n")
sys.exit(stand_in.main(sys.argv[1]))
"""


class Place:
    """A run of a project whose model is the stand-in on the cluster."""

    def __init__(self, base: Path, cluster: Cluster, login: Sshd) -> None:
        self.base, self.cluster, self.login = base, cluster, login
        root = str(Path(__file__).resolve().parents[2])
        self.log, self.gate = base / "starts", base / "gate"
        self.gate.touch()
        model = base / "model.py"
        model.write_text(_MODEL.format(root=root, log=str(self.log)))
        os.environ["MODEL"] = str(model)
        text = _SETTINGS.format(config=login.config, home=base, python=sys.executable)
        self.settings = settings_in(base / "home", text)
        for i, name in enumerate(PASSES):
            write_video(self.settings.inputs / "city" / f"{name}.mp4", seed=40 * i)
        self.catalog = Catalog.open(self.settings.catalog_url)
        self.orchestrators: list[Orchestrator] = []
        with registered(program=str(model)):
            prompt, _ = register_prompt(self.catalog, self.settings, f"wait {self.gate}", "city")
            planned = plan_transfer(self.catalog, self.settings, prompt.id, {})
            self.run_id = enter(self.catalog, self.settings, planned).id

    @property
    def run(self) -> Run:
        """The run as it is in the catalog now."""
        return self.catalog.get_run(self.run_id)

    def orchestrate(self, step: str = "-") -> Orchestrator:
        """Start to execute the run in a new process, which stops at `step`."""
        made = Orchestrator(self.base / "home", step, self.run_id, LEASE_S)
        self.orchestrators.append(made)
        return made

    def node(self) -> str:
        """The node of the run's job."""
        job = str(self.run.container_id)
        return self.cluster.ask("squeue", "-h", "-j", job, "-o", "%N")

    def starts(self) -> list[str]:
        """The order's id of each start of the model."""
        return self.log.read_text().split() if self.log.exists() else []

    def close(self) -> None:
        """Kill the orchestrators and close the catalog."""
        for orchestrator in self.orchestrators:
            orchestrator.kill()
        self.catalog.close()


def kill_orchestrator(place: Place) -> None:
    """Kill the orchestrator."""
    place.orchestrators[0].kill()


def cut(place: Place) -> None:
    """End all connections."""
    place.login.cut()


def kill_controller(place: Place) -> None:
    """Kill slurmctld."""
    place.cluster.kill("slurmctld")


def start_controller(place: Place) -> None:
    """Start slurmctld after 3 s."""
    time.sleep(3)
    place.cluster.start_controller()


def kill_slurmd(place: Place) -> None:
    """Kill the slurmd of all nodes; the processes of jobs live on."""
    for node in NODES:
        place.cluster.kill(node)


def start_slurmd(place: Place) -> None:
    """Start the slurmd of all nodes after 3 s."""
    time.sleep(3)
    for node in NODES:
        place.cluster.start_node(node)


def lose_daemon(place: Place) -> None:
    """Let Slurm lose the node, whose processes live on."""
    place.cluster.lose(place.node())


def lose_node(place: Place) -> None:
    """Let the node lose its power."""
    node = place.node()
    place.cluster.end_processes()
    place.cluster.lose(node)


def cancel(place: Place) -> None:
    """Cancel the job, as another person may do."""
    place.cluster.ask("scancel", str(place.run.container_id))


def requeue(place: Place) -> None:
    """Let an administrator start the job again, which is done at once."""
    job = str(place.run.container_id)
    place.cluster.ask("scontrol", "update", f"jobid={job}", "requeue=1")
    place.cluster.ask("scontrol", "requeue", job)


def start_another(place: Place) -> None:
    """Execute the same run in a second orchestrator, which must be refused."""
    code = place.orchestrate().end()
    assert code == 3, f"the second orchestrator ended with {code}"


def nothing(_: Place) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Fault:
    """A fault: see `tests.faults.faults`."""

    name: str
    strike: Callable[[Place], None]
    relief: Callable[[Place], None] = nothing
    end: str = DONE
    starts: int = 1
    strikes_at: frozenset[str] = frozenset(STEPS)


FAULTS: Final = (
    Fault("our process killed (-9)", kill_orchestrator, end=LEFT),
    Fault("all connections cut", cut),
    Fault("slurmctld killed, started again", kill_controller, start_controller),
    Fault("all slurmd killed, started again", kill_slurmd, start_slurmd),
    Fault("node lost, its processes live on", lose_daemon, strikes_at=RUNNING),
    Fault("node without power", lose_node, end="lost", starts=2, strikes_at=RUNNING),
    Fault("job cancelled by another", cancel, end="lost", starts=2, strikes_at=RUNNING),
    Fault("job requeued by an admin", requeue, end="lost", starts=2, strikes_at=RUNNING),
    Fault("two orchestrators at once", start_another),
)


def untrue(fault: Fault, step: str, cluster: Cluster, login: Sshd) -> list[str]:
    """Return the untrue statements after a fault at a step; a traceback if this test failed."""
    with ExitStack() as stack:
        stack.callback(cluster.heal)
        try:
            place = Place(Path(stack.enter_context(tempfile.TemporaryDirectory())), cluster, login)
            stack.callback(place.close)
            return list(_untrue(fault, step, place))
        except Exception:  # noqa: BLE001 - the other cells are tested
            return [traceback.format_exc()]


def _untrue(fault: Fault, step: str, place: Place) -> Iterator[str]:
    if step not in ("running", "before upload", "upload to start"):
        place.gate.unlink()
    first = place.orchestrate(STEPS[step])
    first.wait_for("frame 1/6" if step == "running" else f"AT {STEPS[step]}")
    fault.strike(place)
    first.go()
    place.gate.unlink(missing_ok=True)
    fault.relief(place)
    first.end()
    run = place.run
    end: str | None = run.error_kind if run.status == "failed" else run.status
    if run.id in [left.id for left in lost_runs(place.catalog)]:
        end = LEFT
    if end != fault.end:
        yield f"the run is {end} ({run.error_message}) instead of {fault.end}: {first.lines[-9:]}"
    if run.status != DONE:
        again = place.orchestrate()
        again.end()
        if place.run.status != DONE:
            yield f"again the run is {place.run.status} ({place.run.error_message})"
            return
    yield from _wrong(fault.starts, place)


def _wrong(starts: int, place: Place) -> Iterator[str]:
    """Yield what is wrong with the result, and what is left."""
    run, found = place.run, place.starts()
    if len(found) != starts or len(set(found)) != len(found):
        yield f"the model was started {len(found)} times instead of {starts}: {found}"
    if sha256_of(place.settings.home / run.outputs["video"]) != run.outputs["sha256"]:
        yield "the video is not the one that was recorded"
    log = (place.settings.outputs / f"run_{run.id}" / "logs" / "run.log").read_text()
    frames = [line.split()[-1] for line in log.splitlines() if "frame" in line]
    if frames != [f"{i}/6" for i in range(1, 7)]:
        yield f"the log does not have each line once: {frames}"
    there = place.base / "there"
    left = [*there.glob(f"runs/{run.batch_id}"), *there.glob(f"slurm/*{run.batch_id}*")]
    left += [*place.settings.home.rglob("*.part")]
    if left or run.leased_by:
        yield f"left: {left} {run.leased_by}"


def main(fault_words: str = "", step_words: str = "") -> int:
    """Print a row for each fault, the untrue statements, and the number of true cells."""
    if reason := missing():
        print(f"0 of 0 cells true: {reason}")
        return 1
    steps = [step for step in STEPS if step_words in step]
    print(f"| {'fault'.ljust(WIDTH)} | {' | '.join(steps)} |")
    true = count = 0
    with running_cluster() as (cluster, login):
        for fault in FAULTS:
            if fault_words.lower() not in fault.name.lower():
                continue
            print(f"| {fault.name.ljust(WIDTH)} ", end="", flush=True)
            notes = []
            for step in steps:
                shown = "-"
                if step in fault.strikes_at:
                    began = time.monotonic()
                    problems = untrue(fault, step, cluster, login)
                    count, true = count + 1, true + (not problems)
                    notes += [f"{fault.name} / {step}: {problem}" for problem in problems]
                    word = "UNTRUE" if problems else "true"
                    shown = f"{word} {time.monotonic() - began:.0f} s"
                print(f"| {shown.ljust(len(step))} ", end="", flush=True)
            print("|", flush=True)
            if notes:
                print("\n".join(notes), file=sys.stderr, flush=True)
    print(f"{true} of {count} cells true")
    return 0 if true == count > 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
