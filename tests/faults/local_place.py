"""This machine as the place of a run: `local`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

import psutil

from tests.faults.place import Place, stand_in_at

_SETTINGS: Final = '[execution]\nbackend = "local"\nengine = "stand_in"\ngrace_s = 2\n'


class LocalPlace(Place):
    """A run in processes of this machine."""

    backend: ClassVar[str] = "local"
    recorded: ClassVar[tuple[str, ...]] = ("host",)
    stops: ClassVar[Mapping[str, str]] = {
        "during upload": "uploading",
        "start, answer lost": "started",
        "during download": "downloading",
    }

    def __init__(
        self, home: Path, fill: Callable[[], None], *, catalog_apart: bool = False
    ) -> None:
        super().__init__(home, fill)
        self.stand_in = str(stand_in_at(self.models))
        self.gate_there = str(self.models / "gate")
        self.close_gate()
        self.make_project(_SETTINGS, catalog_apart=catalog_apart)

    @property
    def models(self) -> Path:
        """See `Place.models`."""
        return self.home.parent / "models"

    def close(self) -> None:
        """See `Place.close`; no process of an order is left."""
        super().close()
        self.end_order()

    # The model, and what is left: as in `Place` -----------------------------------------------

    def starts(self) -> list[str]:
        log = self.models / "starts/log"
        return log.read_text().split() if log.exists() else []

    def files(self) -> Path:
        return self.settings.work

    def containers(self, *, running: bool = False) -> list[str]:
        return [words for _, words in self._processes()]

    def end_order(self) -> None:
        for process, _ in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _processes(self) -> Iterator[tuple[psutil.Process, str]]:
        """Yield the processes of orders, run.sh and the model, with their words."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = process.cmdline()
                ours = self.stand_in in words or str(self.settings.work) in " ".join(words)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    yield process, " ".join(words)
