"""Numbers for pages, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

from cosmos_pipelines.catalog import Catalog


def ended(catalog: Catalog, prompt: str, how: str) -> str:
    """A run of a prompt that has completed or failed."""
    run = catalog.add_run("transfer", "preview", "local", {}, prompt_id=prompt)
    assert catalog.claim(run.id, "me")
    if how == "failed":
        assert catalog.advance(run.id, "me", "uploading", "failed", error_kind="model_failed")
        return run.id
    assert catalog.advance(run.id, "me", "uploading", "running")
    assert catalog.advance(run.id, "me", "running", "downloading")
    assert catalog.advance(run.id, "me", "downloading", "completed", outputs={"video": "v"})
    return run.id


def test_runs_that_failed_since_a_time_are_counted(catalog: Catalog) -> None:
    prompt = catalog.add_prompt("a street", None, "street", "street", {})[0].id
    ended(catalog, prompt, "failed")
    between = datetime.now(UTC)
    assert (catalog.count_failed(), catalog.count_failed(between)) == (1, 0)
    ended(catalog, prompt, "failed")
    assert (catalog.count_failed(), catalog.count_failed(between)) == (2, 1)


def test_only_what_the_daemon_may_start_counts_as_queued(catalog: Catalog) -> None:
    catalog.add_run("transfer", "preview", "local", {})
    queued = catalog.add_run("transfer", "preview", "local", {}, queued=True)
    assert catalog.count_queued() == 1
    assert catalog.cancel_pending(queued.id)
    assert catalog.count_queued() == 0


def test_a_scene_has_the_numbers_of_its_prompts_and_of_its_completed_videos(
    catalog: Catalog,
) -> None:
    first = catalog.add_prompt("a street", None, "street", "street", {})[0].id
    second = catalog.add_prompt("a street in rain", None, "street", "rain", {})[0].id
    catalog.add_prompt("a bridge", None, "bridge", "bridge", {})
    made = [ended(catalog, first, "completed"), ended(catalog, second, "completed")]
    failed = ended(catalog, second, "failed")
    assert catalog.counts_of_scenes(["street", "bridge", "none"]) == {
        "street": {"prompts": 2, "videos": 2},
        "bridge": {"prompts": 1, "videos": 0},
    }
    assert {run.id for run in catalog.runs_of_scene("street")} == {*made, failed}
    assert catalog.runs_of_scene("bridge") == []
