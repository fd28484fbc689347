"""The demo: a scene of our own, two prompts, a sweep of two recipes, an enhancement, one 4K video.

What exists already is not made again, so a second demo is quick and adds nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosmos_pipelines.api import CosmosAPI
    from cosmos_pipelines.media.progress import OnProgress
    from cosmos_pipelines.operations import ModelType
    from cosmos_pipelines.runs.log import OnLine

SCENE = "demo_city"
PROMPT = (
    "A quiet city street at golden hour, long shadows on the asphalt, "
    "warm light on the facades, photoreal"
)
NEGATIVE = "cartoon, flat shading, low quality"
NIGHT = "The same street on a rainy night, neon reflections on the ground, photoreal"
RECIPES: dict[str, dict[str, Any]] = {
    "demo_balanced": {"weights": {"vis": 0.25, "edge": 0.25, "depth": 0.25, "seg": 0.25}},
    "demo_structure": {"weights": {"vis": 0.1, "edge": 0.6, "depth": 0.3}, "seed": 7},
}


def demo(
    api: CosmosAPI, *, progress: OnProgress | None = None, on_line: OnLine | None = None
) -> dict[str, Any]:
    """Make whatever of the demo is missing; returns its runs and where their results are."""
    scene = _scene(api, progress)
    for name, fields in RECIPES.items():
        api.create_recipe(name, engine="preview", **fields)
    first = api.create_prompt(PROMPT, scene, negative_prompt=NEGATIVE)["id"]
    night = api.create_prompt(NIGHT, scene)["id"]
    wanted = [(first, "demo_balanced"), (first, "demo_structure"), (night, "demo_balanced")]
    made = {cell: _completed(api, *cell) for cell in wanted}
    missing = [
        api.create_run(prompt, recipe=recipe, engine="preview", backend="local", tags=["demo"])
        for (prompt, recipe), run in made.items()
        if run is None
    ]
    api.execute_runs([run["id"] for run in missing], on_line=on_line)
    runs = [api.get_run(run["id"]) for run in (*missing, *filter(None, made.values()))]
    enhanced = _of_type(api, "enhance", prompt_id=first)
    if enhanced is None:
        enhanced = api.enhance_prompt(first, engine="preview", backend="local", on_line=on_line)
    best = _completed(api, *wanted[0])
    larger = None
    if best is not None:
        larger = _of_type(api, "upscale", parent=best["id"]) or api.upscale_run(
            best["id"], engine="preview", backend="local", on_line=on_line
        )
    return {"scene": scene.name, "runs": [*runs, enhanced, *([larger] if larger else [])]}


def render(directory: Path, progress: OnProgress | None = None) -> None:
    """Render the demo's scene as PNG sequences, as a renderer would write them."""
    from cosmos_pipelines.media.demo_scene import render_demo

    render_demo(directory, progress=lambda i, n: progress("render", i, n) if progress else None)


def _scene(api: CosmosAPI, progress: OnProgress | None) -> Path:
    """The demo's scene, rendered and prepared unless it is there."""
    scene = api.settings.inputs / SCENE
    if not (scene / "scene.json").is_file():
        renders = api.settings.home / ".cosmos" / "renders" / SCENE
        render(renders, progress)
        api.prepare_scene(renders, name=SCENE, description="Our own ray-caster", progress=progress)
    return scene


def _completed(api: CosmosAPI, prompt_id: str, recipe: str) -> dict[str, Any] | None:
    runs = api.list_runs(prompt_id=prompt_id, model_type="transfer", status="completed", limit=None)
    return next((run for run in runs if run["recipe"] == recipe), None)


def _of_type(
    api: CosmosAPI,
    model_type: ModelType,
    *,
    prompt_id: str | None = None,
    parent: str | None = None,
) -> dict[str, Any] | None:
    runs = api.list_runs(prompt_id=prompt_id, model_type=model_type, status="completed", limit=None)
    return next((run for run in runs if parent in (None, run["parent_run_id"])), None)
