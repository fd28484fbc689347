"""The check of an engine's image on a GPU host."""

from __future__ import annotations

from cosmos_pipelines.backends.checks import Check, Finding
from cosmos_pipelines.doctor.host import HostChecks


class ImageCheck:
    """The check of one engine's image; the checks of the carrier of `host` come before it."""

    def __init__(
        self, host: HostChecks, engine: str, own: str | None, set_up: str | None, suffix: str
    ) -> None:
        """`own`, `set_up`: see `CarrierChecks.image`.

        `suffix`: the ending of the names of this engine's checks.
        """
        self._host, self._engine, self._own, self._set_up = host, engine, own, set_up
        self.suffix = suffix
        self.digest: str | None = None
        """The digest of the image, once the image was found."""

    def check(self) -> Check:
        """Return the check, which needs the carrier's first check."""
        first = self._host.on_carrier.checks()[0].name
        return Check(f"image{self.suffix}", self.look, (first,), "host")

    def look(self) -> Finding:
        """Whether the image is on the host; report its digest."""
        found, self.digest = self._host.on_carrier.image(self._engine, self._own, self._set_up)
        return found
