"""Work of the server that takes longer than a request: begun by a page, its progress pushed to all.

Asking for work that is being done is given that work: two people at once do not do it twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from loguru import logger

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.page.feed import Feed

KEPT: Final = 20
"""Works that are remembered after their end."""
PUSH_S: Final = 0.25
"""Seconds between two messages of one work's progress."""


@dataclass
class Job:
    """One work."""

    id: int
    kind: str
    title: str
    state: Literal["works", "done", "failed"] = "works"
    text: str = ""
    """How far it is, what it made, or why it failed."""
    hint: str | None = None
    done: int = 0
    total: int = 0
    link: str = ""
    """Where its result is shown, below /cosmos/."""
    began: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    """What it has found so far."""


Work = Callable[["Report"], None]


class Report:
    """How a work tells what it does."""

    def __init__(self, job: Job, push: Callable[[Job], None]) -> None:
        self.job, self._push, self._pushed_at = job, push, 0.0

    def progress(self, text: str, done: int, total: int) -> None:
        """So much is done."""
        self.job.text, self.job.done, self.job.total = text, done, total
        if time.monotonic() - self._pushed_at > PUSH_S:
            self._pushed_at = time.monotonic()
            self._push(self.job)

    def found(self, result: dict[str, Any]) -> None:
        """One more result."""
        self.job.results.append(result)
        self._push(self.job)


class Jobs:
    """The works of this server, newest first."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        self._jobs: list[tuple[object, Job]] = []
        self._number = 0

    def start(self, kind: str, title: str, key: object, work: Work) -> Job:
        """Begin a work in a thread of its own, or return the one with this key that is begun."""
        with self._lock:
            for known, job in self._jobs:
                if known == (kind, key) and job.state == "works":
                    return job
            self._number += 1
            began = datetime.now(UTC).isoformat()
            job = Job(self._number, kind, title, began=began)
            ended = [j for _, j in self._jobs if j.state != "works"][KEPT:]
            self._jobs = [((kind, key), job), *(k for k in self._jobs if k[1] not in ended)]
        threading.Thread(target=self._do, args=(job, work), name=kind, daemon=True).start()
        return job

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the works of a kind as plain values."""
        with self._lock:
            return [asdict(job) for _, job in self._jobs if job.kind == kind]

    def _do(self, job: Job, work: Work) -> None:
        try:
            work(Report(job, self._push))
            job.state = "done"
        except CosmosError as e:
            job.state, job.text, job.hint = "failed", e.message, e.hint
        except Exception as e:  # noqa: BLE001 - whoever asked for it is told
            logger.exception("{} failed.", job.title)
            job.state, job.text = "failed", f"{type(e).__name__}: {e}"
        self._push(job)

    def _push(self, job: Job) -> None:
        self._feed.tell("job", {"id": job.id, "kind": job.kind, "state": job.state})
