"""Dagster's assets use the engines that are set for upscales and prompts."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from cosmos_pipelines.assets.partitions import ENHANCED, UPSCALED, VIDEOS
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.resources.dagster_resources import resources_of
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from tests.support.dagster_project import materialize, metadata_of
from tests.support.project import Project, settings_in

TEXT = """
[execution]
engine = "cosmos3"
upscale_engine = "preview"
enhance_engine = "preview"
grace_s = 2
"""


def test_an_empty_form_makes_4k_and_a_prompt_with_the_engines_set_for_them(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home", TEXT)
    backend = backend_for(settings)
    assert isinstance(backend, LocalBackend)
    with Catalog.open(settings.catalog_url) as catalog, dg.DagsterInstance.ephemeral() as instance:
        project = Project(settings, catalog, backend)
        project.scene()
        prompt, _ = register_prompt(catalog, settings, "A street", "city")
        run = enter(
            catalog, settings, plan_transfer(catalog, settings, prompt.id, {}, engine="preview")
        )
        record(instance, catalog, settings, prompt)
        record(instance, catalog, settings, run)
        assert materialize(project, instance, VIDEOS, run.id).success
        assert materialize(project, instance, UPSCALED, run.id).success
        assert materialize(project, instance, ENHANCED, prompt.id).success
        for asset, partition in ((UPSCALED, run.id), (ENHANCED, prompt.id)):
            assert "PREVIEW" in metadata_of(instance, asset, partition)["engine"]


def test_the_page_shows_which_engine_makes_what(tmp_path: Path) -> None:
    backend = resources_of(settings_in(tmp_path, '[execution]\nupscale_engine = "cosmos3"\n'))[
        "backend"
    ]
    shown = backend.model_dump(include={"engine", "upscale_engine", "enhance_engine"})
    assert shown == {"engine": "preview", "upscale_engine": "cosmos3", "enhance_engine": "preview"}
