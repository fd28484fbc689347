"""Who is executing a run: a lease in the catalog, kept alive while the process lives.

A process that dies leaves its lease behind; it ends by time, or at once where the next process sees
that the owner is gone. While the owner is seen to live, the end of the lease means nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from loguru import logger

from cosmos_pipelines.catalog.runs import LEASE_S
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It counts sleep as well, and nobody sets it."""


class Lease:
    """Keeps the leases of some runs alive from a thread, while `keep` is entered."""

    def __init__(self, catalog: Catalog, owner: str, load_id: str | None = None) -> None:
        """`load_id`: the load in which the runs were taken out of the queue, kept alive too."""
        self._catalog, self._owner, self._load_id = catalog, owner, load_id
        self._run_ids: list[str] = []
        self._renewed_at = 0.0
        self._stop = threading.Event()

    @contextmanager
    def keep(self, run_ids: Iterable[str]) -> Iterator[None]:
        """The runs are leased by this process already (`Catalog.claim`, `Catalog.adopt`).

        In the end what has not been finished is given up.
        """
        self._run_ids, self._renewed_at = list(run_ids), _now()
        self._stop.clear()
        thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._catalog.release_all(self._run_ids, self._owner)

    def held(self, run_ids: Iterable[str]) -> bool:
        """Whether one of these runs is still ours.

        It is not where this process or its machine stood still for so long that another has taken
        it over. Asks the catalog only then.
        """
        if _now() - self._renewed_at < LEASE_S:
            return True
        if self._catalog.renew(run_ids, self._owner, LEASE_S) == 0:
            return False
        self._renewed_at = _now()
        return True

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_S / 3):
            now = _now()
            try:
                if self._catalog.renew(self._run_ids, self._owner, LEASE_S):
                    self._renewed_at = now
                if self._load_id is not None:
                    self._catalog.renew_loads([self._load_id], self._owner)
            except CosmosError as e:  # the lease lasts for two more tries
                logger.warning("The leases were not renewed: {why}", why=e)
            except Exception:  # noqa: BLE001 - whose lease is not renewed loses its runs
                logger.exception("The leases were not renewed.")


def _now() -> float:
    return time.clock_gettime(_CLOCK)
