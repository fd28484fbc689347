"""Jobs: forms on the page that register prompts and runs, and the execution of a batch."""

from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from pydantic import Field

from cosmos_pipelines.assets.forms import config_of, form, given
from cosmos_pipelines.assets.metadata import run_content
from cosmos_pipelines.assets.recheck import check_up_to_date
from cosmos_pipelines.assets.steps import (
    POOL,
    as_dagster_failure,
    bring_to_end,
    failure,
    request_of,
)
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.assets.video_checks import examine, report
from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import Transfer
from cosmos_pipelines.resources.dagster_resources import BackendResource, CatalogResource
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import Planned, enter_all, plan_transfer
from cosmos_pipelines.settings import Settings

BATCH: Final = "execute_runs_batch"
BY: Final = "cosmos/by"
"""Run tag: what requested a Dagster run."""
QUEUE: Final = "queue"
"""Its value for the sensor `dispatch_queue`."""
LOST: Final = "lost_runs"
"""Its value for the sensor `lost_runs`."""


class PromptsForm(dg.Config):
    """Texts for a scene. (Fields with a default, even an empty one, stand in the launchpad.)"""

    scene: str = Field("", description="A scene's key (`city`), or the path of its directory.")
    texts: list[str] = Field([], description="One prompt each.")
    negative_prompt: str | None = Field(None, description="What to avoid, in all of them.")


class BatchForm(dg.Config):
    """Runs to execute together."""

    run_ids: list[str] = Field([], description="Registered runs; completed ones are left alone.")


if TYPE_CHECKING:
    SweepForm = Any
else:
    SweepForm = form(
        "SweepForm",
        "Prompts x recipes x seeds.",
        prompts=(list[str], Field([], description="Ids or names.")),
        recipes=(list[str], Field([], description="Names; none: only the settings below.")),
        settings=(
            config_of(Transfer) | None,
            Field(None, description="Settings of all runs; they override those of a recipe."),
        ),
        seeds=(list[int], Field([], description="One run each; none: the settings' seed.")),
        engine=(str | None, Field(None, description="Default: the recipe's, or the project's.")),
        tags=(list[str], Field([], description="Words to find the runs by.")),
        queue=(bool, Field(True, description="Execute them; otherwise only register them.")),
    )


@dg.op(description="Registers a prompt for each text.")
def register_prompts(
    context: dg.OpExecutionContext, config: PromptsForm, catalog: CatalogResource
) -> list[str]:
    """Enter prompts; the same content again is the same prompt."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        if not config.texts or not config.scene:
            raise InputError("Give a scene and at least one text.")
        made = []
        for text in config.texts:
            prompt, new = register_prompt(
                store, settings, text, config.scene, negative_prompt=config.negative_prompt
            )
            record(context.instance, store, settings, prompt)
            context.log.info(f"{prompt.id} {prompt.name}{'' if new else ' (was there)'}")
            made.append(prompt.id)
        context.add_output_metadata({"prompts": made})
        return made


@dg.op(description="Registers a run for each cell of the sweep.")
def register_runs(
    context: dg.OpExecutionContext, config: SweepForm, catalog: CatalogResource
) -> list[str]:
    """Check all cells, then enter all runs, or none; executed again, none a second time."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        planned = plan_sweep(store, settings, config)
        tags = tuple(config.tags)
        request = request_of(context)
        how: dict[str, Any] = {"queued": config.queue, "tags": tags, "request": request}
        runs = enter_all(store, settings, planned, **how)
        record(context.instance, store, settings, *runs)
        context.add_output_metadata({"runs": [run.id for run in runs], "queued": config.queue})
        return [run.id for run in runs]


def plan_sweep(catalog: Catalog, settings: Settings, config: SweepForm) -> list[Planned]:
    """Every cell of prompts x recipes x seeds, checked. Raises InputError for the first bad one."""
    if not config.prompts:
        raise InputError("Give at least one prompt.")
    base = given(config.settings)
    seeds = [{"seed": seed} for seed in config.seeds] or [{}]
    return [
        plan_transfer(
            catalog, settings, prompt, {**base, **seed}, recipe=recipe, engine=config.engine
        )
        for prompt in dict.fromkeys(config.prompts)
        for recipe in config.recipes or [None]
        for seed in seeds
    ]


@dg.op(pool=POOL, description="Executes runs, sharing a model load where that changes no pixel.")
def execute_batch(
    context: dg.OpExecutionContext,
    config: BatchForm,
    catalog: CatalogResource,
    backend: BackendResource,
) -> None:
    """Execute all; each that completes is recorded in its partition, with its checks."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        wanted = _still_wanted(context, store.get_runs(config.run_ids))
        record(context.instance, store, settings, *wanted)
        prompts = store.find_prompts(run.prompt_id for run in wanted if run.prompt_id)
        recorded: set[str] = set()

        def tell(run: Run) -> None:
            try:
                _record(context, store, settings, run, prompts.get(run.prompt_id or ""))
            except Exception as e:  # noqa: BLE001 - the model goes on; it is told again below
                context.log.warning(f"{run.id} is not recorded yet: {e}")
            else:
                recorded.add(run.id)

        runs = bring_to_end(context, store, settings, backend, wanted, tell)
        for run in runs:
            if run.status == "completed" and run.id not in recorded:
                _record(context, store, settings, run, prompts.get(run.prompt_id or ""))
        left = [run for run in runs if run.status != "completed"]
        if left:
            said = "; ".join(f"{run.id} {run.status}: {run.error_message}" for run in left)
            raise failure(f"{len(left)} of {len(runs)} runs did not complete: {said}", left)


def _still_wanted(context: dg.OpExecutionContext, runs: list[Run]) -> list[Run]:
    """The runs without those that were cancelled, or failed, since a sensor requested them.

    Who re-executes the Dagster run on the page, or starts the job with run ids, means all of them.
    """
    if context.run.tags.get(BY) not in (QUEUE, LOST) or context.run.parent_run_id is not None:
        return runs
    ended = [run for run in runs if run.status in ("failed", "cancelled")]
    for run in ended:
        context.log.info(f"{run.id} is left alone: it is {run.status} since it was requested.")
    return [run for run in runs if run not in ended]


def _record(
    context: dg.OpExecutionContext,
    catalog: Catalog,
    settings: Settings,
    run: Run,
    prompt: Prompt | None,
) -> None:
    if new := run.outputs.get("enhanced_prompt_id"):
        record(context.instance, catalog, settings, catalog.get_prompt(new))
    context.log_event(run_content(settings, run, prompt).event(context.instance))
    if run.model_type != "enhance":
        report(context, run, examine(catalog, settings, run))


@dg.job(description="Register prompts for a scene.")
def create_prompts() -> None:
    """The form for new prompts."""
    register_prompts()


@dg.job(description="Register a sweep: prompts x recipes x seeds, and queue its runs.")
def create_runs() -> None:
    """The form for new runs."""
    register_runs()


@dg.job(name=BATCH, description="Execute several registered runs as one batch.")
def execute_runs_batch() -> None:
    """What the dispatcher and the command line use for several runs."""
    execute_batch()


JOBS: Final = [create_prompts, create_runs, execute_runs_batch, check_up_to_date]


def batch_config(run_ids: list[str]) -> dict[str, Any]:
    """The run configuration of the batch job."""
    return {"ops": {execute_batch.name: {"config": {"run_ids": run_ids}}}}


def run_ids_of(dagster_run: dg.DagsterRun) -> list[str]:
    """The runs that a Dagster run of the batch job is to execute; none if its form says none."""
    config: Any = dagster_run.run_config
    try:
        return list(config["ops"][execute_batch.name]["config"]["run_ids"])
    except (KeyError, TypeError):  # somebody has written it on the page
        return []
