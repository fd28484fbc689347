"""A dispatcher without a daemon: takes loads out of the queue and executes each in a process.

One process is always there in advance, with Dagster imported, and reads the id of its load from
its standard input; so a load starts at once. Any number of workers and daemons may be at work on
one queue: each load is claimed by one of them.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from loguru import logger

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.queue import CLAIM_S
from cosmos_pipelines.catalog.records import Load, utc_now
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import label_of
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operate.place_looks import look_again
from cosmos_pipelines.runs.next_loads import next_loads
from cosmos_pipelines.runs.room import room_of
from cosmos_pipelines.settings import Settings, environment_of, load_settings

LOOK_S: Final = 0.2
"""Seconds between two looks whether the catalog has changed."""
AGAIN_S: Final = 5.0
"""Seconds after which the queue is looked at although the catalog has not changed."""
TRIES: Final = 3
"""Processes that may end without having begun a run before the run has failed."""

Told = Callable[[str], None]


@dataclass
class Worker:
    """Executes what waits in the queue, from this process and its children."""

    catalog: Catalog
    settings: Settings
    told: Told
    owner: str = field(default_factory=owner_name)
    _busy: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    """By load: the process that executes it."""
    _spare: subprocess.Popen[str] | None = None
    _tries: Counter[str] = field(default_factory=Counter)
    """By run: processes that ended without having begun it."""

    def work(self, *, until_empty: bool = True) -> None:
        """Start loads until the queue is empty, or for ever.

        Raises:
            KeyboardInterrupt: passed on after the loads that run were stopped and recorded.
        """
        try:
            self._spare = self._process()
            while True:
                seen = self.catalog.newest_revision()
                self._end_those_that_ended()
                self._keep_claims()
                self._take()
                if until_empty and not self._busy and not self.catalog.ready_runs(1):
                    return
                self._wait(seen)
        finally:
            self._stop()

    def _take(self) -> None:
        look_again(self.settings)
        self.catalog.end_dead_loads()
        self.catalog.end_dependents()
        room = room_of(self.catalog, self.settings)
        last = {run_id for run_id, number in self._tries.items() if number >= TRIES - 1}
        for wanted in next_loads(self.catalog, self.settings, room, self._say, alone=last):
            if load := self.catalog.claim_load(wanted, self.owner):
                self._start(load)

    def _start(self, load: Load) -> None:
        child, self._spare = self._spare or self._process(), None
        self._busy[load.id] = child
        runs = "1 run" if len(load.run_ids) == 1 else f"{len(load.run_ids)} runs"
        self.told(f"Started at {load.place}: {runs} of {label_of(load.engine)}.")
        try:
            assert child.stdin is not None
            child.stdin.write(f"{load.id}\n")
            child.stdin.close()
        except BrokenPipeError:  # it has ended: the next look sees that
            logger.warning("The process of {load} has ended before it began.", load=load.id)
        self._spare = self._process()

    def _end_those_that_ended(self) -> None:
        for load_id, child in list(self._busy.items()):
            if child.poll() is None:
                continue
            del self._busy[load_id]
            self.catalog.end_load(load_id)
            load = self.catalog.find_loads([load_id])[load_id]
            runs = self.catalog.find_runs(load.run_ids).values()
            counts = Counter(run.status for run in runs).items()
            self.told(f"Ended at {load.place}: {', '.join(f'{n} {now}' for now, n in counts)}.")
            for run in runs:
                if run.status == "pending" and child.returncode not in (0, -signal.SIGINT):
                    self._count(run.id, child.returncode)

    def _count(self, run_id: str, exit_code: int) -> None:
        self._tries[run_id] += 1
        if self._tries[run_id] < TRIES:
            return
        said = f"Its process ended {TRIES} times before it began the run, with exit code"
        self.catalog.advance(
            run_id,
            "",
            "pending",
            "failed",
            error_kind="launch_failed",
            error_message=f"{said} {exit_code}. See cosmos.log of the outputs.",
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
            if any(child.poll() is not None for child in self._busy.values()):
                return
            time.sleep(LOOK_S)

    def _process(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "cosmos_pipelines.worker"],
            stdin=subprocess.PIPE,
            text=True,
            cwd=self.settings.home,
            env={**environment_of(self.settings)},
            start_new_session=True,  # Ctrl-C in the terminal is this process's, which passes it on
        )

    def _stop(self) -> None:
        """Interrupt what runs, once, and wait until its end is recorded."""
        if self._spare is not None:
            with suppress(BrokenPipeError):
                assert self._spare.stdin is not None
                self._spare.stdin.close()
            self._spare.wait()
        for child in self._busy.values():
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for load_id, child in self._busy.items():
            child.wait()
            self.catalog.end_load(load_id)

    def _say(self, sentence: str, error: Exception) -> None:
        unexpected = None if isinstance(error, CosmosError) else error
        logger.opt(exception=unexpected).warning("{said}", said=sentence)


def main() -> int:
    """Execute the load whose id stands in a line of the standard input; without one, nothing."""
    from cosmos_pipelines.definitions import build_definitions
    from cosmos_pipelines.materialize import materialize_load

    settings = load_settings()
    build_definitions(settings, daemon=False)  # loads what a Dagster run needs
    load_id = sys.stdin.readline().strip()
    if not load_id:
        return 0
    with Catalog.open(settings.catalog_url, settings.home) as catalog:
        try:
            materialize_load(catalog, settings, load_id)
        except KeyboardInterrupt:
            return 130
        except CosmosError as e:
            logger.error("{load}: {error}", load=load_id, error=e)
            return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
