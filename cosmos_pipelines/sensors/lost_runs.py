"""The sensor `lost_runs`: runs whose process died are adopted and brought to their end.

The lease in the catalog tells: it is renewed by the process that executes a run, and ends with it.
The container or subprocess may well go on; it is found by its name and followed, never started
again.
"""

import dagster as dg

from cosmos_pipelines.assets.jobs import BATCH, batch_config, execute_runs_batch
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs import lost


@dg.sensor(
    job=execute_runs_batch,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adopts runs whose process died, and frees their place in the GPU pool.",
)
def lost_runs(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Request one Dagster run for each order that was left behind."""
    with catalog.open() as (store, _):
        groups: dict[str, list[Run]] = {}
        for run in lost.lost_runs(store):
            groups.setdefault(run.batch_id or run.id, []).append(run)
    requests = []
    for name, runs in groups.items():
        for dagster_run_id in {run.dagster_run_id for run in runs if run.dagster_run_id}:
            mark_dagster_run_dead(context, dagster_run_id)
        requests.append(_request(name, runs))
    if not requests:
        return dg.SkipReason("Every run in work has a living process.")
    return dg.SensorResult(run_requests=requests)


def mark_dagster_run_dead(context: dg.SensorEvaluationContext, dagster_run_id: str) -> None:
    """A Dagster run whose process is dead says so; otherwise it would keep its pool's place."""
    dead = context.instance.get_run_by_id(dagster_run_id)
    if dead is not None and not dead.is_finished:
        context.instance.report_run_failed(dead, "Its process died; its work is being adopted.")


def _request(name: str, runs: list[Run]) -> dg.RunRequest:
    """Keyed by what the runs look like now: if the adopter dies too, there is another."""
    ids = [run.id for run in runs]
    state = content_hash({run.id: [run.leased_by, run.updated_at.isoformat()] for run in runs})
    return dg.RunRequest(
        run_key=f"lost.{name}.{state[:12]}",
        job_name=BATCH,
        run_config=batch_config(ids),
        tags={"cosmos/by": "lost_runs", "cosmos/first_run": ids[0]},
    )
