"""The Docker checks of `cosmos doctor` on a host: permission, version, GPU, an engine's image."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

from cosmos_pipelines.backends.carriers.base import Ask, CarrierChecks
from cosmos_pipelines.backends.carriers.container import image_of
from cosmos_pipelines.backends.carriers.gpu_choice import GPUS_LOCK
from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, said_of, warn
from cosmos_pipelines.engines.gpu_faults import gpu_fault
from cosmos_pipelines.errors import BackendError, Unreachable
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.lines import plain
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import (
    DockerDaemon,
    parse_image,
    parse_info,
)
from cosmos_pipelines.remote.docker.problems import Problem, parse_problem
from cosmos_pipelines.remote.ssh.connection import Completed
from cosmos_pipelines.settings import Docker

OLDEST_DOCKER: Final = (20, 10)
"""The first Docker version whose `docker run` knows --pull=never."""
TOOLKIT: Final = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)


_UNREACHED: Final = ("not_permitted", "daemon_down")
_ROOTLESS: Final = """
for socket in "$XDG_RUNTIME_DIR/docker.sock" "/run/user/$(id -u)/docker.sock"; do
    [ ! -S "$socket" ] || { echo "$socket"; break; }
done
"""
"""The places of a rootless daemon's socket: docs.docker.com/engine/security/rootless."""


_NO_FLOCK: Final = "no flock"
_LOCK: Final = f"""
command -v flock >/dev/null || {{ echo '{_NO_FLOCK}' >&2; exit 1; }}
file={GPUS_LOCK}
[ ! -e "$file" ] && [ ! -L "$file" ] && exit 0
[ -f "$file" ] && [ -r "$file" ] && [ ! -L "$file" ] || {{ ls -ld -- "$file" >&2; exit 1; }}
"""


class DockerChecks(CarrierChecks):
    """See `CarrierChecks`."""

    def __init__(
        self, containers: Docker, host: str, user: Callable[[], str], ask: Ask, *, needs_gpu: bool
    ) -> None:
        self._containers, self._host, self._user = containers, host, user
        self._ask, self._needs_gpu = ask, needs_gpu

    def checks(self) -> list[Check]:
        """See `CarrierChecks.checks`."""
        return [
            Check("Docker", self.permission, ("login",), "host"),
            Check("Docker version", self.version, ("Docker",), "host"),
            Check("GPU in containers", self.gpu_in_containers, ("GPU", "Docker"), "host"),
            Check("GPU lock", self.gpu_lock, ("GPU",), "host"),
        ]

    @cached_property
    def _answer(self) -> DockerDaemon | Problem:
        try:
            return parse_info(*_texts(self._ask(docker.info_argv())))
        except Unreachable:
            raise
        except BackendError as e:
            return Problem("other", e.message, f"See `ssh {self._host} docker info`.")

    @property
    def _daemon(self) -> DockerDaemon:
        """The daemon's answer; used only after the check `permission`."""
        assert isinstance(self._answer, DockerDaemon)
        return self._answer

    def permission(self) -> Finding:
        """Whether the login user may use Docker on the host."""
        answer, user = self._answer, self._user()
        if isinstance(answer, Problem):
            return fail(answer.message, self._rootless_hint() or answer.hint.replace("USER", user))
        by = "" if answer.context == "default" else f", by its context {answer.context}"
        if answer.rootless and not _is_root(self._containers.user):
            return fail(
                f"{user} may use Docker{by}, but the daemon is rootless: files of {user} belong to "
                "root in its containers, and runs are started as another user",
                'Set user = "0:0" in [docker] of cosmos.toml.',
            )
        return ok(f"{user} may use Docker{by}")

    def _rootless_hint(self) -> str | None:
        """Return what to do if the user has a rootless daemon that Docker's client does not use."""
        if not isinstance(self._answer, Problem) or self._answer.kind not in _UNREACHED:
            return None
        socket = self._ask(["sh", "-c", _ROOTLESS]).stdout.decode(errors="replace").strip()
        if not socket:
            return None
        make = f"docker context create rootless --docker host=unix://{socket}"
        use = "docker context use rootless"
        return (
            f"A rootless daemon listens on {socket}, but DOCKER_HOST is not set for programs that "
            f"SSH starts: `ssh {self._host} '{make}; {use}'`."
        )

    def version(self) -> Finding:
        """Whether the daemon is new enough."""
        daemon = self._daemon
        found = f"{daemon.version}, {daemon.cpus} CPUs, {daemon.memory / (1 << 30):.0f} GiB memory"
        numbers = tuple(n for x in daemon.version.split(".")[:2] if (n := whole(x)) is not None)
        if len(numbers) == 2 and numbers < OLDEST_DOCKER:
            oldest = ".".join(map(str, OLDEST_DOCKER))
            return fail(found, f"Update Docker on {self._host} to {oldest} or newer.")
        survive = ", containers survive a restart of Docker" if daemon.live_restore else ""
        return ok(found + survive)

    def gpu_in_containers(self) -> Finding:
        """Whether the daemon can give a GPU to a container."""
        hook = self._ask(["sh", "-c", "command -v nvidia-container-runtime-hook nvidia-ctk"])
        if hook.stdout.strip() or "nvidia" in self._daemon.runtimes:
            return ok("the NVIDIA container toolkit is installed")
        do = f"Install the NVIDIA container toolkit on {self._host}: {TOOLKIT}"
        missing = "the NVIDIA container toolkit is not installed"
        return fail(missing, do) if self._needs_gpu else warn(missing, do)

    def gpu_lock(self) -> Finding:
        """Whether two runs that start at the same moment can be kept from the same GPU."""
        done = self._ask(["sh", "-c", _LOCK])
        if done.exit_code == 0:
            return ok("starts on this host take turns in choosing GPUs")
        said = said_of(done)
        if said == _NO_FLOCK:
            return warn(
                "flock is not installed: two runs that start in the same second may get one GPU",
                f"Install flock on {self._host}: it is in the package util-linux.",
            )
        return fail(
            f"the lock for choosing GPUs cannot be used: {plain(said)}",
            f"Remove that file on {self._host}: each start makes it again.",
        )

    def rooms(self) -> Mapping[str, str]:
        """See `CarrierChecks.rooms`."""
        if isinstance(self._answer, Problem):
            return {}
        return {self._answer.root: "docker system df"}

    def image(self, engine: str, own: str | None, set_up: str | None) -> tuple[Finding, str | None]:
        """See `CarrierChecks.image`. Raises SettingsError if no image is set."""
        image = image_of(self._containers, engine, own)
        found = parse_image(*_texts(self._ask(docker.image_argv(image))))
        if isinstance(found, Problem):
            if found.kind != "no_image":
                return fail(f"{image}: {found.message}", found.hint), None
            pull = f"ssh {self._host} docker pull {shlex.quote(image)}"
            return fail(f"{image} is not on {self._host}", set_up or pull), None
        size = f"{found.size / (1 << 30):.1f} GiB"
        seen = ok(f"{image}, {found.digest}, {size}")
        return self._gpu_inside(image) or seen, found.digest

    def _gpu_inside(self, image: str) -> Finding | None:
        """Return why a container of the image sees no GPU of the host; None if it sees one."""
        if not self._needs_gpu:
            return None
        given = self._containers.gpus
        gpus: docker.Gpus = (
            "all" if given in (None, "all") else tuple(given.replace(" ", "").split(","))
        )
        done = self._ask(docker.gpu_probe_argv(image, gpus))
        if (
            done.exit_code == 0
            and whole(done.stdout.decode(errors="replace").split(",")[0]) is not None
        ):
            return None
        said = said_of(done)
        do = parse_problem(done.stderr.decode(errors="replace")).hint
        if fault := gpu_fault(said):
            do = fault[1]
        return fail(f"a container of {image} sees no GPU: {said}", do)


def _texts(done: Completed) -> tuple[int, str, str]:
    stdout, stderr = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return done.exit_code, stdout, stderr


def _is_root(user: str | None) -> bool:
    return user is not None and user.partition(":")[0] in ("0", "root")
