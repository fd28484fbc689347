"""The assets `inference_videos`, `upscaled_videos` and `upscaled_files`."""

from functools import partial
from typing import Final

import dagster as dg
from pydantic import Field

from cosmos_pipelines.assets.forms import config_of, engine_choice, form, given
from cosmos_pipelines.assets.handover import (
    SEVERAL,
    bring_run_to_end,
    queue_partitions,
    run_to_make,
)
from cosmos_pipelines.assets.metadata import Result, code_version, run_content
from cosmos_pipelines.assets.partitions import (
    FILE_KEYS,
    FILES,
    PROMPTS,
    RUN_KEYS,
    UPSCALE_KEYS,
    UPSCALED,
    VIDEOS,
    many_to_one,
)
from cosmos_pipelines.assets.steps import (
    as_dagster_failure,
    require_completed,
)
from cosmos_pipelines.assets.sync import add_partitions
from cosmos_pipelines.assets.video_checks import check_specs, examine
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.operations import ModelType, Operation, Upscale
from cosmos_pipelines.resources.dagster_resources import BackendResource, CatalogResource
from cosmos_pipelines.runs.plan import plan_upscale
from cosmos_pipelines.settings import Settings

RUN_FIELDS: Final = ("engine", "run_id")
"""What a form that makes a run asks for beside the operation's own fields."""


def run_form(operation: type[Operation]) -> type[dg.Config]:
    """The form of an asset that makes a run of this operation, with the engines of this moment."""
    engines = engine_choice(operation.model_type)
    return form(
        f"{operation.__name__}RunForm",
        operation.__doc__ or "",
        **{n: (i.annotation, i) for n, i in config_of(operation).model_fields.items()},
        engine=(engines | None, Field(None, description="Another engine than the project's.")),
        run_id=(str | None, Field(None, description="Execute this run instead of a new one.")),
    )


@dg.asset(
    key=VIDEOS,
    partitions_def=RUN_KEYS,
    deps=[many_to_one(PROMPTS)],
    check_specs=check_specs(VIDEOS),
    group_name="generation",
    kinds={"mp4", "python"},
    code_version=code_version(),
    description="The video that an inference run made of a prompt and its scene; the partition is "
    "the run. A run that is completed is only recorded again, never executed twice. The first "
    "video: the job `create_runs`, `cosmos inference`, or the review page. Queued runs are started "
    "by the daemon of `cosmos ui`; Deployment > Daemons says whether it runs. " + SEVERAL,
)
def inference_videos(
    context: dg.AssetExecutionContext, catalog: CatalogResource, backend: BackendResource
) -> Result:
    """Execute one inference run."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        queue_partitions(context, store)
        run = store.get_run(context.partition_key)
        return _execute(context, store, settings, backend, run)


def upscaled_videos() -> dg.AssetsDefinition:
    """The asset, with a form that has the engines of this moment."""
    upscale_form = run_form(Upscale)

    @dg.asset(
        key=UPSCALED,
        partitions_def=UPSCALE_KEYS,
        deps=[VIDEOS],
        check_specs=check_specs(UPSCALED),
        group_name="generation",
        kinds={"mp4", "python"},
        code_version=code_version(),
        description="The 4K version of an inference video; the partition is the inference run, as "
        "soon as its video is finished. Each is made by an upscale run of its own, whose parent is "
        "that run. " + SEVERAL,
    )
    def upscaled_videos(
        context: dg.AssetExecutionContext,
        config: upscale_form,  # type: ignore[valid-type]
        catalog: CatalogResource,
        backend: BackendResource,
    ) -> Result:
        """Upscale the video of one inference run."""
        with as_dagster_failure(), catalog.open() as (store, settings):
            parent = store.get_run(context.partition_key)
            run = run_for(store, config, "upscale", parent_run_id=parent.id)
            if run is None:
                fields = given(config, leave=RUN_FIELDS)
                engine = given(config).get("engine")
                plan = partial(plan_upscale, store, settings, fields=fields, engine=engine)
                run = run_to_make(context, store, settings, plan)
            return _execute(context, store, settings, backend, run)

    return upscaled_videos


@dg.asset(
    key=FILES,
    partitions_def=FILE_KEYS,
    check_specs=check_specs(FILES),
    group_name="generation",
    kinds={"mp4", "python"},
    code_version=code_version(),
    description="The 4K version of a video file that no run of ours made (`cosmos upscale --video "
    "FILE`); the partition is the upscale run.",
)
def upscaled_files(
    context: dg.AssetExecutionContext, catalog: CatalogResource, backend: BackendResource
) -> Result:
    """Execute one upscale run of a file."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        queue_partitions(context, store)
        run = store.get_run(context.partition_key)
        return _execute(context, store, settings, backend, run)


def run_for(
    catalog: Catalog,
    config: dg.Config,
    model_type: ModelType,
    *,
    prompt_id: str | None = None,
    parent_run_id: str | None = None,
) -> Run | None:
    """The run that a form names, or else the one at this place that has begun and not ended.

    The latter is what a step finds that is executed again after its process died: it goes on with
    its own run and does not pay for another.

    Raises:
        UnknownId: the form names a run that there is not.
        StateError: the form names a run of something else.
    """
    if wanted := given(config).get("run_id"):
        run = catalog.get_run(wanted)
        if run.model_type != model_type or prompt_id not in (None, run.prompt_id):
            raise StateError(f"Run {run.id} is a {run.model_type} of prompt {run.prompt_id}.")
        if parent_run_id not in (None, run.parent_run_id):
            raise StateError(f"Run {run.id} has another parent run: {run.parent_run_id}.")
        return run
    begun = catalog.list_runs(
        ACTIVE, model_type=model_type, prompt_id=prompt_id, parent_run_id=parent_run_id, limit=1
    )
    return begun[0] if begun else None


def _execute(
    context: dg.AssetExecutionContext,
    catalog: Catalog,
    settings: Settings,
    backend: BackendResource,
    run: Run,
) -> Result:
    run = bring_run_to_end(context, catalog, settings, backend, run)
    require_completed(settings, run)
    add_partitions(context.instance, [run])
    checks = [finding.result() for finding in examine(catalog, settings, run)]
    prompt = catalog.get_prompt(run.prompt_id) if run.prompt_id else None
    return run_content(settings, run, prompt).result(context.instance, checks)
