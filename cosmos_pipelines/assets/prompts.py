"""The assets `prompts` and `enhanced_prompts`."""

from functools import partial

import dagster as dg

from cosmos_pipelines.assets.forms import given
from cosmos_pipelines.assets.handover import SEVERAL, bring_run_to_end, run_to_make
from cosmos_pipelines.assets.metadata import Result, code_version, prompt_content, run_content
from cosmos_pipelines.assets.partitions import (
    ENHANCE_KEYS,
    ENHANCED,
    PROMPT_KEYS,
    PROMPTS,
    SCENES,
    many_to_one,
)
from cosmos_pipelines.assets.steps import (
    as_dagster_failure,
    require_completed,
)
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.assets.videos import RUN_FIELDS, run_for, run_form
from cosmos_pipelines.operations import Enhance
from cosmos_pipelines.resources.dagster_resources import BackendResource, CatalogResource
from cosmos_pipelines.runs.plan import plan_enhance


@dg.asset(
    key=PROMPTS,
    partitions_def=PROMPT_KEYS,
    deps=[many_to_one(SCENES)],
    group_name="prompts",
    kinds={"markdown"},
    code_version="1",
    description="A text for one scene. Its id is a hash of its content, so that the same prompt "
    "twice is one prompt. The first prompt: the job `create_prompts`, `cosmos create prompt`, "
    "or the review page.",
)
def prompts(context: dg.AssetExecutionContext, catalog: CatalogResource) -> Result:
    """Record a registered prompt again."""
    with as_dagster_failure(), catalog.open() as (store, settings):
        prompt = store.get_prompt(context.partition_key)
        return prompt_content(settings, prompt).result(context.instance)


def enhanced_prompts() -> dg.AssetsDefinition:
    """The asset, with a form that has the engines of this moment."""
    enhance_form = run_form(Enhance)

    @dg.asset(
        key=ENHANCED,
        partitions_def=ENHANCE_KEYS,
        deps=[PROMPTS],
        group_name="prompts",
        kinds={"markdown", "python"},
        code_version=code_version(),
        description="What an enhancer made of a prompt: a new prompt, registered with the old one "
        "as its parent and materialised as a partition of `prompts` too. What it made is not "
        "enhanced again, unless by `cosmos prompt-enhance`. " + SEVERAL,
    )
    def enhanced_prompts(
        context: dg.AssetExecutionContext,
        config: enhance_form,  # type: ignore[valid-type]
        catalog: CatalogResource,
        backend: BackendResource,
    ) -> Result:
        """Enhance one prompt."""
        with as_dagster_failure(), catalog.open() as (store, settings):
            prompt = store.get_prompt(context.partition_key)
            run = run_for(store, config, "enhance", prompt_id=prompt.id)
            if run is None:
                fields = given(config, leave=RUN_FIELDS)
                engine = given(config).get("engine")
                plan = partial(plan_enhance, store, settings, fields=fields, engine=engine)
                run = run_to_make(context, store, settings, plan)
            run = bring_run_to_end(context, store, settings, backend, run)
            require_completed(settings, run)
            if new := run.outputs.get("enhanced_prompt_id"):
                record(context.instance, store, settings, store.get_prompt(new))
            return run_content(settings, run, prompt).result(context.instance)

    return enhanced_prompts
