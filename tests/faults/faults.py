"""The faults: the strike, the relief, and the state of the run afterwards.

As on a GPU host with Docker; `others` has what is different on another backend.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import methodcaller
from typing import Any, Final

from cosmos_pipelines.catalog.runs import LEASE_S
from tests.faults.place import Place

BACKENDS: Final = ("local", "ssh_docker", "slurm")

STEPS: Final = (
    "before upload",
    "during upload",
    "upload to start",
    "start, answer lost",
    "running",
    "end to collect",
    "during download",
    "recording",
)
BEFORE: Final = frozenset(STEPS[:3])
"""The model is not started yet."""
ALIVE: Final = frozenset(STEPS[3:5])
"""The model runs."""
ENDED: Final = frozenset(STEPS[5:])
"""The result is on the host's disk."""

SHORT_LEASE_S: Final = 2

DONE: Final = "completed"
LEFT: Final = "left behind"
"""Active without a process, and `cosmos status` lists the run as lost."""


Act = Callable[[Place], None]


def nothing(_: Place) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Fault:
    """A fault.

    `strike` happens while the orchestrator stops at the step, `relief` after it has continued, and
    `late_relief` after it has ended; then the run is executed again.
    """

    name: str
    strike: Act = nothing
    relief: Act = nothing
    late_relief: Act = nothing
    ends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Allowed states after the first orchestrator, by step: DONE, LEFT, or a kind of error."""
    starts: dict[str, int] = field(default_factory=dict)
    """Number of starts of the model by step, if it is not 1."""
    behaviour: str | None = None
    """What the model does at its first start, instead of the prompt's behaviour."""
    wait_s: float = 20
    lease_s: int = LEASE_S
    leaves: frozenset[str] = frozenset()
    """Steps after which an ended container may stay on the host, which cannot be reached."""
    again: dict[str, int] = field(default_factory=dict)
    """How often the run is executed again until it is completed, by step, if it is not once."""
    here: bool = False
    """Whether the project is on a small disk."""
    catalog_apart: bool = False
    """Whether the catalog is on another disk."""
    strikes_at: frozenset[str] = frozenset(STEPS)
    otherwise: str = "nothing to strike"
    """Why it cannot strike at the other steps."""
    others: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    """By backend: why the fault cannot exist there, or what is different of it there."""

    def on(self, backend: str) -> Fault | str:
        """Return the fault as it is on a backend, or why it cannot exist there."""
        other = self.others.get(backend, {})
        return other if isinstance(other, str) else replace(self, **other)

    def end(self, step: str) -> tuple[str, ...]:
        """Return the allowed states of the run after the first orchestrator."""
        return self.ends.get(step, (DONE,))


def at(steps: Iterable[str], *then: str) -> dict[str, tuple[str, ...]]:
    """Return the same allowed states for several steps."""
    return dict.fromkeys(steps, then)


def twice(steps: frozenset[str]) -> dict[str, int]:
    """Return 2 starts for steps at which the fault destroys the first result."""
    return dict.fromkeys(steps, 2)


# Strikes and reliefs --------------------------------------------------------------------------


def call(name: str, *given: Any, after_s: float = 0) -> Act:
    """Return what calls this method of the place, after so many seconds."""

    def act(place: Place) -> None:
        time.sleep(after_s)
        methodcaller(name, *given)(place)

    return act


def kill_orchestrator(place: Place) -> None:
    """Kill the orchestrator."""
    place.orchestrators[0].kill()


def fill_project_disk(place: Place) -> None:
    """Fill the disk of the project."""
    place.fill()


def free_project_disk(place: Place) -> None:
    """Free the disk of the project."""
    (place.home / ".filler").unlink()


def start_another(place: Place) -> None:
    """Execute the same run in a second orchestrator, which must be refused."""
    another = place.orchestrate()
    code = another.end()
    assert code == 3, f"the second orchestrator ended with {code}: {another.lines[-5:]}"


def freeze(place: Place) -> None:
    """Freeze the orchestrator; another takes the run over when the lease has ended."""
    with place.catalog.write():  # not frozen in a transaction: SQLite would block all writers
        place.orchestrators[0].freeze()
    place.release_answers()
    place.usual_link()
    place.open_gate()
    time.sleep(SHORT_LEASE_S + 0.5)
    another = place.orchestrate()
    code = another.end()
    assert code == 0, f"the second orchestrator ended with {code}: {another.lines[-5:]}"


def thaw(place: Place) -> None:
    """Let the frozen orchestrator continue."""
    place.orchestrators[0].thaw()


def reset_again_and_again(place: Place) -> None:
    """End all connections three times, while a slow transfer goes on for longer than `wait_s`."""
    for _ in range(3):
        call("end_connections", after_s=1.5)(place)


STRAY: Final = "WARNING: Error loading config file: /home/ops/.docker/config.json: EOF\n"
ODD: Final = '[\n    {"Id": '
"""The beginning of an answer that does not go on, before the answer."""

ONLY_ALIVE: Final = ALIVE
"""Steps with a running container; at the other steps the fault has nothing to strike."""
LOOKED_AT: Final = frozenset(STEPS[2:6])
"""The steps between the upload and the download: there is an order, or will be."""
ONLY_RUNNING: Final = frozenset({"running"})
"""The step of faults of the model itself, which happen while it runs."""

# Why a fault cannot exist ----------------------------------------------------------------------

NO_LINK: Final = {"local": "no link"}
NO_DOCKER: Final = {"local": "no Docker", "slurm": "no Docker"}
NO_CARRIER: Final = {"local": "no daemon"}
NO_SLURM: Final = {"local": "no Slurm", "ssh_docker": "no Slurm"}
NO_ORDER: Final = "no order runs"
"""The reason at other steps than ALIVE."""

FAULTS: Final = (
    Fault("our process killed (-9)", kill_orchestrator,
          ends=at(STEPS, LEFT)),
    Fault("link cut for 5 s", call("cut"), call("mend", after_s=5), others=NO_LINK),
    Fault("link cut for good, mended later", call("cut"), late_relief=call("mend"), wait_s=3,
          ends=at(STEPS[:7], "unreachable"), leaves=frozenset(STEPS[7:]), others=NO_LINK),
    Fault("sshd restarted", call("stop_sshd"), call("start_sshd", after_s=1), others=NO_LINK),
    Fault("Docker (live-restore) or slurmctld restarted", call("stop_carrier"),
          call("start_carrier", after_s=1), others=NO_CARRIER),
    Fault("Docker restarted", call("stop_docker"), call("start_carrier", after_s=1),
          ends=at(ALIVE, "lost"), starts=twice(ALIVE), others=NO_DOCKER),
    Fault("all slurmd killed, started again", call("kill_node_daemons"),
          call("start_node_daemons", after_s=3), others=NO_SLURM),
    Fault("node lost, its processes live on", call("lose_node_daemon"),
          strikes_at=ONLY_RUNNING, otherwise=NO_ORDER, others=NO_SLURM),
    Fault("job requeued by an admin", call("requeue"), strikes_at=ONLY_RUNNING,
          otherwise=NO_ORDER, ends=at(ONLY_RUNNING, "lost"), starts=twice(ONLY_RUNNING),
          others=NO_SLURM),
    Fault("power of the host or node cut", call("power_off"), call("boot", after_s=1),
          ends=at(ALIVE, "lost"), starts=twice(ALIVE),
          others={"local": "would end the test", "slurm": {"strikes_at": ALIVE,
                  "otherwise": "no job on a node"}}),
    Fault("disk full on the host", call("fill_disk"), late_relief=call("free_disk"),
          ends=at(BEFORE | ALIVE, "disk_full"), starts=twice(ALIVE),
          others={"local": "as 'disk full here'"}),
    Fault("disk full here", fill_project_disk, late_relief=free_project_disk, here=True,
          catalog_apart=True, ends=at(STEPS[:7], "disk_full"),
          others={"local": {"starts": twice(ALIVE)}}),
    # If the catalog's disk is full too, no failure can be recorded.
    Fault("disk full here, catalog too", fill_project_disk, late_relief=free_project_disk,
          here=True, ends=at(STEPS, LEFT, "disk_full"),
          # the first time records how the order has ended, if that could not be recorded before
          others={"local": {"starts": twice(ALIVE), "again": twice(ALIVE)}}),
    Fault("container, job, process ended by others", call("end_order"), strikes_at=ONLY_ALIVE,
          otherwise=NO_ORDER, ends=at(ALIVE, "lost"), starts=twice(ALIVE)),
    Fault("container out of memory (137)", call("take_memory"), strikes_at=ONLY_ALIVE,
          otherwise=NO_ORDER, behaviour="eat /models/gate",
          ends=at(ALIVE, "out_of_memory"), starts=twice(ALIVE),
          others={"local": "no limit of memory", "slurm": "no limit in the rig"}),
    Fault("success without output", behaviour="lie", strikes_at=ONLY_RUNNING,
          ends=at(ONLY_RUNNING, "output_missing"), starts=twice(ONLY_RUNNING)),
    Fault("success, output truncated", behaviour="truncate", strikes_at=ONLY_RUNNING,
          ends=at(ONLY_RUNNING, "output_missing"), starts=twice(ONLY_RUNNING)),
    Fault("success, output of wrong size", behaviour="small", strikes_at=ONLY_RUNNING,
          ends=at(ONLY_RUNNING, "model_failed"), starts=twice(ONLY_RUNNING)),
    Fault("inputs damaged on the host", call("spoil_inputs"),
          strikes_at=frozenset({"during upload", "upload to start"}),
          others={"local": "hashed as they are taken"}),
    Fault("scripts damaged on the host", call("spoil_scripts"),
          strikes_at=frozenset({"upload to start"}), others={"local": "the package's own"}),
    Fault("reset in a long transfer", reset_again_and_again, wait_s=2,
          strikes_at=frozenset({"during upload", "during download"}), others=NO_LINK),
    Fault("run folder gone on the host", call("remove_folder"),
          strikes_at=ALIVE | {"end to collect", "recording"},
          ends=at({"running", "end to collect"}, "lost")
          | at({"start, answer lost"}, "lost", "launch_failed"),
          starts=twice(ALIVE | {"end to collect"})),
    Fault("disk of all runs away for 5 s", call("unmount_runs"), call("mount_runs", after_s=5),
          strikes_at=frozenset({"running", "end to collect", "during download"}),
          otherwise="nothing has begun, or nothing is asked",
          others={"local": "the disk here", "slurm": "the nodes lose it too"}),
    Fault("too many logins (MaxStartups)", call("occupy_logins"), call("free_logins"),
          late_relief=call("restart_sshd"), others=NO_LINK),
    Fault("one session only (MaxSessions 1)", call("one_session"),
          late_relief=call("restart_sshd"), others=NO_LINK),
    Fault("Docker or slurmctld hangs for 3 s", call("halt_carrier"),
          call("resume_carrier", after_s=3), others=NO_CARRIER),
    Fault("two orchestrators at once", start_another),
    Fault("stray line before the answers", call("say", STRAY), late_relief=call("say", None),
          others=NO_CARRIER),
    Fault("odd answers", call("say", ODD), call("say", None, after_s=5),
          strikes_at=LOOKED_AT, others=NO_CARRIER),
    Fault("docker.sock forbidden for 15 s", call("forbid_docker"),
          call("allow_docker", after_s=15), strikes_at=LOOKED_AT, others=NO_DOCKER),
    Fault("no process can be started", call("let_no_process_start"),
          call("shell_is_plain", after_s=5), strikes_at=LOOKED_AT,
          others={**NO_LINK, "slurm": "root has no limit"}),
    Fault("the shell prints at login", call("shell_prints"),
          call("shell_is_plain", after_s=5), strikes_at=LOOKED_AT, others=NO_LINK),
    Fault("login refused", call("refuse_logins"), call("allow_logins", after_s=5),
          others=NO_LINK),
    Fault("other host key", call("show_other_key"), call("show_own_key", after_s=5),
          others=NO_LINK),
    Fault("Docker or slurmctld hangs for 5 s", call("halt_carrier"),
          call("resume_carrier", after_s=5), others=NO_CARRIER),
    Fault("login refused for good", call("refuse_logins"), late_relief=call("allow_logins"),
          wait_s=3, ends=at(STEPS[:7], "unreachable"), leaves=frozenset(STEPS[7:]),
          others=NO_LINK),
    Fault("docker.sock forbidden for good", call("forbid_docker"),
          late_relief=call("allow_docker"), wait_s=3, strikes_at=LOOKED_AT,
          ends=at(LOOKED_AT, "unreachable"), others=NO_DOCKER),
    Fault("our process frozen, then two", freeze, thaw, lease_s=SHORT_LEASE_S),
)  # fmt: skip
