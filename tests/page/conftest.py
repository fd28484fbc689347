"""A gallery of real runs, the review page of it, and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from tests.support.made_once import made_once
from tests.support.project import make_project
from tests.support.review_page import review_page

TEXTS = {
    "noon": "A quiet city street at noon, clear sky",
    "rain": "A rainy night in the city, neon reflections",
}
RECIPES = {"soft": {"weights": {"depth": 1.0}}, "hard": {"weights": {"edge": 1.0}, "seed": 7}}


@dataclass(frozen=True)
class Gallery:
    """A project and the ids of what it has; `videos` by prompt and recipe."""

    api: CosmosAPI
    url: str
    prompts: dict[str, str]
    videos: dict[tuple[str, str], str]
    enhanced: str
    """An enhance run of the prompt `noon`."""
    larger: str
    """A 4K run of the video of `noon` and `soft`."""


@pytest.fixture(scope="session")
def made_gallery(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A project with four videos (12 frames of 160x96), an enhanced prompt and a 4K video."""
    home, made = made_once(tmp_path_factory, "films", _make)
    return home, made | {"videos": {(p, r): run for p, r, run in made["videos"]}}


def _make(home: Path) -> dict[str, Any]:
    project = make_project(home)
    directory = project.scene("street", frames=12, width=160, height=96)
    with CosmosAPI(settings=project.settings) as api:
        for name, fields in RECIPES.items():
            api.create_recipe(name, **fields)
        prompts = {k: api.create_prompt(t, directory)["id"] for k, t in TEXTS.items()}
        cells = [(prompt, recipe) for prompt in prompts for recipe in RECIPES]
        runs = [api.create_run(prompts[p], recipe=r, tags=["batch:first"]) for p, r in cells]
        done = api.execute_runs([run["id"] for run in runs])
        assert [run["status"] for run in done] == ["completed"] * 4, done
        videos = [(*cell, run["id"]) for cell, run in zip(cells, runs, strict=True)]
        enhanced = api.enhance_prompt(prompts["noon"])["id"]
        larger = api.upscale_run(runs[cells.index(("noon", "soft"))]["id"])["id"]
    project.catalog.close()
    return {"prompts": prompts, "videos": videos, "enhanced": enhanced, "larger": larger}


@pytest.fixture
def gallery(made_gallery: tuple[Path, dict[str, Any]], tmp_path: Path) -> Iterator[Gallery]:
    """A copy of it with its review page (no Dagster, no daemon), for one test to change."""
    home, made = made_gallery
    own = tmp_path / "films"
    shutil.copytree(home, own, ignore=shutil.ignore_patterns(".dagster", ".cosmos"))
    with CosmosAPI(own) as api, review_page(api) as url:
        yield Gallery(api, url, **made)
