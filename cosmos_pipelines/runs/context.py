"""What the steps of an execution share, and how each records a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.catalog.records import ACTIVE, Load, Prompt, Run, Status
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    DiskFull,
    ErrorKind,
    InputError,
    RunFailed,
    StateError,
)
from cosmos_pipelines.operations.base import Order, Verdict
from cosmos_pipelines.runs.bundle import Bundles
from cosmos_pipelines.runs.estimates.money import price_of
from cosmos_pipelines.runs.estimates.record import timing_of
from cosmos_pipelines.runs.lease import Lease
from cosmos_pipelines.runs.log import OnLine
from cosmos_pipelines.settings import Settings

OnCompleted = Callable[[Run], None]
"""Called for each run as soon as it is completed."""


class TakenOver(StateError):
    """Another process has our runs, since this one stood still for too long."""


class NotStarted(StateError):
    """The queue does not want an order to be started any more; its runs wait again."""


class Withdrawn(StateError):
    """The runs of an order were cancelled before it was started."""


@dataclass(frozen=True)
class RunContext:
    """What every step of an execution needs."""

    catalog: Catalog
    settings: Settings
    backend: Backend
    owner: str
    lease: Lease
    on_line: OnLine | None
    bundles: Bundles
    on_completed: OnCompleted | None = None
    load: Load | None = None
    """The load in which the runs were taken out of the queue; None: they were named."""
    only_lost: bool = False
    """Only runs in work whose process is gone are taken, and given-up runs whose order is there."""
    taken_up: set[str] = field(default_factory=set)
    """Given-up runs whose order we have seen: they are never started anew by us."""
    peaks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By order: what it took of its GPUs."""
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By order: what the program that did it wrote of itself."""
    spent: dict[tuple[str, str], float] = field(default_factory=dict)
    """By order or run, and by name (`upload_s`, `download_s`): seconds of its transfers."""
    stalled: list[tuple[str, ...]] = field(default_factory=list)
    """The runs of each order that has stalled, in the order in which they are made."""
    prompts: dict[str, Prompt] = field(default_factory=dict)
    """Those of our runs, by id; what is read of them never changes."""

    @property
    def load_id(self) -> str | None:
        """The id of the load; None: the runs were named."""
        return self.load.id if self.load else None

    def prompt_of(self, run: Run) -> Prompt | None:
        """The prompt that a run is of."""
        return self.prompts[run.prompt_id] if run.prompt_id else None

    def until(self, of: str, name: str) -> Callable[[], None]:
        """Return what notes, when it is called first, the seconds that a transfer has taken."""
        began = time.monotonic()

        def ended() -> None:
            self.spent.setdefault((of, name), time.monotonic() - began)

        return ended

    def run_facts(self, order: Order, run: Run) -> dict[str, Any]:
        """What is known of how a run was done, besides what came out."""
        ours = (order.id, run.id)
        spent = {name: seconds for (of, name), seconds in self.spent.items() if of in ours}
        record = self.records.get(order.id, {})
        price = price_of(self.settings, self.backend.name)
        return self.peaks.get(order.id, {}) | timing_of(record, order, run, spent, price)

    def check_held(self, order_id: str, run_ids: Iterable[str]) -> None:
        """Go on only with what is still ours of an order.

        Raises:
            TakenOver: it is not.
        """
        if not self.lease.held(run_ids):
            raise TakenOver(
                f"Order {order_id} was taken over while this process stood still.",
                hint="See `cosmos status`.",
            )

    def check_may_start(self, order: Order) -> None:
        """Go on to start an order only if the queue still wants that.

        What a dead process had taken out of the queue, and had not started, is the queue's still.

        Raises:
            NotStarted: it is paused by now, or the load has been given to another process.
        """
        if self.load is not None:
            if not self.catalog.start_load(self.load.id, self.owner):
                raise NotStarted("The queue has been paused, or the load was taken over.")
            return
        runs = self.catalog.find_runs(order.run_ids).values()
        of_queue = any(run.load_id is not None for run in runs)
        if of_queue and self.catalog.is_paused(self.backend.name, order.engine):
            raise NotStarted("The queue has been paused.")

    def was_withdrawn(self) -> bool:
        """Whether the dispatcher has ended our load, so that what has not begun waits again."""
        if self.load is None:
            return False
        load = self.catalog.find_loads([self.load.id]).get(self.load.id)
        return load is not None and load.state == "ended"

    def completed(self, run: Run) -> None:
        """Tell whoever wants to know that a run is completed."""
        if self.on_completed is not None:
            self.on_completed(run)

    def end(
        self,
        run_id: str,
        verdict: Verdict,
        exit_code: int | None = None,
        order: Order | None = None,
        *,
        examine: bool = True,
    ) -> None:
        """Record that a run ended without a result, if it has not ended already; then look why.

        `examine`: False where the user waits for nothing any more.
        """
        run = self.catalog.find_run(run_id)
        if run is None or run.status not in ACTIVE:
            return
        status: Status = "cancelled" if verdict.kind == "cancelled" else "failed"
        ended = self.catalog.advance(
            run_id,
            self.owner,
            run.status,
            status,
            error_kind=verdict.kind,
            error_message=verdict.message,
            exit_code=exit_code,
            outputs=self.peaks.get(run.batch_id or "", {}),
        )
        if ended and status == "failed" and examine:
            self.bundles.write(ended, order)

    def end_by(self, run_id: str, error: BaseException, order: Order | None = None) -> None:
        """Record that an error of ours, or an interrupt, ended the work on a run.

        What has begun did not fail to start, and nothing says yet that it has ended: its order is
        left alone, and found again.
        """
        run = self.catalog.find_run(run_id)
        if run is None:
            return
        if isinstance(error, Exception):
            begun = run.status in ("running", "downloading")
            self.end(run_id, left_alone(error, run_id) if begun else verdict_of(error), order=order)
        else:
            interrupted = run.status == "running"
            verdict = left_alone(error, run_id) if interrupted else verdict_of(error)
            self.end(run_id, verdict, examine=False)


def verdict_of(error: BaseException, *, begun: bool = False) -> Verdict:
    """An error as the failure of a run; one whose order has `begun` did not fail to start."""
    if not isinstance(error, Exception):  # KeyboardInterrupt, Dagster's interrupt, SystemExit
        return Verdict(kind="cancelled", message="Interrupted by the user.")
    kind: ErrorKind = "launch_failed"
    if isinstance(error, RunFailed | BackendError):
        kind = error.kind
    elif isinstance(error, DiskFull):
        kind = "disk_full"
    elif isinstance(error, InputError | StateError):
        kind = "validation"
    if begun and kind in ("launch_failed", "validation"):
        kind = "lost"
    text = str(error) if isinstance(error, CosmosError) else f"{type(error).__name__}: {error}"
    return Verdict(kind=kind, message=text)


def left_alone(error: BaseException, run_id: str) -> Verdict:
    """An error as the failure of a run whose order was left alone, and may go on or have ended."""
    next_ = (
        f"If its order still runs, `cosmos run {run_id}` goes on with it and "
        f"`cosmos kill {run_id}` stops it."
    )
    if not isinstance(error, Exception):
        said = "Interrupted by the user; it is not known whether the run was stopped."
        return Verdict(kind="unreachable", message=f"{said} {next_}")
    verdict = verdict_of(error, begun=True)
    return Verdict(kind=verdict.kind, message=f"{verdict.message} Nothing was stopped. {next_}")
