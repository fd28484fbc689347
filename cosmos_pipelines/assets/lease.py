"""Who is executing a run: a lease in the catalog, kept alive while the process lives.

A process that dies leaves its lease behind; it ends by time, or at once where the next process runs
on the same machine and sees that the owner is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Self

from cosmos_pipelines.catalog.store import Catalog

LEASE_S = 30
"""Seconds after which a lease that is not renewed ends; renewed three times in that span."""


class Lease:
    """Keeps the leases of some runs alive from a thread; a context manager.

    The runs are leased by this process already (`Catalog.claim`, `Catalog.adopt`); leaving the
    context gives up what has not been finished.
    """

    def __init__(self, catalog: Catalog, owner: str, run_ids: Iterable[str]) -> None:
        self._catalog, self.owner, self._run_ids = catalog, owner, list(run_ids)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_S / 3):
            self._catalog.renew(self._run_ids, self.owner, LEASE_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for run_id in self._run_ids:
            self._catalog.release(run_id, self.owner)
