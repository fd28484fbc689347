"""`execute_runs()`: the only place where catalog and backend meet. No Dagster in this file.

A run is claimed, compiled, launched, followed, collected, verified and finished; every change of
its status is one guarded UPDATE under this process's lease. A run that another process left behind
is adopted: its container or subprocess is found by name and followed on, never started again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from loguru import logger

from cosmos_pipelines import batching
from cosmos_pipelines.assets.diagnostics import Bundles
from cosmos_pipelines.assets.gpu_watch import GpuWatch
from cosmos_pipelines.assets.lease import Lease
from cosmos_pipelines.assets.progress import WatchedLog
from cosmos_pipelines.assets.register import checked, compiled, job_of
from cosmos_pipelines.assets.results import collect_run, record_of, relative
from cosmos_pipelines.assets.run_log import OnLine, RunLog, log_file, set_aside
from cosmos_pipelines.assets.taking import take
from cosmos_pipelines.assets.work import TakenOver, Work, verdict_of
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    DiskFull,
    RunFailed,
    Unreachable,
)
from cosmos_pipelines.ids import order_id
from cosmos_pipelines.operations.base import Job, Order, Outcome, Verdict
from cosmos_pipelines.resources.backend import Backend, Handle
from cosmos_pipelines.resources.process import owner_name
from cosmos_pipelines.settings import Settings


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
    owner = owner_name()
    lease, bundles = Lease(catalog, owner), Bundles(settings, backend)
    work = Work(catalog, settings, backend, owner, lease, on_line, bundles)
    fresh, orphans = take(work, run_ids, dagster_run_id)
    mine = [*fresh, *orphans]
    with lease.keep([run.id for run in mine]), _settled(work, mine):
        _start(work, fresh)
        for order, members in _orders(orphans):
            _adopt(work, order, members)
    return [catalog.get_run(run_id) for run_id in run_ids]


@contextmanager
def _settled(work: Work, runs: Sequence[Run]) -> Iterator[None]:
    """Whatever happens inside: afterwards none of `runs` claims to be in work by us."""
    try:
        yield
    except BaseException as e:
        verdict = verdict_of(e)
        for run in runs:
            work.end(run.id, verdict)
        raise


def _batches(work: Work, runs: Sequence[Run]) -> Iterator[tuple[Engine, list[Job]]]:
    """The runs as jobs in batches; one whose input is unusable fails alone."""
    jobs: dict[str, list[Job]] = {}
    for run in runs:
        try:
            job = job_of(work.catalog, work.settings, run)
            checked(work.settings.engine(run.engine), job)
        except CosmosError as e:
            work.end(run.id, verdict_of(e))
            continue
        jobs.setdefault(run.engine, []).append(job)
    for name, mine in jobs.items():
        engine = work.settings.engine(name)
        for batch in batching.plan(engine, mine):
            yield engine, batch


def _start(work: Work, runs: Sequence[Run]) -> None:
    """Execute runs of which nothing is started."""
    for engine, jobs in _batches(work, runs):
        _execute(work, engine, jobs, {run.id: run for run in runs})


def _execute(work: Work, engine: Engine, jobs: list[Job], runs: dict[str, Run]) -> None:
    """Launch one order for `jobs` and bring it to its end."""
    attempt = max(runs[job.run_id].attempt for job in jobs)
    ids = tuple(job.run_id for job in jobs)
    prompts = ",".join(sorted({p for r in ids if (p := runs[r].prompt_id)}))
    order = compiled(work.settings, engine, jobs, order_id(ids, attempt))
    order = order.model_copy(update={"labels": {"prompt_id": prompts}})
    try:
        for run_id in ids:
            set_aside(work.settings.outputs, run_id, runs[run_id].attempt - 1)
        with WatchedLog(work, engine, ids) as log:
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
            work.end(run_id, verdict_of(e), order=order)


def _launch(work: Work, order: Order) -> Handle:
    """Start the order and record where; an interrupt in the middle leaves nothing running."""
    work.check_held(order)
    try:
        handle = work.backend.launch(order)
        for run_id in order.run_ids:
            work.catalog.advance(
                run_id,
                work.owner,
                "uploading",
                "uploading",
                **_whereabouts(handle),
            )
        return handle
    except BaseException as e:
        if not isinstance(e, Exception) and (started := work.backend.find(order.id)):
            work.backend.cancel(started, work.settings.execution.grace_s, reason="cancelled")
        raise


def _whereabouts(handle: Handle) -> dict[str, Any]:
    """Where it runs, as far as it is known."""
    known = {
        "host": handle.host,
        "container_id": handle.container_id,
        "container_name": handle.container_name,
        "image_digest": handle.image_digest,
    }
    return {name: value for name, value in known.items() if value is not None}


def _orders(orphans: Sequence[Run]) -> Iterator[tuple[str | None, list[Run]]]:
    """Orphaned runs by the order that they belong to."""
    groups: dict[str | None, list[Run]] = {}
    for run in orphans:
        groups.setdefault(run.batch_id, []).append(run)
    yield from groups.items()


def _adopt(work: Work, order_name: str | None, members: Sequence[Run]) -> None:
    """Follow on, or finish, what was started before; start what was not."""
    verdict = Verdict(kind="lost", message="Nothing is left of it where it ran; run it again.")
    try:
        wait_s = work.settings.remote.wait_s
        handle = work.backend.find(order_name, wait_s) if order_name else None
        if handle is not None:
            order = work.backend.order_of(handle)
            for run in members:
                work.catalog.advance(
                    run.id, work.owner, run.status, run.status, **_whereabouts(handle)
                )
            engine = work.settings.engine(order.engine)
            with WatchedLog(work, engine, order.run_ids) as log:
                logger.info("Adopted order {id}, which was started before", id=order.id)
                _see_through(work, engine, order, handle, log)
            return
    except CosmosError as e:
        logger.error("Order {id}: {error}", id=order_name, error=e)
        verdict = verdict_of(e)
    else:
        if all(run.status == "uploading" for run in members):
            _start(work, members)
            return
    for run in members:
        work.end(run.id, verdict)


def _see_through(work: Work, engine: Engine, order: Order, handle: Handle, log: WatchedLog) -> None:
    """Follow an order that has been launched until all its runs are recorded as ended."""
    for run_id in order.run_ids:
        work.catalog.advance(run_id, work.owner, "uploading", "running")
    grace = work.settings.execution.grace_s
    try:
        with GpuWatch(work.backend, order) as gpus:
            for chunk in work.backend.follow(handle, log.offset):
                work.check_held(order)
                log.write(chunk)
                if work.backend.running_s(handle) > order.timeout_s:
                    logger.warning("Stopping {id}: over {n} s", id=order.id, n=order.timeout_s)
                    work.backend.cancel(handle, grace, reason="timeout")
        work.peaks[order.id] = gpus.peak()
        log.keep_progress()
    except TakenOver:
        raise
    except (Unreachable, DiskFull) as e:
        for run_id in order.run_ids:  # what goes on there is found again by the next attempt
            work.end(run_id, verdict_of(e))
        return
    except BaseException as e:
        work.check_held(order)  # what another process follows is not ours to stop
        logger.warning("Stopping {id}: {why}", id=order.id, why=type(e).__name__)
        ended: BaseException = e
        try:
            work.backend.cancel(handle, grace, reason="cancelled")
            if not isinstance(e, Exception):
                _record(work, engine, order, handle, log)
        except Unreachable as away:  # it may go on there, whatever the user wanted
            ended = away
        for run_id in order.run_ids:
            work.end(run_id, verdict_of(ended))
        if isinstance(e, Exception):
            return
        raise
    _record(work, engine, order, handle, log)


def _record(work: Work, engine: Engine, order: Order, handle: Handle, log: RunLog) -> None:
    """Collect, verify and finish each run of an order that has ended."""
    work.check_held(order)
    outcome = work.backend.outcome(handle)
    logger.info("Order {id} ended with exit code {code}", id=order.id, code=outcome.exit_code)
    work.records[order.id] = record_of(work.settings, work.backend, handle, order, outcome)
    for run_id in order.run_ids:
        if not work.catalog.advance(run_id, work.owner, "running", "downloading"):
            run = work.catalog.get_run(run_id)
            if run.status != "downloading" or run.leased_by != work.owner:
                continue  # a mate that ended before, or is somebody else's now
        try:
            _record_run(work, engine, order, handle, outcome, run_id, log)
        except CosmosError as e:
            logger.error("{run}: {error}", run=run_id, error=e)
            work.end(run_id, verdict_of(e), outcome.exit_code)
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
        work.end(run_id, verdict, outcome.exit_code)
        return
    try:
        still_ours = partial(work.check_held, order)
        outputs = collect_run(
            work.catalog, work.settings, work.backend, handle, order, run_id, outcome, still_ours
        )
    except RunFailed:
        if outcome.exit_code == 0:
            raise
        verdict = engine.diagnose(outcome, log.tail(), run_id)  # the cause, not its trace
        work.end(run_id, verdict, outcome.exit_code)
        return
    work.catalog.advance(
        run_id,
        work.owner,
        "downloading",
        "completed",
        outputs=outputs | work.told(order, run_id),
        exit_code=outcome.exit_code,
    )
    logger.info("{run} completed", run=run_id)
