"""NVIDIA's engines in Dagster: forms, batch, checks and metadata, with simulated models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.assets.partitions import UPSCALED, VIDEOS, latest
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_transfer
from tests.models.trees import path_with_torchrun
from tests.support.cosmos_models import all_passes
from tests.support.dagster_project import add_prompt, materialize, metadata_of, run_job
from tests.support.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of Cosmos-Transfer1 with a scene in all five passes."""
    monkeypatch.setenv("PATH", path_with_torchrun())
    made = all_passes(tmp_path / "home")
    yield made
    made.catalog.close()


def test_a_run_of_a_batch_is_on_the_page_before_the_batch_has_ended(project: Project) -> None:
    prompts = [add_prompt(project, text).id for text in ("one", "two [sim:slow 0.05]")]
    planned = [plan_transfer(project.catalog, project.settings, p, {}) for p in prompts]
    first, last = (enter(project.catalog, project.settings, plan) for plan in planned)
    with dg.DagsterInstance.ephemeral() as instance:
        ids = [first.id, last.id]
        assert run_job(
            project, instance, "execute_runs_batch", "execute_batch", run_ids=ids
        ).success
        shown = latest(instance, VIDEOS, first.id)
        ended = project.catalog.get_run(last.id).completed_at
        assert shown is not None
        assert ended is not None
        assert shown.timestamp < ended.timestamp()
        assert metadata_of(instance, VIDEOS, last.id)["size"] == "960 x 704"
        key = dg.AssetCheckKey(VIDEOS, "hash")
        history = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        assert sorted(h.partition or "" for h in history) == sorted(ids), "each once"


def test_a_sweep_from_the_form_becomes_videos_and_4k_in_their_partitions(
    project: Project,
) -> None:
    prompts = [add_prompt(project, text).id for text in ("one", "two [sim:blocked bleeding]")]
    with dg.DagsterInstance.ephemeral() as instance:
        settings = {"num_steps": 12, "regional_prompts": []}
        made = run_job(
            project, instance, "create_runs", "register_runs", prompts=prompts, settings=settings
        )
        assert made.success
        good, blocked = sorted(project.catalog.list_runs(), key=lambda r: r.created_at)
        result = run_job(
            project, instance, "execute_runs_batch", "execute_batch",
            run_ids=[good.id, blocked.id],
        )  # fmt: skip
        assert not result.success
        shown = metadata_of(instance, VIDEOS, good.id)
        assert (shown["engine"], shown["chunks"], shown["size"]) == (
            "Cosmos-Transfer1", 1, "960 x 704",
        )  # fmt: skip
        assert metadata_of(instance, VIDEOS, blocked.id) == {}
        larger = materialize(project, instance, UPSCALED, good.id)
        assert larger.success
        assert metadata_of(instance, UPSCALED, good.id)["size"] == "2880 x 2112"
        checks = larger.get_asset_check_evaluations()
        wrong = {c.check_name for c in checks if not c.passed}
        assert {"frames", "picture_size", "rate", "hash"} <= {c.check_name for c in checks} - wrong
