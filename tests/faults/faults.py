"""The faults: the strike, the relief, and the state of the run afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from cosmos_pipelines.runs.lease import LEASE_S
from tests.faults import host_faults
from tests.faults.place import Place
from tests.rig.host import until

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


def nothing(_: Place) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Fault:
    """A fault.

    `strike` happens while the orchestrator stops at the step, `relief` after it has continued, and
    `late_relief` after it has ended; then the run is executed again.
    """

    name: str
    strike: Callable[[Place], None] = nothing
    relief: Callable[[Place], None] = nothing
    late_relief: Callable[[Place], None] = nothing
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
    here: bool = False
    """Whether the project is on a small disk."""
    catalog_apart: bool = False
    """Whether the catalog is on another disk."""
    strikes_at: frozenset[str] = frozenset(STEPS)

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


def kill_orchestrator(place: Place) -> None:
    """Kill the orchestrator."""
    place.orchestrators[0].kill()


def cut(place: Place) -> None:
    """Cut the link."""
    place.host.cut()


def mend_after_5_s(place: Place) -> None:
    """Mend the link after 5 s, when the connection is already dead."""
    time.sleep(5)
    mend(place)


def mend(place: Place) -> None:
    """Mend the link."""
    place.host.mend()
    until(lambda: place.host.port_open(22), "the mended link")


def stop_sshd(place: Place) -> None:
    """End sshd and its sessions."""
    place.host.stop_sshd()


def start_sshd(place: Place) -> None:
    """Start sshd again after 1 s, when the orchestrator has noticed the fault."""
    time.sleep(1)
    place.host.start_sshd()


def stop_docker(place: Place) -> None:
    """Stop the Docker daemon with all containers."""
    place.host.stop_docker()


def stop_docker_alone(place: Place) -> None:
    """Stop only the Docker daemon."""
    place.host._set_live_restore(True)
    place.host.stop_docker()


def start_docker(place: Place) -> None:
    """Start the Docker daemon again after 1 s, when the orchestrator has noticed the fault."""
    time.sleep(1)
    place.host.start_docker()


def power_off(place: Place) -> None:
    """Cut the power."""
    place.host.console("sync")
    place.host.power_off()


def boot(place: Place) -> None:
    """Power on."""
    time.sleep(1)
    place.host.boot()


def fill_host_disk(place: Place) -> None:
    """Fill the disk of the project's directory on the host."""
    place.host.fill_disk()


def free_host_disk(place: Place) -> None:
    """Free the disk of the project's directory on the host."""
    place.host.free_disk()


def fill_project_disk(place: Place) -> None:
    """Fill the disk of the project."""
    place.fill()


def free_project_disk(place: Place) -> None:
    """Free the disk of the project."""
    (place.home / ".filler").unlink()


def kill_container(place: Place) -> None:
    """Kill the container, as another user of the host may do."""
    place.host.docker("kill", place.container())


def take_memory(place: Place) -> None:
    """Limit the container's memory; the model allocates more."""
    place.host.docker("update", "--memory=256m", "--memory-swap=256m", place.container())


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
    place.host.slow(None)
    place.open_gate()
    time.sleep(SHORT_LEASE_S + 0.5)
    another = place.orchestrate()
    code = another.end()
    assert code == 0, f"the second orchestrator ended with {code}: {another.lines[-5:]}"


def thaw(place: Place) -> None:
    """Let the frozen orchestrator continue."""
    place.orchestrators[0].thaw()


# The host's answers ----------------------------------------------------------------------------

STRAY: Final = "WARNING: Error loading config file: /home/ops/.docker/config.json: EOF\n"
ODD: Final = '[\n    {"Id": '
"""The beginning of an answer that does not go on, before the answer."""


def say_stray_line(place: Place) -> None:
    """Let Docker print a warning before each answer."""
    place.docker_says(STRAY)


def say_odd_things(place: Place) -> None:
    """Let Docker print half an answer before each answer."""
    place.docker_says(ODD)


def forbid_docker(place: Place) -> None:
    """Take the socket of the Docker daemon from the login user."""
    place.host.forbid_docker()


def let_no_process_start(place: Place) -> None:
    """Let the login user start no more processes; what follows the log is ended."""
    place.host.shell_runs("ulimit -u 1")
    place.host.restart_sshd()


def print_at_login(place: Place) -> None:
    """Let the shell print a line at every login; what follows the log is ended."""
    place.host.shell_runs("echo Welcome to gpu1")
    place.host.restart_sshd()


def refuse_logins(place: Place) -> None:
    """End the sessions and refuse every login."""
    place.host.refuse_logins()


def show_other_key(place: Place) -> None:
    """End the sessions and show another host key."""
    place.host.show_other_key()


def freeze_docker(place: Place) -> None:
    """Let the Docker daemon hang."""
    place.host.freeze_docker()


def after(seconds: float, relief: Callable[[Place], None]) -> Callable[[Place], None]:
    """Return a relief that comes after so many seconds, when looks have failed."""

    def later(place: Place) -> None:
        time.sleep(seconds)
        relief(place)

    return later


ONLY_ALIVE: Final = ALIVE
"""Steps with a running container; at the other steps the fault has nothing to strike."""
LOOKED_AT: Final = frozenset(STEPS[2:6])
"""The steps between the upload and the download: there is an order, or will be."""
ONLY_RUNNING: Final = frozenset({"running"})
"""The step of faults of the model itself, which happen while it runs."""

FAULTS: Final = (
    Fault("our process killed (-9)", kill_orchestrator,
          ends=at(STEPS, LEFT)),
    Fault("link cut for 5 s", cut, mend_after_5_s),
    Fault("link cut for good, mended later", cut, late_relief=mend, wait_s=3,
          ends=at(STEPS[:7], "unreachable"), leaves=frozenset(STEPS[7:])),
    Fault("sshd restarted", stop_sshd, start_sshd),
    Fault("Docker restarted, live-restore", stop_docker_alone, start_docker),
    Fault("Docker restarted", stop_docker, start_docker,
          ends=at(ALIVE, "lost"), starts=twice(ALIVE)),
    Fault("power cut, booted again", power_off, boot,
          ends=at(ALIVE, "lost"), starts=twice(ALIVE)),
    Fault("disk full on the host", fill_host_disk, late_relief=free_host_disk,
          ends=at(BEFORE | ALIVE, "disk_full"), starts=twice(ALIVE)),
    Fault("disk full here", fill_project_disk, late_relief=free_project_disk, here=True,
          catalog_apart=True, ends=at(STEPS[:7], "disk_full")),
    # If the catalog's disk is full too, no failure can be recorded.
    Fault("disk full here, catalog too", fill_project_disk, late_relief=free_project_disk,
          here=True, ends=at(STEPS, LEFT, "disk_full")),
    Fault("container killed by another", kill_container, strikes_at=ONLY_ALIVE,
          ends=at(ALIVE, "lost"), starts=twice(ALIVE)),
    Fault("container out of memory (137)", take_memory, strikes_at=ONLY_ALIVE,
          behaviour="eat /models/gate",
          ends=at(ALIVE, "out_of_memory"), starts=twice(ALIVE)),
    Fault("success without output", behaviour="lie", strikes_at=ONLY_RUNNING,
          ends=at(ONLY_RUNNING, "output_missing"), starts=twice(ONLY_RUNNING)),
    Fault("success, output truncated", behaviour="truncate", strikes_at=ONLY_RUNNING,
          ends=at(ONLY_RUNNING, "output_missing"), starts=twice(ONLY_RUNNING)),
    Fault("success, output of wrong size", behaviour="small", strikes_at=ONLY_RUNNING,
          ends=at(ONLY_RUNNING, "model_failed"), starts=twice(ONLY_RUNNING)),
    Fault("inputs damaged on the host", host_faults.spoil_inputs,
          strikes_at=frozenset({"during upload", "upload to start"})),
    Fault("scripts damaged on the host", host_faults.spoil_scripts,
          strikes_at=frozenset({"upload to start"})),
    Fault("reset in a long transfer", host_faults.reset_again_and_again, wait_s=2,
          strikes_at=frozenset({"during upload", "during download"})),
    Fault("run folder gone on the host", host_faults.remove_folder,
          strikes_at=ALIVE | {"end to collect", "recording"},
          ends=at({"running", "end to collect"}, "lost")
          | at({"start, answer lost"}, "lost", "launch_failed"),
          starts=twice(ALIVE | {"end to collect"})),
    Fault("too many logins (MaxStartups)", host_faults.occupy_logins, host_faults.free_logins,
          late_relief=host_faults.usual_sshd),
    Fault("one session only (MaxSessions 1)", host_faults.one_session,
          late_relief=host_faults.usual_sshd),
    Fault("Docker hangs for 3 s", host_faults.halt_docker, host_faults.resume_docker),
    Fault("two orchestrators at once", start_another),
    Fault("stray line before the answers", say_stray_line,
          late_relief=lambda place: place.docker_says(None)),
    Fault("odd answers", say_odd_things, after(5, lambda place: place.docker_says(None)),
          strikes_at=LOOKED_AT),
    Fault("docker.sock forbidden for 15 s", forbid_docker,
          after(15, lambda place: place.host.allow_docker()), strikes_at=LOOKED_AT),
    Fault("no process can be started", let_no_process_start,
          after(5, lambda place: place.host.shell_is_plain()), strikes_at=LOOKED_AT),
    Fault("the shell prints at login", print_at_login,
          after(5, lambda place: place.host.shell_is_plain()), strikes_at=LOOKED_AT),
    Fault("login refused", refuse_logins, after(5, lambda place: place.host.allow_logins())),
    Fault("other host key", show_other_key, after(5, lambda place: place.host.show_own_key())),
    Fault("Docker hangs", freeze_docker, after(5, lambda place: place.host.thaw_docker())),
    Fault("login refused for good", refuse_logins, late_relief=lambda p: p.host.allow_logins(),
          wait_s=3, ends=at(STEPS[:7], "unreachable"), leaves=frozenset(STEPS[7:])),
    Fault("docker.sock forbidden for good", forbid_docker,
          late_relief=lambda place: place.host.allow_docker(), wait_s=3, strikes_at=LOOKED_AT,
          ends=at(LOOKED_AT, "unreachable")),
    Fault("our process frozen, then two", freeze, thaw, lease_s=SHORT_LEASE_S),
)  # fmt: skip
