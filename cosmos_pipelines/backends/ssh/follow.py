"""Follow the log of an order as it grows, over a connection that may break and come back.

A thread reads the log and reconnects, so the caller of `follow` gets an item about every second,
even while the connection is lost. Another thread asks for the order's state and the host's clock,
which may take long: Docker may hang there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from contextlib import closing
from contextvars import copy_context
from functools import partial
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Final

from loguru import logger

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.base import BEAT_S, Handle
from cosmos_pipelines.backends.ssh import script as host_script
from cosmos_pipelines.backends.ssh.folder import Answer, HostFolder, Seen
from cosmos_pipelines.backends.ssh.host_shell import parts
from cosmos_pipelines.backends.ssh.retry import MAY_PASS, wait_out
from cosmos_pipelines.errors import BackendError, CosmosError
from cosmos_pipelines.remote.ssh.connection import Completed

CLOCK_S: Final = 10.0
"""Seconds between two readings of the host's clock."""
LONGEST_CLOCK_S: Final = 60.0
"""Seconds between them while none succeeds: programs that hang on the host do not become many."""

PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0

AHEAD: Final = 16
"""Number of chunks that may wait for the caller of `follow`."""


class Following:
    """Follows one order; `on_seen` gets the order's state each time the host's clock is read."""

    def __init__(
        self, host: HostFolder, handle: Handle, wait_s: float, on_seen: Callable[[Seen], None]
    ) -> None:
        self._host, self._handle, self._wait_s, self._on_seen = host, handle, wait_s, on_seen
        self._queue: Queue[bytes | BaseException | None] = Queue(AHEAD)
        self._over = Event()
        self._offset = 0
        self._lost_at: float | None = None
        self._waiting_since: float | None = None
        """When the log was lost; a clock that cannot be read does not count while the log grows."""
        self._blind = False
        """Whether the last look at the order said nothing: then a line of the log does not mean
        that the order can be seen again."""

    def chunks(self, offset: int) -> Generator[bytes]:
        """Yield the log from byte `offset` to the end of the order; `b""` in silence.

        Raises:
            Unreachable: the host gave no usable answer for longer than `wait_s`.
            BackendError: `lost`, the run folder is gone.
        """
        self._offset = offset
        for work in (self._pump, self._watch_clock):
            # what they say belongs to the run's log
            said_here = partial(copy_context().run, work)
            Thread(target=said_here, name=f"follow-{self._handle.order_id}", daemon=True).start()
        try:
            while True:
                try:
                    item = self._queue.get(timeout=BEAT_S)
                except Empty:
                    yield b""
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._over.set()

    def _pump(self) -> None:
        try:
            self._read()
            self._put(None)
        except BaseException as e:  # noqa: BLE001 - raised in the caller of `follow`
            self._put(e)

    def _put(self, item: bytes | BaseException | None) -> None:
        while not self._over.is_set():
            try:
                self._queue.put(item, timeout=BEAT_S)
                return
            except Full:
                continue

    def _read(self) -> None:
        pause = PAUSE_S
        while not self._over.is_set():
            before = self._offset
            try:
                if self._read_on():
                    return
            except MAY_PASS as e:
                self._lost(e)
                if self._waiting_since is None:
                    self._waiting_since = time.monotonic()
                wait_out(e, self._waiting_since, self._wait_s)
            pause = PAUSE_S if self._offset > before else min(pause * 2, LONGEST_PAUSE_S)
            self._over.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once

    def _read_on(self) -> bool:
        """Read while the order runs; return whether the order has ended and all is read."""
        carrier = self._host.carrier
        name = carrier.name_of(self._handle.order_id)
        argv = host_script.follow(
            self._handle.run_dir,
            self._offset,
            ended=carrier.wait(name),
            ask_carrier=carrier.look(name),
        )
        done = self._stream(argv)
        if self._over.is_set():
            return True
        seen = self._seen(done)
        self._heard()
        if seen.folder is None:
            raise self._host.folder_gone(self._handle.run_dir, seen)
        if seen.alive:
            return False
        if self._offset < seen.log_size:
            self._stream(host_script.rest(self._handle.run_dir, self._offset))
        return self._offset >= seen.log_size

    def _seen(self, done: Completed) -> Seen:
        """Return the order's state at the end of the stream, as the script reports it."""
        if done.exit_code == 0:
            try:
                said = parts(done.stderr)
                if "carried" in said and "folder" in said:
                    return Answer(self._host.host, self._host.carrier, said).seen(
                        self._handle.order_id
                    )
            except BackendError as e:  # the host's shell printed something else as well
                logger.debug("Looking again at {id}: {why}", id=self._handle.order_id, why=e)
        return self._look()

    def _look(self, *files: str) -> Seen:
        self._blind = True
        order, folder = self._handle.order_id, self._handle.run_dir
        seen = self._host.look_at_begun(order, *files, folder=folder)
        self._blind = False
        return seen

    def _stream(self, argv: list[str]) -> Completed:
        with closing(self._host.connection.stream(argv)) as stream:
            while True:
                try:
                    chunk = next(stream)
                except StopIteration as end:
                    ended: Completed = end.value
                    return ended
                if self._over.is_set():
                    return Completed(1, b"", b"")
                if chunk:
                    self._waiting_since = None
                    if not self._blind:
                        self._heard()
                    self._offset += len(chunk)
                    self._put(chunk)

    def _lost(self, why: CosmosError) -> None:
        """Note when the order was lost from sight; say it once."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            logger.warning("Lost sight of {id}: {why}", id=self._handle.order_id, why=why)

    def _heard(self) -> None:
        if self._lost_at is not None:
            away = time.monotonic() - self._lost_at
            logger.info("Reached {id} again after {s:.0f} s", id=self._handle.order_id, s=away)
        self._lost_at = self._waiting_since = None

    def _watch_clock(self) -> None:
        """Read the host's clock now and then; no answer, or a late one, holds no line back."""
        pause = CLOCK_S
        try:
            while not self._over.is_set():
                pause = CLOCK_S if self._ask_clock() else min(2 * pause, LONGEST_CLOCK_S)
                self._over.wait(pause)
        except BaseException as e:  # noqa: BLE001 - raised in the caller of `follow`
            self._put(e)

    def _ask_clock(self) -> bool:
        """Read the clock and the order's state; return whether that was possible."""
        try:
            seen = self._look(run_folder.STARTED)
        except MAY_PASS as e:
            self._lost(e)
            return False
        self._heard()
        if not self._over.is_set():
            self._on_seen(seen)
        return True
