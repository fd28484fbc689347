"""An order's log as it is written, over a connection that may come and go.

A thread of its own reads, reconnects and asks; whoever follows hears a beat about each second
whatever happens to the link.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from contextlib import closing
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Final

from loguru import logger

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.base import BEAT_S, Handle
from cosmos_pipelines.backends.ssh import script as host_script
from cosmos_pipelines.backends.ssh.folder import Answer, HostFolder, Seen
from cosmos_pipelines.backends.ssh.retry import wait_out
from cosmos_pipelines.errors import BackendError, Unreachable
from cosmos_pipelines.remote.ssh.connection import Completed

CLOCK_S: Final = 10.0
"""Seconds between two looks at the host's clock."""

PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0

AHEAD: Final = 16
"""Chunks that may wait for whoever follows."""


class Following:
    """One follower of one order; `tell` is given each look that reads the host's clock."""

    def __init__(
        self, host: HostFolder, handle: Handle, wait_s: float, tell: Callable[[Seen], None]
    ) -> None:
        self._host, self._handle, self._wait_s, self._tell = host, handle, wait_s, tell
        self._queue: Queue[bytes | BaseException | None] = Queue(AHEAD)
        self._over = Event()
        self._offset = 0
        self._told = 0.0
        self._down: float | None = None

    def chunks(self, offset: int) -> Generator[bytes]:
        """Bytes from `offset` to the end of the order; `b""` in silence.

        Raises:
            Unreachable: the host was away for longer than `wait_s`.
            BackendError: `lost`, the run folder is gone.
        """
        self._offset = offset
        Thread(target=self._pump, name=f"follow-{self._handle.order_id}", daemon=True).start()
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
        except BaseException as e:  # noqa: BLE001 - raised where it is followed
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
            except Unreachable as e:
                if self._down is None:
                    self._down = time.monotonic()
                    logger.warning("Lost sight of {id}: {why}", id=self._handle.order_id, why=e)
                wait_out(e, self._down, self._wait_s)
            pause = PAUSE_S if self._offset > before else min(pause * 2, LONGEST_PAUSE_S)
            self._over.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once

    def _read_on(self) -> bool:
        """Read while the order runs; whether it has ended and all was read."""
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
            raise BackendError(
                "lost", f"The run folder {self._handle.run_dir} on {self._host.host} is gone."
            )
        if seen.alive:
            return False
        if self._offset < seen.log_size:
            self._stream(host_script.rest(self._handle.run_dir, self._offset))
        return self._offset >= seen.log_size

    def _seen(self, done: Completed) -> Seen:
        """How the order stands at the stream's end, which the script itself tells."""
        if done.exit_code == 0:
            try:
                parts = host_script.parts(done.stderr)
            except BackendError:  # something else was said there as well
                parts = {}
            if "carried" in parts and "folder" in parts:
                return Answer(self._host.host, self._host.carrier, parts).seen(
                    self._handle.order_id
                )
        return self._host.look(self._handle.order_id, folder=self._handle.run_dir)

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
                    self._heard()
                    self._offset += len(chunk)
                    self._put(chunk)
                self._ask_clock()

    def _heard(self) -> None:
        if self._down is not None:
            away = time.monotonic() - self._down
            logger.info("Found {id} again after {s:.0f} s", id=self._handle.order_id, s=away)
        self._down = None

    def _ask_clock(self) -> None:
        if time.monotonic() - self._told < CLOCK_S:
            return
        self._told = time.monotonic()
        try:
            seen = self._host.look(
                self._handle.order_id, run_folder.STARTED, folder=self._handle.run_dir
            )
        except Unreachable as e:
            logger.debug("No look at {id}: {why}", id=self._handle.order_id, why=e)
            return
        self._heard()
        self._tell(seen)
