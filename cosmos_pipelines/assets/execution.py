"""`execute_runs()`: the only place where catalog and backend meet. No Dagster in this file.

A run is claimed, compiled, launched, followed, collected, verified and finished; every change of
its status is one guarded UPDATE under this process's lease. A run that another process left behind
is adopted: its container or subprocess is found by name and followed on, never started again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from loguru import logger

from cosmos_pipelines import batching
from cosmos_pipelines.assets.diagnostics import Bundles
from cosmos_pipelines.assets.gpu_watch import GpuWatch
from cosmos_pipelines.assets.lease import LEASE_S, Lease
from cosmos_pipelines.assets.register import checked, job_of
from cosmos_pipelines.assets.results import collect_run, relative
from cosmos_pipelines.assets.run_log import OnLine, RunLog, log_file
from cosmos_pipelines.catalog.records import ACTIVE, Run, Status
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine, engine_named
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    DiskFull,
    ErrorKind,
    InputError,
    RunFailed,
    StateError,
    Unreachable,
)
from cosmos_pipelines.ids import order_id
from cosmos_pipelines.operations.base import Job, Order, Outcome, Verdict
from cosmos_pipelines.resources.backend import Backend, Handle
from cosmos_pipelines.resources.process import owner_gone, owner_name
from cosmos_pipelines.settings import Settings

OURS_TO_BLAME: Final[frozenset[str]] = frozenset({"unreachable", "disk_full", "lost"})
"""Failures after which the model's work may still be found where it was done."""


@dataclass(frozen=True)
class Work:
    """What every step of an execution needs."""

    catalog: Catalog
    settings: Settings
    backend: Backend
    owner: str
    on_line: OnLine | None
    bundles: Bundles
    peaks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By order: what it took of its GPUs."""


def execute_runs(
    run_ids: Sequence[str],
    *,
    catalog: Catalog,
    settings: Settings,
    backend: Backend,
    dagster_run_id: str | None = None,
    on_line: OnLine | None = None,
) -> list[Run]:
    """Bring every run to its end and return them as they then are, in the order given.

    Pending, failed and cancelled runs are executed, batched where that changes nothing; completed
    ones are left alone; those that a dead process was executing are adopted. A run that fails says
    so in its row and raises nothing here.

    Raises:
        StateError: another live process is executing one of the runs.
        KeyboardInterrupt: passed on after the work was stopped and recorded as cancelled (the same
            holds for Dagster's interrupt).
    """
    bundles = Bundles(settings, backend)
    work = Work(catalog, settings, backend, owner_name(), on_line, bundles)
    fresh, orphans = _take(work, run_ids, dagster_run_id)
    mine = [*fresh, *orphans]
    with Lease(catalog, work.owner, [run.id for run in mine]), _settled(work, mine):
        for engine, jobs in _batches(work, fresh):
            _execute(work, engine, jobs, {run.id: run for run in fresh})
        for order, members in _orders(orphans):
            _adopt(work, order, members)
    return [catalog.get_run(run_id) for run_id in run_ids]


def _take(
    work: Work, run_ids: Iterable[str], dagster_run_id: str | None
) -> tuple[list[Run], list[Run]]:
    """Lease the runs: those to start, and those to adopt with the rest of their batches."""
    fresh: list[Run] = []
    orphans: dict[str, Run] = {}
    for run_id in dict.fromkeys(run_ids):
        run = work.catalog.get_run(run_id)
        if run.status == "completed" or run.id in orphans:
            continue
        if run.leased_by and owner_gone(run.leased_by):
            work.catalog.release(run.id, run.leased_by)
        if run.status in ACTIVE:
            mates = (
                work.catalog.list_runs(batch_id=run.batch_id, limit=None) if run.batch_id else [run]
            )
            for mate in mates:
                if mate.status in ACTIVE and work.catalog.adopt(mate.id, work.owner, LEASE_S):
                    state = mate.status
                    work.catalog.advance(
                        mate.id, work.owner, state, state, dagster_run_id=dagster_run_id
                    )
                    orphans[mate.id] = work.catalog.get_run(mate.id)
            taken = run.id in orphans
        else:
            left = _left_behind(work, run)
            taken = work.catalog.claim(
                run.id, work.owner, lease_s=LEASE_S, dagster_run_id=dagster_run_id
            )
            if taken and left:
                work.catalog.advance(run.id, work.owner, "uploading", "uploading", batch_id=left)
                orphans[run.id] = work.catalog.get_run(run.id)
            elif taken:
                fresh.append(work.catalog.get_run(run.id))
        if not taken:
            for held in [*fresh, *orphans.values()]:
                _give_back(work, held)
            now = work.catalog.get_run(run.id)
            raise StateError(
                f"Run {run.id} is {now.status} and being executed by {now.leased_by}.",
                hint=f"Watch it with `cosmos logs -f {run.id}`.",
            )
    return fresh, list(orphans.values())


def _left_behind(work: Work, run: Run) -> str | None:
    """The order of a run that failed only on our side of it, if its work goes on or is done."""
    if run.batch_id is None or run.error_kind not in OURS_TO_BLAME:
        return None
    handle = work.backend.find(run.batch_id)
    if handle is None:
        return None
    if work.backend.alive(handle) or work.backend.outcome(handle).outputs:
        return run.batch_id
    return None


def _give_back(work: Work, run: Run) -> None:
    """Leave a run that we took but did not touch; one that we claimed is cancelled."""
    if run.status == "uploading" and run.batch_id is None:
        _end(work, run.id, Verdict(kind="cancelled", message="Not started: a mate was taken."))
    else:
        work.catalog.release(run.id, work.owner)


@contextmanager
def _settled(work: Work, runs: Sequence[Run]) -> Iterator[None]:
    """Whatever happens inside: afterwards none of `runs` claims to be in work by us."""
    try:
        yield
    except BaseException as e:
        verdict = _verdict_of(e)
        for run in runs:
            _end(work, run.id, verdict)
        raise


def _verdict_of(error: BaseException) -> Verdict:
    if not isinstance(error, Exception):  # KeyboardInterrupt, Dagster's interrupt, SystemExit
        return Verdict(kind="cancelled", message="Interrupted by the user.")
    kind: ErrorKind = "launch_failed"
    if isinstance(error, RunFailed | BackendError):
        kind = error.kind
    elif isinstance(error, DiskFull):
        kind = "disk_full"
    elif isinstance(error, InputError | StateError):
        kind = "validation"
    text = str(error) if isinstance(error, CosmosError) else f"{type(error).__name__}: {error}"
    return Verdict(kind=kind, message=text)


def _end(
    work: Work,
    run_id: str,
    verdict: Verdict,
    exit_code: int | None = None,
    order: Order | None = None,
) -> None:
    """Record that a run ended without a result, if it has not ended already; then look why."""
    run = work.catalog.get_run(run_id)
    if run.status in ACTIVE:
        status: Status = "cancelled" if verdict.kind == "cancelled" else "failed"
        ended = work.catalog.advance(
            run_id,
            work.owner,
            run.status,
            status,
            error_kind=verdict.kind,
            error_message=verdict.message,
            exit_code=exit_code,
            outputs=work.peaks.get(run.batch_id or "", {}),
        )
        if ended and status == "failed":
            work.bundles.write(work.catalog.get_run(run_id), order)


def _batches(work: Work, runs: Sequence[Run]) -> Iterator[tuple[Engine, list[Job]]]:
    """The runs as jobs in batches; one whose input is unusable fails alone."""
    jobs: dict[str, list[Job]] = {}
    for run in runs:
        try:
            job = job_of(work.catalog, work.settings, run)
            checked(engine_named(run.engine), job)
        except CosmosError as e:
            _end(work, run.id, _verdict_of(e))
            continue
        jobs.setdefault(run.engine, []).append(job)
    for name, mine in jobs.items():
        engine = engine_named(name)
        for batch in batching.plan(engine, mine):
            yield engine, batch


def _execute(work: Work, engine: Engine, jobs: list[Job], runs: dict[str, Run]) -> None:
    """Launch one order for `jobs` and bring it to its end."""
    attempt = max(runs[job.run_id].attempt for job in jobs)
    ids = tuple(job.run_id for job in jobs)
    order = engine.compile(jobs, order_id(ids, attempt))
    seconds = work.settings.timeout_s(order.model_type) * len(jobs)
    prompts = ",".join(sorted({p for r in ids if (p := runs[r].prompt_id)}))
    order = order.model_copy(update={"timeout_s": seconds, "labels": {"prompt_id": prompts}})
    try:
        with RunLog(work.settings.outputs, ids, work.on_line) as log:
            logger.info(
                "{engine}: {n} run(s), order {id}", engine=engine.label, n=len(ids), id=order.id
            )
            for run_id in ids:
                path = relative(work.settings, log_file(work.settings.outputs, run_id))
                work.catalog.advance(
                    run_id, work.owner, "uploading", "uploading", batch_id=order.id, log_path=path
                )
            _see_through(work, engine, order, _launch(work, order), log)
    except CosmosError as e:
        logger.error("Order {id}: {error}", id=order.id, error=e)
        for run_id in ids:
            _end(work, run_id, _verdict_of(e), order=order)


def _launch(work: Work, order: Order) -> Handle:
    """Start the order and record where; an interrupt in the middle leaves nothing running."""
    try:
        handle = work.backend.launch(order)
        for run_id in order.run_ids:
            work.catalog.advance(
                run_id,
                work.owner,
                "uploading",
                "uploading",
                host=handle.host,
                container_id=handle.container_id,
                container_name=handle.container_name,
                image_digest=handle.image_digest,
            )
        return handle
    except BaseException as e:
        if not isinstance(e, Exception) and (started := work.backend.find(order.id)):
            work.backend.cancel(started, work.settings.execution.grace_s, reason="cancelled")
        raise


def _orders(orphans: Sequence[Run]) -> Iterator[tuple[str | None, list[Run]]]:
    """Orphaned runs by the order that they belong to."""
    groups: dict[str | None, list[Run]] = {}
    for run in orphans:
        groups.setdefault(run.batch_id, []).append(run)
    yield from groups.items()


def _adopt(work: Work, order_name: str | None, members: Sequence[Run]) -> None:
    """Follow on, or finish, what was started before."""
    verdict = Verdict(
        kind="lost", message="Its process ended before the run was started; run it again."
    )
    try:
        wait_s = work.settings.remote.wait_s
        handle = work.backend.find(order_name, wait_s) if order_name else None
        if handle is not None:
            order = work.backend.order_of(handle)
            with RunLog(work.settings.outputs, order.run_ids, work.on_line) as log:
                logger.info("Adopted order {id}, which was started before", id=order.id)
                _see_through(work, engine_named(order.engine), order, handle, log)
            return
    except CosmosError as e:
        logger.error("Order {id}: {error}", id=order_name, error=e)
        verdict = _verdict_of(e)
    for run in members:
        _end(work, run.id, verdict)


def _see_through(work: Work, engine: Engine, order: Order, handle: Handle, log: RunLog) -> None:
    """Follow an order that has been launched until all its runs are recorded as ended."""
    for run_id in order.run_ids:
        work.catalog.advance(run_id, work.owner, "uploading", "running")
    grace = work.settings.execution.grace_s
    try:
        with GpuWatch(work.backend, order) as gpus:
            for chunk in work.backend.follow(handle, log.offset):
                log.write(chunk)
                if work.backend.running_s(handle) > order.timeout_s:
                    logger.warning("Stopping {id}: over {n} s", id=order.id, n=order.timeout_s)
                    work.backend.cancel(handle, grace, reason="timeout")
        work.peaks[order.id] = gpus.peak()
    except (Unreachable, DiskFull) as e:
        for run_id in order.run_ids:  # what goes on there is found again by the next attempt
            _end(work, run_id, _verdict_of(e))
        return
    except BaseException as e:
        logger.warning("Stopping {id}: {why}", id=order.id, why=type(e).__name__)
        ended: BaseException = e
        try:
            work.backend.cancel(handle, grace, reason="cancelled")
            if not isinstance(e, Exception):
                _record(work, engine, order, handle, log)
        except Unreachable as away:  # it may go on there, whatever the user wanted
            ended = away
        for run_id in order.run_ids:
            _end(work, run_id, _verdict_of(ended))
        if isinstance(e, Exception):
            return
        raise
    _record(work, engine, order, handle, log)


def _record(work: Work, engine: Engine, order: Order, handle: Handle, log: RunLog) -> None:
    """Collect, verify and finish each run of an order that has ended."""
    outcome = work.backend.outcome(handle)
    logger.info("Order {id} ended with exit code {code}", id=order.id, code=outcome.exit_code)
    for run_id in order.run_ids:
        if not work.catalog.advance(run_id, work.owner, "running", "downloading"):
            run = work.catalog.get_run(run_id)
            if run.status != "downloading" or run.leased_by != work.owner:
                continue  # a mate that ended before, or is somebody else's now
        try:
            _record_run(work, engine, order, handle, outcome, run_id, log)
        except CosmosError as e:
            logger.error("{run}: {error}", run=run_id, error=e)
            _end(work, run_id, _verdict_of(e), outcome.exit_code)
    ended = [work.catalog.get_run(run_id).status for run_id in order.run_ids]
    if "failed" not in ended:
        try:
            work.backend.discard(order.id)
        except BackendError as e:
            logger.warning("What is left of {id} was not removed: {error}", id=order.id, error=e)


def _record_run(
    work: Work,
    engine: Engine,
    order: Order,
    handle: Handle,
    outcome: Outcome,
    run_id: str,
    log: RunLog,
) -> None:
    expected = [e for e in order.expected if e.run_id == run_id]
    if not all(e.name in outcome.outputs for e in expected):
        verdict = engine.diagnose(outcome, log.tail(), run_id)
        logger.error("{run}: {kind}: {m}", run=run_id, kind=verdict.kind, m=verdict.message)
        _end(work, run_id, verdict, outcome.exit_code)
        return
    try:
        outputs = collect_run(
            work.catalog, work.settings, work.backend, handle, order, run_id, outcome
        )
    except RunFailed:
        if outcome.exit_code == 0:
            raise
        verdict = engine.diagnose(outcome, log.tail(), run_id)  # the cause, not its trace
        _end(work, run_id, verdict, outcome.exit_code)
        return
    work.catalog.advance(
        run_id,
        work.owner,
        "downloading",
        "completed",
        outputs=outputs | work.peaks.get(order.id, {}),
        exit_code=outcome.exit_code,
    )
    logger.info("{run} completed", run=run_id)
