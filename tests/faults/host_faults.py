"""Faults of what lies on the host, of its sshd's limits, and of a daemon that hangs."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import suppress

from tests.faults.place import Place
from tests.rig.host import until

_SPOIL = "for f; do printf X | dd of=$f bs=1 conv=notrunc; done"
_strangers: list[socket.socket] = []
_stopped: list[int] = []


def spoil_inputs(place: Place) -> None:
    """Change the first byte of all uploaded inputs in place; size and name stay."""
    place.host.console("sh", "-c", f"set -- /data/cosmos/cas/*; {_SPOIL}")


def spoil_scripts(place: Place) -> None:
    """Change the first byte of the scripts in place."""
    place.host.console("sh", "-c", f"set -- /data/cosmos/scripts/*/run.sh; {_SPOIL}")


def reset_again_and_again(place: Place) -> None:
    """End all connections three times, while a slow transfer goes on for longer than `wait_s`."""
    for _ in range(3):
        time.sleep(1.5)
        listener = int((place.host.root / "run/sshd.pid").read_text())
        place.host.kill(*(pid for pid in place.host.pids("sshd") if pid != listener))


def remove_folder(place: Place) -> None:
    """Remove the run folder on the host, as somebody who tidies up."""
    place.host.console("rm", "-rf", f"/data/cosmos/runs/{place.run.batch_id}")


def _limit(place: Place, name: str, value: int) -> None:
    """End sshd with all sessions and start it with another limit."""
    place.host.stop_sshd()
    config = (place.host.root / "opt/rig/sshd_config").read_text()
    lines = [line for line in config.splitlines() if not line.startswith(name)]
    text = "\n".join([*lines, f"{name} {value}", ""])
    place.host.console("sh", "-c", "cat >/tmp/limited; mkdir -p /run/sshd", input=text.encode())
    place.host.console("/usr/sbin/sshd", "-f", "/tmp/limited", "-E", "/var/log/sshd.log")
    until(lambda: place.host.port_open(22), "sshd")


def occupy_logins(place: Place) -> None:
    """Let sshd drop whoever comes, since another one is logging in for ever (MaxStartups)."""
    _limit(place, "MaxStartups", 1)

    def let_in() -> bool:
        link = socket.create_connection((place.host.address, 22), timeout=5)
        with suppress(OSError):
            if link.recv(4) == b"SSH-":
                _strangers.append(link)
                return True
        link.close()
        return False

    until(let_in, "room for a login")


def free_logins(_: Place) -> None:
    """Let the other one go after 1 s."""
    time.sleep(1)
    _strangers.pop().close()


def one_session(place: Place) -> None:
    """Let sshd have one session in a connection (MaxSessions)."""
    _limit(place, "MaxSessions", 1)


def usual_sshd(place: Place) -> None:
    """Start sshd with its usual limits."""
    place.host.restart_sshd()


def halt_docker(place: Place) -> None:
    """Let the Docker daemon hang; containers go on."""
    _stopped[:] = place.host.pids("dockerd")
    place.host.kill(*_stopped, number=signal.SIGSTOP)


def resume_docker(place: Place) -> None:
    """Let the Docker daemon go on after 3 s."""
    time.sleep(3)
    place.host.kill(*_stopped, number=signal.SIGCONT)
