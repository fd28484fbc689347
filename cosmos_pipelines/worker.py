"""A dispatcher without a daemon: takes loads out of the queue and executes each in a process.

One process is always there in advance, with Dagster imported, and reads the id of its load from
its standard input; so a load starts at once. Any number of workers and daemons may be at work on
one queue: each load is claimed by one of them. A worker also goes on with the runs whose process
has died, which is the daemon's work elsewhere.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from loguru import logger

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.queue import CLAIM_S
from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.catalog.workers import SIGN_S
from cosmos_pipelines.engines import label_of
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operate.place_looks import look_again
from cosmos_pipelines.person import person
from cosmos_pipelines.runs.given_up import end_dependents, given_up_runs
from cosmos_pipelines.runs.lost import end_lost_loads, looks_lost, lost_runs
from cosmos_pipelines.runs.next_loads import next_loads
from cosmos_pipelines.runs.room import room_of
from cosmos_pipelines.settings import Settings, environment_of, load_settings

LOOK_S: Final = 0.2
"""Seconds between two looks whether the catalog has changed."""
AGAIN_S: Final = 5.0
"""Seconds after which the queue is looked at although the catalog has not changed."""
AWAY_S: Final = 60.0
"""Seconds for which a worker that executes nothing goes on while the catalog cannot be used."""
TRIES: Final = 3
"""Processes that may end without having begun a run before the run has failed."""

_BACK: Final = {"pending": "back in the queue"}
"""What became of runs of a load that has not started, as when the queue was paused meanwhile."""

Tell = Callable[[str], None]


@dataclass
class Worker:
    """Executes what waits in the queue, from this process and its children."""

    catalog: Catalog
    settings: Settings
    tell: Tell
    owner: str = field(default_factory=owner_name)
    _busy: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    """By load: the process that executes it."""
    _adopting: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    """By order: the process that goes on with the work of one that has died."""
    _spare: subprocess.Popen[str] | None = None
    _tries: Counter[str] = field(default_factory=Counter)
    """By run: processes that ended without having begun it; by order: those that adopted it."""
    _signed_at: float | None = None
    """When it has given its last sign of life."""
    _away_since: float | None = None
    """When the catalog could not be used first, while that goes on."""

    def work(self, *, until_empty: bool = True) -> None:
        """Start loads until the queue is empty, or for ever.

        What runs goes on while the catalog cannot be used.

        Raises:
            CosmosError: the catalog cannot be used for `AWAY_S`, and nothing runs.
            KeyboardInterrupt: passed on after the loads that run were stopped and recorded; runs
                of a load that was only prepared wait again.
        """
        try:
            self._spare = self._process()
            while True:
                with self._while_away():
                    self._sign()
                    seen = self.catalog.newest_revision()
                    self._end_those_that_ended()
                    self._keep_claims()
                    self._adopt()
                    self._take()
                    idle = not self._busy and not self._adopting
                    if until_empty and idle and not self.catalog.ready_runs(1):
                        return
                    self._wait(seen)
        finally:
            self._stop()

    @contextmanager
    def _while_away(self) -> Iterator[None]:
        """Wait after an error of the catalog, and say so once."""
        try:
            yield
        except CosmosError as e:
            now = time.monotonic()
            if self._away_since is None:
                self._away_since = now
                logger.warning("The queue is looked at again in a moment: {error}", error=e)
            idle = not self._busy and not self._adopting
            if idle and now - self._away_since > AWAY_S:
                raise
            time.sleep(AGAIN_S / 5)
        else:
            self._away_since = None

    def _sign(self) -> None:
        """Tell others in the catalog that this worker lives."""
        now = time.monotonic()
        if self._signed_at is None or now - self._signed_at > SIGN_S / 4:
            self.catalog.sign_on(self.owner, person(), socket.gethostname())
            self._signed_at = now

    def _take(self) -> None:
        look_again(self.settings)
        end_lost_loads(self.catalog)
        end_dependents(self.catalog, self.settings)
        room = room_of(self.catalog, self.settings)
        last = {run_id for run_id, number in self._tries.items() if number >= TRIES - 1}
        for wanted in next_loads(self.catalog, self.settings, room, self._say, alone=last):
            if load := self.catalog.claim_load(wanted, self.owner):
                runs = _counted(len(load.run_ids))
                self.tell(f"Started at {load.place}: {runs} of {label_of(load.engine)}.")
                self._busy[load.id] = self._start(load.id)

    def _adopt(self) -> None:
        """Go on with orders whose processes have died, and given-up ones, each a few times."""
        orders: dict[str, list[Run]] = {}
        for run in [*lost_runs(self.catalog), *given_up_runs(self.catalog, self.settings)]:
            orders.setdefault(run.batch_id or run.id, []).append(run)
        for order, runs in orders.items():
            if order in self._adopting or self._tries[order] >= TRIES:
                continue
            self._tries[order] += 1
            why = "process has died" if looks_lost(runs[0]) else "host answers again"
            self.tell(f"Taken over: {_counted(len(runs))} whose {why}.")
            self._adopting[order] = self._start(" ".join(run.id for run in runs))

    def _start(self, line: str) -> subprocess.Popen[str]:
        """Give a line to the process that is there in advance, and start the next one."""
        child, self._spare = self._spare, None
        if child is None or child.poll() is not None:
            child = self._process()
        try:
            assert child.stdin is not None
            child.stdin.write(f"{line}\n")
            child.stdin.close()
        except BrokenPipeError:  # it has ended: the next look sees that
            logger.warning("The process of {line} has ended before it began.", line=line)
        self._spare = self._process()
        return child

    def _end_those_that_ended(self) -> None:
        for order, child in list(self._adopting.items()):
            if child.poll() is not None:
                del self._adopting[order]
        for load_id, child in list(self._busy.items()):
            if child.poll() is None:
                continue
            self.catalog.end_load(load_id)
            load = self.catalog.find_loads([load_id]).get(load_id)
            if load is None:  # somebody has cleaned meanwhile
                del self._busy[load_id]
                continue
            runs = self.catalog.find_runs(load.run_ids).values()
            counts = Counter(_BACK.get(run.status, run.status) for run in runs).items()
            self.tell(f"Ended at {load.place}: {', '.join(f'{n} {now}' for now, n in counts)}.")
            for run in runs:
                in_vain = load.said or child.returncode not in (0, -signal.SIGINT)
                if run.status == "pending" and in_vain:
                    self._count(run.id, child.returncode, load.said)
            del self._busy[load_id]

    def _count(self, run_id: str, exit_code: int, why: str | None) -> None:
        self._tries[run_id] += 1
        if self._tries[run_id] < TRIES:
            return
        why = why or f"Its process ended with exit code {exit_code}: see what it has written."
        self.catalog.advance(
            run_id,
            "",
            "pending",
            "failed",
            error_kind="launch_failed",
            error_message=f"It was not started, {TRIES} times. {why}",
        )

    def _keep_claims(self) -> None:
        """Renew the loads whose processes have not taken them over yet."""
        due = utc_now() + timedelta(seconds=CLAIM_S / 2)
        mine = [
            load.id
            for load in self.catalog.find_loads(self._busy).values()
            if load.claimed_by == self.owner and load.claimed_until and load.claimed_until < due
        ]
        if mine:
            self.catalog.renew_loads(mine, self.owner)

    def _wait(self, seen: int) -> None:
        end = time.monotonic() + AGAIN_S
        while time.monotonic() < end and self.catalog.newest_revision() == seen:
            if any(child.poll() is not None for child in self._working()):
                return
            time.sleep(LOOK_S)

    def _working(self) -> list[subprocess.Popen[str]]:
        return [*self._busy.values(), *self._adopting.values()]

    def _process(self) -> subprocess.Popen[str]:
        # a process is told of an interrupt when its imports of this file are done: no traceback
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "cosmos_pipelines.worker"],
                stdin=subprocess.PIPE,
                text=True,
                cwd=self.settings.home,
                env={**environment_of(self.settings)},
                start_new_session=True,  # Ctrl-C in the terminal is for this process
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _stop(self) -> None:
        """Interrupt what runs, and wait until its end is recorded; each Ctrl-C interrupts again.

        First the loads that have not started end, so that their runs wait again.
        """
        with self._told_if_away():
            self.catalog.sign_off(self.owner)
            for load_id in self._busy:
                self.catalog.withdraw_load(load_id)
        if self._spare is not None:
            with suppress(BrokenPipeError):
                assert self._spare.stdin is not None
                self._spare.stdin.close()
        interrupted = True
        while interrupted:
            try:
                _interrupt(self._working())
                for child in [*self._working(), *filter(None, [self._spare])]:
                    child.wait()
                interrupted = False
            except KeyboardInterrupt:
                logger.warning("Interrupting what runs once more.")
        with self._told_if_away():
            for load_id in self._busy:
                self.catalog.end_load(load_id)

    @contextmanager
    def _told_if_away(self) -> Iterator[None]:
        """The claims of loads end by themselves where the catalog cannot be told."""
        try:
            yield
        except CosmosError as e:
            logger.warning("The catalog was not told that loads have ended: {error}", error=e)

    def _say(self, sentence: str, error: Exception) -> None:
        unexpected = None if isinstance(error, CosmosError) else error
        logger.opt(exception=unexpected).warning("{said}", said=sentence)


def _interrupt(children: Iterable[subprocess.Popen[str]]) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)


def _counted(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def main() -> int:
    """Execute what stands in a line of the standard input; without one, nothing.

    A line is the id of a load, or the ids of runs whose process has died.
    """
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return _execute()
    except KeyboardInterrupt:
        return 130


def _execute() -> int:
    from cosmos_pipelines.definitions import build_definitions
    from cosmos_pipelines.materialize import materialize_load, materialize_lost

    settings = load_settings()
    build_definitions(settings, daemon=False)  # loads what a Dagster run needs
    words = sys.stdin.readline().split()
    if not words:
        return 0
    try:
        with Catalog.open(settings.catalog_url, settings.home) as catalog:
            if words[0].startswith("ld_"):
                materialize_load(catalog, settings, words[0])
            else:
                materialize_lost(catalog, settings, words)
    except CosmosError as e:
        logger.error("{what}: {error}", what=words[0], error=e)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
