"""The check of the image that an engine's orders run in, on a GPU host."""

from __future__ import annotations

from cosmos_pipelines.backends.checks import Check, Finding
from cosmos_pipelines.doctor.host import HostChecks


class ImageCheck:
    """The check of one engine's image; `host` has made those of its carrier before."""

    def __init__(
        self, host: HostChecks, engine: str, own: str | None, set_up: str | None, suffix: str
    ) -> None:
        """`own`, `set_up`: see `CarrierChecks.image`.

        `suffix`: what the names of this engine's checks end in.
        """
        self._host, self._engine, self._own, self._set_up = host, engine, own, set_up
        self.suffix = suffix
        self.digest: str | None = None
        """Of the image, once it was found."""

    def check(self) -> Check:
        """The check itself; it needs the first one of the carrier."""
        first = self._host.on_carrier.checks()[0].name
        return Check(f"image{self.suffix}", self.look, (first,), "host")

    def look(self) -> Finding:
        """Whether the image is there, and which one it is."""
        found, self.digest = self._host.on_carrier.image(self._engine, self._own, self._set_up)
        return found
