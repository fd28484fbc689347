"""`execute_runs()`: the only place where catalog and backend meet.

A run is claimed, compiled, launched, followed, collected, verified and finished; every change of
its status is one guarded UPDATE under this process's lease. A run that another process left behind
is adopted: its container or subprocess is found by name and followed on, never started again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loguru import logger

from cosmos_pipelines import batching
from cosmos_pipelines.backends.base import Backend, Handle
from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.batching.loads import Mode
from cosmos_pipelines.catalog.records import Load, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.ids import order_id
from cosmos_pipelines.operations.base import Job, Order, Verdict
from cosmos_pipelines.runs.bundle import Bundles
from cosmos_pipelines.runs.claim import claim_runs, claim_stalled
from cosmos_pipelines.runs.context import (
    NotStarted,
    OnCompleted,
    RunContext,
    Withdrawn,
    left_alone,
)
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.runs.estimates.record import expectations
from cosmos_pipelines.runs.finish import LaunchedOrder
from cosmos_pipelines.runs.follow import follow_to_end
from cosmos_pipelines.runs.interrupt import stopped
from cosmos_pipelines.runs.jobs import compiled, job_of
from cosmos_pipelines.runs.launch import launch_wanted
from cosmos_pipelines.runs.lease import Lease
from cosmos_pipelines.runs.locations import as_stored
from cosmos_pipelines.runs.log import OnLine, log_file, set_aside
from cosmos_pipelines.runs.progress import WatchedLog
from cosmos_pipelines.settings import Settings


def execute_runs(
    run_ids: Sequence[str],
    *,
    catalog: Catalog,
    settings: Settings,
    backend: Backend,
    dagster_run_id: str | None = None,
    on_line: OnLine | None = None,
    on_completed: OnCompleted | None = None,
    load: Load | None = None,
    only_lost: bool = False,
) -> list[Run]:
    """Bring every run to its end and return them as they then are, in the order given.

    Pending, failed and cancelled runs are executed, batched where that changes nothing; completed
    ones are left alone; those that a dead process was executing are adopted. A run that fails says
    so in its row and raises nothing here. One of a batch is completed as soon as it is made, while
    the model goes on with the others; `on_completed` is told of each. `load`: the load in which
    this process has these runs: those that have left it are left alone, and if the queue is paused
    before their order starts, they wait again. `only_lost`: only those are taken that are in work
    and whose process is gone, and those that failed while their host was away and whose order is
    there; what has ended or found another process meanwhile is left alone.

    Raises:
        StateError: another live process is executing one of the runs.
        KeyboardInterrupt: passed on after the work was stopped and recorded as cancelled (the same
            holds for Dagster's interrupt).
    """
    owner = owner_name()
    lease, bundles = Lease(catalog, owner, load.id if load else None), Bundles(settings, backend)
    context = RunContext(
        catalog, settings, backend, owner, lease, on_line, bundles, on_completed, load, only_lost
    )
    fresh, begun = claim_runs(context, run_ids, dagster_run_id)
    mine = [*fresh, *begun]
    with lease.keep([run.id for run in mine]), _settled(context, mine):
        context.prompts.update(catalog.find_prompts(run.prompt_id for run in mine if run.prompt_id))
        _start(context, fresh)
        for order, members in _orders(begun):
            _adopt(context, order, members)
        _start_stalled(context, claim_stalled(context, [run.id for run in mine], dagster_run_id))
    return catalog.get_runs(run_ids)


@contextmanager
def _settled(context: RunContext, runs: Sequence[Run]) -> Iterator[None]:
    """Whatever happens inside: afterwards none of `runs` claims to be in work by us."""
    try:
        yield
    except BaseException as e:
        withdrawn = not isinstance(e, Exception) and context.was_withdrawn()
        for run in runs:
            if not (withdrawn and context.catalog.give_back(run.id, context.owner)):
                context.end_by(run.id, e)
        raise


def _batches(context: RunContext, runs: Sequence[Run]) -> Iterator[tuple[Engine, list[Job]]]:
    """The runs as jobs in batches; one whose input is unusable fails alone."""
    jobs: dict[str, list[Job]] = {}
    for run in runs:
        try:
            job = job_of(context.catalog, context.settings, run, context.prompt_of(run))
            engine_for(context.settings, run.model_type, run.engine).check(job)
        except Exception as e:  # noqa: BLE001 - an engine of another package may raise anything
            _fail(context, [run.id], e)
            continue
        jobs.setdefault(run.engine, []).append(job)
    for name, mine in jobs.items():
        engine = context.settings.engine(name)
        try:
            mode: Mode = "mixed" if context.load and context.load.mode == "mixed" else "strict"
            batches = batching.plan(engine, mine, mode)
        except Exception as e:  # noqa: BLE001 - as above
            _fail(context, [job.run_id for job in mine], e)
            continue
        for batch in batches:
            yield engine, batch


def _fail(
    context: RunContext, run_ids: Sequence[str], error: Exception, order: Order | None = None
) -> None:
    """Record that runs failed; an unexpected error with its trace."""
    expected = isinstance(error, CosmosError)
    name = order.id if order else ", ".join(run_ids)
    logger.opt(exception=None if expected else error).error("{id}: {e}", id=name, e=error)
    for run_id in run_ids:
        context.end_by(run_id, error, order)


def _start(context: RunContext, runs: Sequence[Run]) -> None:
    """Execute runs of which nothing is started."""
    for engine, jobs in _batches(context, runs):
        _execute(context, engine, jobs, {run.id: run for run in runs})


def _start_stalled(context: RunContext, runs: Sequence[Run]) -> None:
    """Start runs of orders that stalled: the one at which an order stood alone, and at last."""
    left = {run.id: run for run in runs}
    stood_at = [next((r for r in ids if r in left), None) for ids in context.stalled]
    last = [left.pop(run_id) for run_id in stood_at if run_id in left]
    _start(context, [*left.values()])
    for run in last:
        _start(context, [run])


def _execute(context: RunContext, engine: Engine, jobs: list[Job], runs: dict[str, Run]) -> None:
    """Launch one order for `jobs` and bring it to its end."""
    attempt = max(runs[job.run_id].attempt for job in jobs)
    ids = tuple(job.run_id for job in jobs)
    prompts = ",".join(sorted({p for r in ids if (p := runs[r].prompt_id)}))
    try:
        order = compiled(context.settings, engine, jobs, order_id(ids, attempt))
    except Exception as e:  # noqa: BLE001 - an engine of another package may raise anything
        _fail(context, ids, e)
        return
    order = order.model_copy(update={"labels": {"prompt_id": prompts}})
    try:
        for run_id in ids:
            set_aside(context.settings.outputs, run_id, runs[run_id].attempt - 1)
        with WatchedLog(context, engine, ids) as log:
            logger.info(
                "{engine}: {n} run(s), order {id}", engine=engine.label, n=len(ids), id=order.id
            )
            mine = {run_id: runs[run_id] for run_id in ids}
            expected = expectations(context.catalog, context.settings, mine, context.backend.name)
            for run_id in ids:
                path = as_stored(context.settings, log_file(context.settings.outputs, run_id))
                context.catalog.advance(
                    run_id,
                    context.owner,
                    "uploading",
                    "uploading",
                    batch_id=order.id,
                    log_path=path,
                    outputs=expected.get(run_id, {}),
                )
            handle = _launch(context, order)
            follow_to_end(context, LaunchedOrder(engine, order, handle, log, mine))
    except NotStarted as e:
        logger.info("{id} is not started, and its runs wait again: {why}", id=order.id, why=e)
        for run_id in ids:
            context.catalog.give_back(run_id, context.owner)
    except Withdrawn as e:
        logger.info("{why}", why=e)
    except CosmosError as e:
        _fail(context, ids, e, order)


def _launch(context: RunContext, order: Order) -> Handle:
    """Start the order, once its place has room for it.

    An interrupt in the middle leaves nothing running, or says that it may.
    """
    try:
        return launch_wanted(context, order)
    except Exception:
        raise
    except BaseException:
        stopped(context, order.id, order.run_ids)
        raise


def _orders(begun: Sequence[Run]) -> Iterator[tuple[str | None, list[Run]]]:
    """Runs that were begun before, by the order that they belong to."""
    groups: dict[str | None, list[Run]] = {}
    for run in begun:
        groups.setdefault(run.batch_id, []).append(run)
    yield from groups.items()


def _adopt(context: RunContext, order_name: str | None, members: Sequence[Run]) -> None:
    """Follow on, or finish, what was started before; start what was not."""
    error: CosmosError | None = None
    try:
        place = context.settings.places.get(context.backend.name)
        wait_s = (place.remote if place else context.settings.remote).wait_s
        begun = any(run.status != "uploading" for run in members)
        handle = context.backend.find(order_name, wait_s, begun=begun) if order_name else None
        if handle is not None:
            order = context.backend.order_of(handle)
            engine = context.settings.engine(order.engine)
            mine = {run.id: run for run in members}  # its others may be in a later order by now
            with WatchedLog(context, engine, tuple(mine)) as log:
                logger.info("Adopted order {id}, which was started before", id=order.id)
                follow_to_end(context, LaunchedOrder(engine, order, handle, log, mine))
            return
    except CosmosError as e:
        logger.error("Order {id}: {error}", id=order_name, error=e)
        error = e
    else:
        if all(run.status == "uploading" and run.id not in context.taken_up for run in members):
            _start(context, members)
            return
    gone = Verdict(kind="lost", message="Nothing is left of it where it ran; run it again.")
    for run in members:
        context.end(run.id, left_alone(error, run.id) if error else gone)
