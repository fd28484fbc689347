from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from cosmos_pipelines.catalog import Catalog, Run
from cosmos_pipelines.catalog.deletion import plan_deletion
from cosmos_pipelines.errors import StateError, UnknownId
from tests.catalog.rows import OWNER, add_prompt, add_run, complete


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    root.mkdir()
    return root


def with_files(outputs: Path, run: Run, content: bytes = b"video") -> Path:
    directory = outputs / f"run_{run.id}"
    (directory / "logs").mkdir(parents=True)
    (directory / "video.mp4").write_bytes(content)
    (directory / "logs" / "run.log").write_bytes(b"log")
    return directory


def test_a_prompt_takes_its_runs_their_upscales_and_what_was_enhanced_from_it(
    catalog: Catalog, outputs: Path
) -> None:
    prompt, other = add_prompt(catalog), add_prompt(catalog, "other")
    enhance = complete(catalog, add_run(catalog, prompt_id=prompt.id, model_type="enhance"))
    better = add_prompt(catalog, "better", parent_prompt_id=prompt.id, source_run_id=enhance.id)
    video = complete(catalog, add_run(catalog, prompt_id=better.id))
    upscale = add_run(catalog, model_type="upscale", parent_run_id=video.id)
    kept = add_run(catalog, prompt_id=other.id)
    gone = [with_files(outputs, run) for run in (video, upscale)]
    stays = with_files(outputs, kept)

    plan = plan_deletion(catalog, "prompt", prompt.id, outputs)
    assert {p.id for p in plan.prompts} == {prompt.id, better.id}
    assert {r.id for r in plan.runs} == {enhance.id, video.id, upscale.id}
    assert set(plan.directories) == set(gone)
    assert plan.bytes == 2 * len(b"video" + b"log")
    assert json.loads(json.dumps(plan.as_dict()))["id"] == prompt.id
    assert all(directory.is_dir() for directory in gone)

    _, cursor = catalog.changes_since(None)
    plan.execute(catalog)
    assert sorted(outputs.iterdir()) == [stays]
    assert [run.id for run in catalog.list_runs()] == [kept.id]
    assert [prompt.id for prompt in catalog.list_prompts()] == [other.id]
    changes, _ = catalog.changes_since(cursor)
    assert {(c.kind, c.id) for c in changes if c.row is None} == {
        ("prompt", prompt.id),
        ("prompt", better.id),
        *(("run", run.id) for run in (enhance, video, upscale)),
    }


def test_a_run_takes_its_upscales_and_leaves_prompt_and_parent(
    catalog: Catalog, outputs: Path
) -> None:
    prompt = add_prompt(catalog)
    video = complete(catalog, add_run(catalog, prompt_id=prompt.id))
    upscale = add_run(catalog, model_type="upscale", parent_run_id=video.id, prompt_id=prompt.id)
    assert [r.id for r in plan_deletion(catalog, "run", upscale.id, outputs).runs] == [upscale.id]
    plan = plan_deletion(catalog, "run", video.id, outputs)
    assert plan.prompts == ()
    plan.execute(catalog)
    assert catalog.list_runs() == []
    assert catalog.get_prompt(prompt.id) == prompt


def test_a_prompt_outlives_the_run_that_enhanced_it(catalog: Catalog, outputs: Path) -> None:
    prompt = add_prompt(catalog)
    enhance = complete(catalog, add_run(catalog, prompt_id=prompt.id, model_type="enhance"))
    better = add_prompt(catalog, "better", parent_prompt_id=prompt.id, source_run_id=enhance.id)
    plan_deletion(catalog, "run", enhance.id, outputs).execute(catalog)
    left = catalog.get_prompt(better.id)
    assert (left.parent_prompt_id, left.source_run_id) == (prompt.id, None)


def test_a_deleted_prompt_can_be_entered_and_deleted_again(catalog: Catalog, outputs: Path) -> None:
    for _ in range(2):
        prompt = add_prompt(catalog)
        plan_deletion(catalog, "prompt", prompt.id, outputs).execute(catalog)
    changes, _ = catalog.changes_since(None)
    assert [(c.id, c.row is None) for c in changes] == [(prompt.id, True)]
    add_prompt(catalog)
    changes, _ = catalog.changes_since(None)
    assert [(c.id, c.row is None) for c in changes] == [(prompt.id, False)]


def test_what_is_being_executed_is_not_deleted(catalog: Catalog, outputs: Path) -> None:
    prompt = add_prompt(catalog)
    run = add_run(catalog, prompt_id=prompt.id, lease=OWNER)
    with pytest.raises(StateError, match="is pending and cannot be deleted"):
        plan_deletion(catalog, "prompt", prompt.id, outputs)
    catalog.claim(run.id, OWNER)
    with pytest.raises(StateError, match="is uploading and cannot be deleted"):
        plan_deletion(catalog, "run", run.id, outputs)
    with pytest.raises(UnknownId):
        plan_deletion(catalog, "run", "rs_nothing", outputs)


def test_a_run_that_starts_after_the_plan_stops_the_deletion(
    catalog: Catalog, outputs: Path
) -> None:
    run = add_run(catalog)
    directory = with_files(outputs, run)
    plan = plan_deletion(catalog, "run", run.id, outputs)
    catalog.claim(run.id, OWNER)
    with pytest.raises(StateError, match="cannot be deleted"):
        plan.execute(catalog)
    assert (directory / "video.mp4").read_bytes() == b"video"
    assert catalog.get_run(run.id).status == "uploading"


def test_a_run_that_is_added_after_the_plan_stops_the_deletion(
    catalog: Catalog, outputs: Path
) -> None:
    prompt = add_prompt(catalog)
    plan = plan_deletion(catalog, "prompt", prompt.id, outputs)
    run = add_run(catalog, prompt_id=prompt.id)
    with pytest.raises(StateError, match="changed meanwhile"):
        plan.execute(catalog)
    assert catalog.get_run(run.id).prompt_id == prompt.id


def test_files_are_back_in_place_if_the_rows_cannot_be_deleted(
    catalog: Catalog, outputs: Path
) -> None:
    run = add_run(catalog)
    directory = with_files(outputs, run)
    with catalog.write() as tx:  # something else that still needs the run
        tx.connection.execute(text("CREATE TABLE keeps (run TEXT REFERENCES runs (id))"))
        tx.connection.execute(text("INSERT INTO keeps VALUES (:id)"), {"id": run.id})
    plan = plan_deletion(catalog, "run", run.id, outputs)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        plan.execute(catalog)
    assert sorted(outputs.iterdir()) == [directory]
    assert (directory / "logs" / "run.log").read_bytes() == b"log"
    assert catalog.get_run(run.id) == run


def test_links_are_removed_but_never_followed(catalog: Catalog, outputs: Path) -> None:
    elsewhere = outputs.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"x" * 1000)
    inside, linked = add_run(catalog), add_run(catalog)
    (with_files(outputs, inside) / "link").symlink_to(elsewhere)
    (outputs / f"run_{linked.id}").symlink_to(elsewhere)
    for run in (inside, linked):
        plan = plan_deletion(catalog, "run", run.id, outputs)
        assert plan.bytes < 1000
        plan.execute(catalog)
    assert list(outputs.iterdir()) == []
    assert (elsewhere / "precious").read_bytes() == b"x" * 1000
