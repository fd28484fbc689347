"""The Docker checks of `cosmos doctor` on a host: permission, version, GPU, an engine's image."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

from cosmos_pipelines.backends.carriers.base import Ask, CarrierChecks
from cosmos_pipelines.backends.carriers.container import image_of
from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, said_of, warn
from cosmos_pipelines.engines.gpu_faults import gpu_fault
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import (
    Daemon,
    Problem,
    parse_images,
    parse_info,
    parse_problem,
)
from cosmos_pipelines.settings import Docker

OLDEST_DOCKER: Final = (20, 10)
"""The first Docker version whose `docker run` knows --pull=never."""
TOOLKIT: Final = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)


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
        ]

    @cached_property
    def _answer(self) -> Daemon | Problem:
        done = self._ask(docker.info_argv())
        out = done.stdout.decode(errors="replace")
        return parse_info(out) if out.lstrip().startswith("{") else parse_problem(said_of(done))

    @property
    def _daemon(self) -> Daemon:
        """The daemon's answer; used only after the check `permission`."""
        assert isinstance(self._answer, Daemon)
        return self._answer

    def permission(self) -> Finding:
        """Whether the login user may use Docker on the host."""
        if isinstance(self._answer, Problem):
            return fail(self._answer.message, self._answer.hint.replace("USER", self._user()))
        return ok(f"{self._user()} may use Docker")

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

    def rooms(self) -> Mapping[str, str]:
        """See `CarrierChecks.rooms`."""
        if isinstance(self._answer, Problem):
            return {}
        return {self._answer.root: "docker system df"}

    def image(self, engine: str, own: str | None, set_up: str | None) -> tuple[Finding, str | None]:
        """See `CarrierChecks.image`. Raises SettingsError if no image is set."""
        image = image_of(self._containers, engine, own)
        done = self._ask(docker.image_argv(image))
        images = parse_images(done.stdout.decode(errors="replace"))
        if not images:
            pull = f"ssh {self._host} docker pull {shlex.quote(image)}"
            return fail(f"{image} is not on {self._host}", set_up or pull), None
        digest = images[0].digest
        found = ok(f"{image}, {digest}, {images[0].size / (1 << 30):.1f} GiB")
        return self._gpu_inside(image) or found, digest

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
