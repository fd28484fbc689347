"""Follow an order of a host's set-up to its end."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.foreign import read_text
from cosmos_pipelines.hosts.lines import lines_of
from cosmos_pipelines.hosts.orders import RESULT
from cosmos_pipelines.hosts.records import MOST
from cosmos_pipelines.operations.base import Outcome

KEPT: Final = 2000
"""Number of log lines that are kept in memory."""


@dataclass(frozen=True)
class Ended:
    """An order of the set-up that has ended."""

    handle: Handle
    outcome: Outcome
    log: str
    """The last lines of the order's log."""

    @property
    def last(self) -> str:
        """Return the last line of the log, for people."""
        return next((x.strip() for x in reversed(self.log.splitlines()) if x.strip()), "no log")


def follow(
    backend: SshBackend,
    handle: Handle,
    tell: Callable[[str], None],
    limit_s: float | None = None,
) -> Ended:
    """Pass each line of the order's log to `tell` until the order ends.

    Raises:
        BackendError: `timeout` (the order is stopped after `limit_s` s), `unreachable`, `lost`.
    """
    kept: deque[str] = deque(maxlen=KEPT)
    began = time.monotonic()

    def chunks() -> Iterator[bytes]:
        with closing(backend.follow(handle)) as stream:
            for chunk in stream:
                if limit_s is not None and time.monotonic() - began > limit_s:
                    backend.cancel(handle, reason="timeout")
                    raise BackendError(
                        "timeout", f"{handle.order_id} was stopped after {limit_s:.0f} s."
                    )
                yield chunk

    for line in lines_of(chunks()):
        kept.append(line)
        tell(line)
    return Ended(handle, backend.outcome(handle), "\n".join(kept))


def result_of(backend: SshBackend, handle: Handle) -> str:
    """Return the text of the order's result file. Raises OutputMissing."""
    with tempfile.TemporaryDirectory(prefix="cosmos-") as folder:
        file = Path(folder) / RESULT
        backend.collect(handle, {RESULT: file})
        return read_text(file, MOST)
