"""The default backend: orders run as subprocesses of this machine.

An order runs under `run.sh` in its own session and outlives the process that launched it.

    work/cas/<sha256>       inputs, copied once for all runs, read-only
    work/runs/<order id>/   run folders; their inputs/ are hard links into cas
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cosmos_pipelines.backends import facts, kept_here, run_folder
from cosmos_pipelines.backends.base import (
    BEAT_S,
    Backend,
    Handle,
    KeptOrder,
    StopReason,
    SweptFile,
)
from cosmos_pipelines.backends.carriers import process
from cosmos_pipelines.backends.staging import stage
from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    GpusBusy,
    InputError,
    OutputMissing,
    StateError,
)
from cosmos_pipelines.files import (
    PART,
    WrongContent,
    copy_verified,
    part_of,
    remove,
    room_for,
    sha256_of,
    sweep_parts,
    write_text,
)
from cosmos_pipelines.foreign import read_bytes
from cosmos_pipelines.operations.base import Order, Outcome
from cosmos_pipelines.remote.changes import Changes
from cosmos_pipelines.remote.gpu import GpuState


class LocalBackend(Backend):
    """Runs orders on this machine; the directory `work` is made when first needed."""

    name = "local"

    def __init__(
        self,
        work: Path,
        scripts: Path = SCRIPTS,
        python: str = sys.executable,
        grace_s: float = 10.0,
        slots: int | None = None,
    ) -> None:
        """`slots`: how many orders run at once; None: any number."""
        self.work = work.resolve()
        self.scripts = scripts.resolve()
        self.python = python
        self.grace_s = grace_s
        self.slots = slots
        self.cas = self.work / "cas"
        self.runs = self.work / "runs"

    def launch(self, order: Order, before_start: Callable[[], None] | None = None) -> Handle:
        """See `Backend.launch`."""
        if found := self.find(order.id):
            return found
        self._check_slots()
        prepared = part_of(self._dir(order.id))
        self._directories(order)
        stage(order, self.cas, prepared, self._dir(order.id))
        try:
            with self._lock() as lock:
                if found := self.find(order.id):
                    return found
                self._check_slots()
                if before_start is not None:
                    before_start()
                remove(self._dir(order.id))  # prepared before a crash, never started
                prepared.rename(self._dir(order.id))
                return self._start(order, lock)
        finally:
            remove(prepared)

    def find(
        self,
        order_id: str,
        wait_s: float = 0,  # noqa: ARG002
        *,
        begun: bool = False,  # noqa: ARG002
    ) -> Handle | None:
        """See `Backend.find`."""
        run_dir = self._dir(order_id)
        if not os.path.lexists(run_dir / run_folder.STARTED):
            return None
        try:
            text = _read(run_dir / run_folder.STARTED) or ""
        except BackendError:  # whatever it is, it names no process
            text = ""
        leader = run_folder.read_start(text)
        host = socket.gethostname()
        return Handle(order_id, str(run_dir), leader.boot_id, host, process.marks_of(leader))

    def order_of(self, handle: Handle) -> Order:
        """See `Backend.order_of`."""
        text = _read(_run_dir(handle) / run_folder.ORDER)
        if text is None:
            raise BackendError("lost", f"The run folder {handle.run_dir} has no order.json.")
        return run_folder.read_order(text, handle.order_id)

    def running_s(self, handle: Handle) -> float:
        """See `Backend.running_s`; an order of an earlier boot counts from this boot on."""
        return process.running_s(handle)

    def alive(self, handle: Handle) -> bool:
        """See `Backend.alive`."""
        ended = (_run_dir(handle) / run_folder.EXIT_CODE).exists()
        return not ended and process.is_alive(handle)

    def asked_to_stop(self, handle: Handle) -> bool:
        """See `Backend.asked_to_stop`."""
        return (_run_dir(handle) / run_folder.STOP).exists()

    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """See `Backend.follow`."""
        run_dir = _run_dir(handle)
        with (run_dir / run_folder.LOG).open("rb", buffering=0) as log, Changes(run_dir) as changes:
            log.seek(offset)
            yielded_at = time.monotonic()
            while True:
                # Checked before reading, so that the last lines are read after the order's end.
                ended = not self.alive(handle)
                if ended:
                    process.end_rest(handle)
                while chunk := log.read(1 << 16):
                    yielded_at = time.monotonic()
                    yield chunk
                if ended:
                    return
                if time.monotonic() - yielded_at >= BEAT_S:
                    yielded_at = time.monotonic()
                    yield b""
                changes.wait()

    def outcome(self, handle: Handle) -> Outcome:
        """See `Backend.outcome`."""
        if self.alive(handle):
            raise StateError(f"Order {handle.order_id} is still running.")
        process.end_rest(handle)
        texts = (_read(_run_dir(handle) / name) for name in run_folder.OUTCOME)
        return run_folder.read_outcome(*texts)

    def finished(self, handle: Handle) -> Outcome:
        """See `Backend.finished`."""
        text = _read(_run_dir(handle) / run_folder.FINISHED)
        return run_folder.read_outcome(None, None, None, text)

    def collect(
        self, handle: Handle, names: Mapping[str, Path], outcome: Outcome | None = None
    ) -> None:
        """See `Backend.collect`."""
        outputs = (outcome or self.outcome(handle)).outputs
        for name, target in names.items():
            source = _run_dir(handle) / "outputs" / run_folder.inside(name)
            if name not in outputs:
                raise OutputMissing(f"Order {handle.order_id} made no {name!r}.")
            if target.is_file() and sha256_of(target) == outputs[name]:
                continue
            with room_for(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            try:
                copy_verified(source, target, outputs[name])
            except FileNotFoundError as e:
                raise OutputMissing(f"{source} is gone.") from e
            except WrongContent as e:
                raise OutputMissing(
                    f"{source} is not the expected file: "
                    f"its SHA-256 is {e.found}, not {outputs[name]}."
                ) from e

    def cancel(
        self, handle: Handle, grace_s: float | None = None, reason: StopReason = "cancelled"
    ) -> None:
        """See `Backend.cancel`."""
        if self.alive(handle):
            if not process.is_here(handle):
                raise BackendError(
                    "lost",
                    f"Order {handle.order_id} runs in another container, or on another machine "
                    "that shares this directory: it cannot be stopped from here.",
                    hint="Stop it where it was started.",
                )
            stop = _run_dir(handle) / run_folder.STOP
            grace = self.grace_s if grace_s is None else grace_s
            try:
                if not stop.exists():  # the first reason ended the order
                    write_text(stop, reason)
            except CosmosError:  # the order is stopped also if no room is left for the reason
                process.end(handle, grace)
                raise
            process.end(handle, grace)
        process.end_rest(handle)

    def discard(self, order_id: str, *, again: bool = False) -> None:  # noqa: ARG002
        """See `Backend.discard`; no other machine starts orders here."""
        run_dir = self._dir(order_id)
        with self._lock():
            handle = self.find(order_id)
            if handle and self.alive(handle):
                raise StateError(
                    f"Order {order_id} is still running.", hint="Cancel it before removing it."
                )
            if handle:
                process.end_rest(handle)
            if run_dir.exists():
                aside = part_of(run_dir)
                run_dir.rename(aside)
                remove(aside)

    def active(self) -> list[str]:
        """See `Backend.active`."""
        names = sorted(p.name for p in self.runs.glob("*") if not p.name.endswith(PART))
        return [n for n in names if (h := self.find(n)) and self.alive(h)]

    def kept(self) -> list[KeptOrder]:
        """See `Backend.kept`."""
        names = sorted(p.name for p in self.runs.glob("*")
                       if p.suffix != PART and p.is_dir() and not p.is_symlink())  # fmt: skip
        found = (kept_here.kept_order(self, name) for name in names)
        return [order for order in found if order is not None]

    def sweep(self, older_s: float, *, dry_run: bool = False) -> list[SweptFile]:
        """See `Backend.sweep`; the scripts here are those of the package."""
        return list(kept_here.sweep(self.cas, older_s, dry_run=dry_run))

    def gpus(self, order: Order | None = None) -> GpuState:
        """See `Backend.gpus`; a program sees all GPUs and is expected to take the first."""
        return facts.gpus_here(order.gpus if order else None)

    def examine(self, handle: Handle | None) -> dict[str, str]:
        """See `Backend.examine`."""
        return facts.here(self.work) | (facts.records(_run_dir(handle)) if handle else {})

    def _check_slots(self) -> None:
        """Raises GpusBusy: as many orders run here as may run at once."""
        running = () if self.slots is None else tuple(self.active())
        if self.slots is not None and len(running) >= self.slots:
            raise GpusBusy(f"This machine already runs {', '.join(running)}.", running)

    def _directories(self, order: Order) -> dict[str, str]:
        """Return the paths of the directories that an order needs here, by name.

        Raises:
            BackendError: `launch_failed`, a directory is missing.
        """
        paths = {d.name: self.work / d.source for d in order.directories}
        for name, path in paths.items():
            if not path.is_dir():
                raise BackendError(
                    "launch_failed",
                    f"{order.engine} is not set up on this machine: no directory {path}.",
                    hint=f"Set {name} in [{order.engine}] of cosmos.toml, or use a GPU host.",
                )
        return {name: str(path) for name, path in paths.items()}

    def _dir(self, order_id: str) -> Path:
        return self.runs / run_folder.check_order_id(order_id)

    @contextmanager
    def _lock(self) -> Iterator[IO[str]]:
        """Lock `work` for one start or removal; the lock ends with the process that holds it."""
        with room_for(self.runs):
            self.runs.mkdir(parents=True, exist_ok=True)
        with (self.work / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            sweep_parts(self.cas)
            sweep_parts(self.runs)
            yield file

    def _start(self, order: Order, lock: IO[str]) -> Handle:
        """Start run.sh and wait until it has written the order's `pid` file.

        The lock is the standard input of run.sh, which closes it after writing `pid`: if this
        process is killed before, no other process takes the order for not started.
        """
        run_dir = self._dir(order.id)
        places = {"run": str(run_dir), "scripts": str(self.scripts), "python": self.python}
        places |= self._directories(order)
        environment = {
            **order.environment(**places),
            "COSMOS_RUN_DIR": str(run_dir),
            "COSMOS_SCRIPTS": str(self.scripts),
        }
        argv = [str(self.scripts / "run.sh"), str(run_dir), "--", *order.command(**places)]
        messages = run_dir / run_folder.MESSAGES
        with room_for(run_dir):
            return process.start(
                argv, environment, lock, run_dir, messages, lambda: self.find(order.id), order.id
            )


def _run_dir(handle: Handle) -> Path:
    return Path(handle.run_dir)


def _read(path: Path) -> str | None:
    """Read a record of a run folder; None if there is none. Raises BackendError."""
    if not os.path.lexists(path):
        return None
    try:
        return read_bytes(path, run_folder.most_of(path.name)).decode(errors="replace")
    except InputError as e:
        raise run_folder.unreadable(path.name, e) from None
