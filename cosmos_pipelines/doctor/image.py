"""The check of the image that an engine's orders run in, on a GPU host."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from cosmos_pipelines.doctor.checks import Check, Finding, fail, ok
from cosmos_pipelines.doctor.host import ASK_S, HostChecks
from cosmos_pipelines.remote.docker import answers as docker_answers
from cosmos_pipelines.remote.docker import commands as docker


class ImageCheck:
    """The check of one engine's image; `host` has made those of Docker before."""

    def __init__(
        self, host: HostChecks, image: Callable[[], str], set_up: str | None, suffix: str
    ) -> None:
        """`image` may raise SettingsError; `set_up` is the command that brings it, if there is one.

        `suffix`: what the names of this engine's checks end in.
        """
        self._host, self._image, self._set_up = host, image, set_up
        self.suffix = suffix
        self.digest: str | None = None
        """Of the image, once it was found."""

    def check(self) -> Check:
        """The check itself."""
        return Check(f"image{self.suffix}", self.look, ("Docker",), "host")

    def look(self) -> Finding:
        """Whether the image is there, and which one it is."""
        image = self._image()
        done = self._host.connection.run(docker.image_argv(image), timeout_s=ASK_S)
        images = docker_answers.parse_images(done.stdout.decode(errors="replace"))
        if not images:
            pull = f"ssh {self._host.target.host} docker pull {shlex.quote(image)}"
            return fail(f"{image} is not there", self._set_up or pull)
        self.digest = images[0].digest
        return ok(f"{image}, {images[0].digest}, {images[0].size / (1 << 30):.1f} GiB")
