"""What somebody with an almost empty project does next."""

from __future__ import annotations

from typing import Any, Final

from cosmos_pipelines.catalog.store import Catalog

FEW: Final = 5
"""Completed runs up to which there may be one video alone, with its 4K and enhanced prompts."""


def next_step(catalog: Catalog) -> dict[str, Any]:
    """Return the `step` and what it is about; see `CosmosAPI.what_now`."""
    counts = catalog.count_by_status()
    if not any(counts.values()):
        if prompts := catalog.list_prompts(limit=1):
            return {"step": "order", "scene": prompts[0].scene}
        if scenes := catalog.scenes_after("", 1):
            return {"step": "prompt", "scene": scenes[0].key}
        return {"step": "scene"}
    if 0 < counts["completed"] <= FEW:
        videos = catalog.list_runs("completed", model_type="transfer", limit=2)
        if len(videos) == 1:
            return {"step": "look", "run": videos[0].id}
    return {"step": None}
