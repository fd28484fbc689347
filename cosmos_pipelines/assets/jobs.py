"""Jobs: forms on the page that register prompts and runs, and the execution of a batch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg
from pydantic import Field

from cosmos_pipelines.assets.forms import choice, config_of, engine_choice, form, given
from cosmos_pipelines.assets.links import Links
from cosmos_pipelines.assets.metadata import run_content
from cosmos_pipelines.assets.partitions import PROMPTS, place_of
from cosmos_pipelines.assets.recheck import check_up_to_date, check_videos
from cosmos_pipelines.assets.steps import (
    as_dagster_failure,
    bring_to_end,
    failure,
    request_of,
)
from cosmos_pipelines.assets.sync import add_partitions, record
from cosmos_pipelines.assets.video_checks import examine, report
from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.records import ACTIVE, Load, Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, StateError
from cosmos_pipelines.operations import Transfer
from cosmos_pipelines.resources.dagster_resources import BackendResource, CatalogResource
from cosmos_pipelines.runs.enter import enter_all
from cosmos_pipelines.runs.given_up import was_given_up
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.lost import looks_lost
from cosmos_pipelines.runs.plan import Planned
from cosmos_pipelines.runs.sweep import plan_each, plans_of
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
    load_id: str | None = Field(None, description="The load of the queue that they are; by itself.")


_RECIPES: Final = (
    "Names; none: only the settings below. One that was made since this page was loaded is known "
    "after `Reload definitions`."
)


def sweep_form(recipes: Iterable[str] | None) -> type[dg.Config]:
    """The form for a sweep. `recipes`: names to choose from; None: any text."""
    recipe = str if recipes is None else choice("recipe", recipes)
    engine = engine_choice(Transfer.model_type)
    return form(
        "SweepForm",
        "Prompts x recipes x seeds.",
        prompts=(list[str], Field([], description="Ids or names.")),
        recipes=(list[recipe], Field([], description=_RECIPES)),  # type: ignore[valid-type]
        settings=(
            config_of(Transfer) | None,
            Field(None, description="Settings of all runs; they override those of a recipe."),
        ),
        seeds=(list[int], Field([], description="One run each; none: the settings' seed.")),
        engine=(engine | None, Field(None, description="Default: the recipe's, or the project's.")),
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
        try:
            for text in config.texts:
                prompt, new = register_prompt(
                    store, settings, text, config.scene, negative_prompt=config.negative_prompt
                )
                context.log.info(f"{prompt.id} {prompt.name}{'' if new else ' (was there)'}")
                made.append(prompt)
        finally:  # those before one that is refused are there
            record(context.instance, store, settings, *made)
        links = Links.of(settings)
        shown = [links.prompt(prompt.id, (PROMPTS, prompt.id)) for prompt in made]
        context.add_output_metadata({"prompts": links.list_of(shown)})
        return [prompt.id for prompt in made]


def register_sweep(
    context: dg.OpExecutionContext, config: dg.Config, catalog: CatalogResource
) -> list[str]:
    """Check all cells, then enter all runs, or none; executed again, none a second time."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        sweep = given(config)
        planned = plan_sweep(store, settings, sweep)
        queued, tags = bool(sweep["queue"]), tuple(sweep["tags"])
        request = request_of(context)
        runs = enter_all(store, settings, planned, queued=queued, tags=tags, request=request)
        add_partitions(context.instance, runs)
        links = Links.of(settings)
        shown = [links.run(run.id, place_of(run)) for run in runs]
        context.add_output_metadata({"runs": links.list_of(shown), "queued": queued})
        return [run.id for run in runs]


def plan_sweep(catalog: Catalog, settings: Settings, sweep: dict[str, Any]) -> list[Planned]:
    """Every cell of prompts x recipes x seeds, checked; `sweep`: what was filled in.

    Raises:
        InputError: the first cell that is refused.
    """
    if not sweep["prompts"]:
        raise InputError("Give at least one prompt.")
    prompts, chosen = [*dict.fromkeys(sweep["prompts"])], (sweep["recipes"], sweep["seeds"])
    base, engine = sweep.get("settings") or {}, sweep.get("engine")
    return plans_of(plan_each(catalog, settings, prompts, *chosen, base, engine=engine))


@dg.op(description="Executes runs, sharing a model load where that changes no pixel.")
def execute_batch(
    context: dg.OpExecutionContext,
    config: BatchForm,
    catalog: CatalogResource,
    backend: BackendResource,
) -> None:
    """Execute all; each that completes is recorded in its partition, with its checks."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        load = _own_load(context, store, config.load_id)
        recorded: set[str] = set()

        def tell(run: Run) -> None:
            try:
                _record(context, store, settings, run, prompts.get(run.prompt_id or ""))
            except Exception as e:  # noqa: BLE001 - the model goes on; it is told again below
                context.log.warning(f"{run.id} is not recorded yet: {e}")
            else:
                recorded.add(run.id)

        with _until_ended(store, load):
            wanted = _still_wanted(context, _named(store, config), load)
            if not wanted:
                return
            record(context.instance, store, settings, *wanted)
            prompts = store.find_prompts(run.prompt_id for run in wanted if run.prompt_id)
            lost = _for_lost(context)
            runs = bring_to_end(
                context, store, settings, backend, wanted, tell, load, only_lost=lost
            )
        if lost:  # another process may have been faster
            runs = [run for run in runs if run.dagster_run_id == context.run.run_id]
        for run in runs:
            if run.status == "completed" and run.id not in recorded:
                _record(context, store, settings, run, prompts.get(run.prompt_id or ""))
        back = [run.id for run in runs if load is not None and run.status == "pending"]
        if back:
            context.log.info(f"{', '.join(back)}: not begun here; the queue has the runs again.")
        left = [run for run in runs if run.status != "completed" and run.id not in back]
        if left:
            each = "; ".join(f"{run.id} {run.status}: {run.error_message}" for run in left)
            said = f"{len(left)} of {len(runs)} runs did not complete: {each}"
            raise failure(settings, said, left)


@contextmanager
def _until_ended(catalog: Catalog, load: Load | None) -> Iterator[None]:
    """A load ends with the work on it; where an error ended that, the dispatcher is told why."""
    try:
        yield
    except Exception as e:
        if load is not None:
            catalog.end_load(load.id, f"Its Dagster run failed: {e}")
        raise
    except BaseException:
        if load is not None:
            catalog.end_load(load.id)
        raise
    if load is not None:
        catalog.end_load(load.id)


def _named(catalog: Catalog, config: BatchForm) -> list[Run]:
    """The runs by their ids; a run of a load may have been deleted since it was put there."""
    if config.load_id is None:
        return catalog.get_runs(config.run_ids)
    found = catalog.find_runs(config.run_ids)
    return [found[run_id] for run_id in config.run_ids if run_id in found]


def _own_load(context: dg.OpExecutionContext, catalog: Catalog, load_id: str | None) -> Load | None:
    """The load that this process now has; None: it executes runs that were named to it.

    Who re-executes the Dagster run of a load on the page means its runs, whatever the queue says.

    Raises:
        StateError: the catalog does not know the load, as one that was restored from a backup.
    """
    if load_id is None or context.run.parent_run_id is not None:
        return None
    if load := catalog.hand_over_load(load_id, owner_name(), context.run.run_id):
        return load
    context.log.info(f"{load_id} has ended: another dispatcher has its runs, or nobody yet.")
    if (known := catalog.find_loads([load_id]).get(load_id)) is None:
        raise StateError(
            f"The catalog has no load {load_id}: nothing was executed.",
            hint="`cosmos queue` shows what waits.",
        )
    return known


def _for_lost(context: dg.OpExecutionContext) -> bool:
    """Whether this Dagster run takes over runs whose process is gone, and does nothing else."""
    return context.run.tags.get(BY) == LOST and context.run.parent_run_id is None


def _still_wanted(context: dg.OpExecutionContext, runs: list[Run], load: Load | None) -> list[Run]:
    """The runs without those that have left the load, or that need nobody any more.

    What a sensor requested needs nobody once it has ended, or another process goes on with it.
    Who re-executes the Dagster run on the page, or starts the job with run ids, means all of them.
    """
    if load is not None:
        return [run for run in runs if run.load_id == load.id and run.status == "pending"]
    if not _for_lost(context):
        return runs
    alone = [
        run
        for run in runs
        if (run.status in ("failed", "cancelled") and not was_given_up(run))
        or (run.status in ACTIVE and not looks_lost(run))
    ]
    for run in alone:
        context.log.info(f"{run.id} is left alone: it is {run.status} since it was requested.")
    return [run for run in runs if run not in alone]


def _record(
    context: dg.OpExecutionContext,
    catalog: Catalog,
    settings: Settings,
    run: Run,
    prompt: Prompt | None,
) -> None:
    if new := run.outputs.get("enhanced_prompt_id"):
        record(context.instance, catalog, settings, catalog.get_prompt(new))
    add_partitions(context.instance, [run])
    context.log_event(run_content(settings, run, prompt).event(context.instance))
    if run.model_type != "enhance":
        report(context, run, examine(catalog, settings, run))


@dg.job(description="Register prompts for a scene.")
def create_prompts() -> None:
    """The form for new prompts."""
    register_prompts()


def create_runs(recipes: Iterable[str] | None = None) -> dg.JobDefinition:
    """The job with the form for new runs. `recipes`: names to choose from; None: any text."""
    sweep = sweep_form(recipes)

    @dg.op(description="Registers a run for each cell of the sweep.")
    def register_runs(
        context: dg.OpExecutionContext,
        config: sweep,  # type: ignore[valid-type]
        catalog: CatalogResource,
    ) -> list[str]:
        return register_sweep(context, config, catalog)

    @dg.job(description="Register a sweep: prompts x recipes x seeds, and queue its runs.")
    def create_runs() -> None:
        register_runs()

    return create_runs


@dg.job(name=BATCH, description="Execute several registered runs as one batch.")
def execute_runs_batch() -> None:
    """What the dispatcher and the command line use for several runs."""
    execute_batch()


JOBS: Final = [create_prompts, execute_runs_batch, check_up_to_date, check_videos]
"""All jobs but `create_runs`, whose form has choices of what exists."""


def batch_config(run_ids: list[str], load_id: str | None = None) -> dict[str, Any]:
    """The run configuration of the batch job."""
    config = {"run_ids": run_ids, **({"load_id": load_id} if load_id else {})}
    return {"ops": {execute_batch.name: {"config": config}}}
