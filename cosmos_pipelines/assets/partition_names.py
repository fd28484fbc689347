"""Where Dagster's page shows a row of the catalog, by names. It imports no Dagster."""

from __future__ import annotations

from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow


def partition_names(row: Prompt | Run | SceneRow) -> list[tuple[str, str]]:
    """Asset and partition of all that exists because of this row.

    First where the row itself is recorded, then what can be made of it.
    """
    if isinstance(row, SceneRow):
        return [("scenes", row.key)]
    if isinstance(row, Prompt):
        own = ("prompts", row.id)
        return [own] if row.source_run_id else [own, ("enhanced_prompts", row.id)]
    place = _place(row)
    can_be_enlarged = row.model_type == "transfer" and row.status == "completed"
    return [place, ("upscaled_videos", row.id)] if can_be_enlarged else [place]


def _place(run: Run) -> tuple[str, str]:
    if run.model_type == "transfer":
        return "inference_videos", run.id
    if run.model_type == "enhance":
        return "enhanced_prompts", str(run.prompt_id)
    if run.parent_run_id:
        return "upscaled_videos", run.parent_run_id
    return "upscaled_files", run.id
