"""What `cosmos clean` removes here and of Dagster's records, and what it never does."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cosmos_pipelines.assets.partitions import PROMPTS, VIDEOS
from cosmos_pipelines.assets.recheck import RECHECK
from cosmos_pipelines.catalog.deletion import plan_deletion
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.operate.clean import clean
from cosmos_pipelines.resources.instance import TEMPLATE, open_instance
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.scene_state import scene_preview
from tests.runs.test_execute import elsewhere, pending
from tests.support.dagster_project import metadata_of, run_job
from tests.support.project import Project
from tests.support.together import meet, together
from tests.support.waiting import until


@pytest.fixture
def project(staged: Project) -> Project:
    return staged


MONTH = 30 * 24 * 3600


def cleaned(project: Project, older_s: float = 0, *, dry_run: bool = False) -> dict[str, set[str]]:
    """What a clean removes, by kind."""
    done = clean(project.catalog, project.settings, older_s, dry_run=dry_run)
    assert done.problems == []
    found: dict[str, set[str]] = {}
    for one in done.removed:
        found.setdefault(one.kind, set()).add(one.id)
    return found


def test_records_of_ended_loads_go_after_a_while_and_a_dry_run_says_which(
    project: Project,
) -> None:
    run = project.catalog.add_run("transfer", "stand_in", "local", {}, queued=True)
    load = project.catalog.claim_load(NewLoad("local", "stand_in", "transfer", (run.id,)), "us")
    assert load is not None
    project.catalog.end_load(load.id)
    assert cleaned(project, MONTH) == {}
    assert cleaned(project, dry_run=True) == {"ended loads": {load.id}}
    assert cleaned(project) == {"ended loads": {load.id}}
    assert cleaned(project) == {}
    assert [one.id for one in project.catalog.ready_runs()] == [run.id]


def execute(project: Project, *texts: str) -> list[Any]:
    runs = [pending(project, text) for text in texts]
    return execute_runs([run.id for run in runs], catalog=project.catalog,
                        settings=project.settings, backend=project.backend)  # fmt: skip


def files_below(directory: Path) -> dict[str, int]:
    return {str(p): p.lstat().st_mtime_ns for p in directory.rglob("*") if not p.is_dir()}


def test_a_dry_run_says_what_a_clean_then_removes_and_removes_nothing(project: Project) -> None:
    (done,) = execute(project, "works")
    before = files_below(project.settings.home / ".cosmos" / "host")
    said = cleaned(project, dry_run=True)
    assert files_below(project.settings.home / ".cosmos" / "host") == before
    assert len(said["inputs"]) == 3
    assert cleaned(project) == said
    assert list(project.backend.cas.iterdir()) == []
    assert cleaned(project) == {}
    assert project.run_directory(done).joinpath("video.mp4").is_file()


def test_what_was_used_lately_stays(project: Project) -> None:
    execute(project, "works", "crash")
    assert cleaned(project, MONTH) == {}
    assert len(list(project.backend.cas.iterdir())) == 3


def test_a_failed_run_loses_its_folder_and_is_executed_again(project: Project) -> None:
    (failed,) = execute(project, "crash")
    assert cleaned(project)["ended orders"] == {failed.batch_id}
    assert project.backend.kept() == []
    (again,) = execute_runs([failed.id], catalog=project.catalog, settings=project.settings,
                            backend=project.backend)  # fmt: skip
    assert (again.status, again.attempt) == ("failed", 2)


@pytest.mark.parametrize("kind", ["lost", "unreachable", "disk_full", "cancelled", "launch_failed"])
def test_an_order_whose_result_may_still_be_collected_stays(project: Project, kind: str) -> None:
    (failed,) = execute(project, "crash")
    with project.catalog.write() as tx:
        tx.connection.exec_driver_sql(f"UPDATE runs SET error_kind = '{kind}'")
    assert "ended orders" not in cleaned(project)
    assert [order.order_id for order in project.backend.kept()] == [failed.batch_id]


def test_a_run_in_work_keeps_its_folder_and_inputs_also_if_its_process_died(
    project: Project,
) -> None:
    run = pending(project, "hang")
    with elsewhere(project, run) as process:
        until(lambda: project.backend.active() == [run.id], "its order")
        assert cleaned(project) == {}
        process.send_signal(signal.SIGKILL)
    assert cleaned(project) == {}
    assert project.backend.active() == [run.id]
    assert len(list(project.backend.cas.iterdir())) == 3


def test_the_folder_of_a_deleted_run_goes_and_that_of_another_catalog_stays(
    project: Project, tmp_path: Path
) -> None:
    (failed,) = execute(project, "crash")
    other = Catalog.open(f"sqlite:///{tmp_path}/other.db")
    with closing(other):
        assert cleaned(replace(project, catalog=other)).get("ended orders") is None
    plan_deletion(project.catalog, "run", failed.id, project.settings.outputs).execute(
        project.catalog
    )
    assert cleaned(project)["ended orders"] == {failed.batch_id}


def test_nothing_is_removed_through_a_link_or_beside_our_directories(
    project: Project, tmp_path: Path
) -> None:
    execute(project, "crash")
    outside = tmp_path / "outside"
    outside.mkdir()
    kept = outside / ("0" * 64)
    kept.write_text("not ours")
    (project.backend.cas / ("1" * 64)).symlink_to(kept)
    (project.backend.runs / "rs_link").symlink_to(outside)
    (project.settings.outputs / "previews" / "scenes" / "link.webp").symlink_to(kept)
    mine = project.settings.home / "mine.txt"
    mine.write_text("the user's")
    scene = files_below(project.settings.inputs)
    cleaned(project)
    assert kept.read_text() == "not ours"
    assert mine.exists()
    assert files_below(project.settings.inputs) == scene


def test_the_picture_of_a_scene_that_is_gone_from_the_catalog_is_removed(project: Project) -> None:
    execute(project, "works")
    kept = scene_preview(project.settings, "city")
    gone = scene_preview(project.settings, "village")
    gone.write_bytes(kept.read_bytes())
    assert cleaned(project)["scene pictures"] == {gone.name}
    assert kept.is_file()


def test_an_input_that_is_removed_while_a_run_is_prepared_is_kept_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cosmos_pipelines.remote.files import cas

    place = cas.place
    cleans = iter([True])

    def cleaned_before(kept: Path, target: Path) -> None:
        if next(cleans, False):
            assert len(cleaned(project)["inputs"]) == 3
        place(kept, target)

    monkeypatch.setattr(cas, "place", cleaned_before)
    (done,) = execute(project, "works")
    assert done.status == "completed"


def clean_at_once(number: int, home: str, place: str) -> int:
    """A clean in one of several processes."""
    from cosmos_pipelines.settings import load_settings

    settings = load_settings(Path(home))
    with Catalog.open(settings.catalog_url) as catalog:
        meet(Path(place), number, 3)
        return len(clean(catalog, settings, 0).problems)


def test_several_cleans_at_once_remove_everything_once(project: Project, tmp_path: Path) -> None:
    execute(project, *["crash"] * 4)
    materialize_runs(project.catalog, project.settings, [pending(project, "works").id])
    place = tmp_path / "meet"
    place.mkdir()
    act = "tests.operate.test_clean:clean_at_once"
    assert together(act, project.settings.home, place, count=3) == [0, 0, 0]
    assert project.backend.kept() == []
    assert cleaned(project) == {}


# Dagster's records


def dagster_files(project: Project) -> set[str]:
    directory = project.settings.dagster_dir / "history" / "runs"
    return {p.stem for p in directory.glob("*-*.db")}


def test_a_dagster_run_whose_video_the_page_shows_keeps_every_event_in_a_smaller_file(
    project: Project,
) -> None:
    (run,) = materialize_runs(project.catalog, project.settings, [pending(project, "works").id])
    assert run.dagster_run_id
    file = project.settings.dagster_dir / "history" / "runs" / f"{run.dagster_run_id}.db"
    with open_instance(project.settings) as instance:
        before = instance.all_logs(run.dagster_run_id)
        shown = metadata_of(instance, VIDEOS, run.id)
    size = file.stat().st_size
    assert cleaned(project, MONTH) == {}
    assert cleaned(project)["dagster files"] == {run.dagster_run_id}
    assert file.stat().st_size < size / 2
    with open_instance(project.settings) as instance:
        assert instance.all_logs(run.dagster_run_id) == before
        assert metadata_of(instance, VIDEOS, run.id) == shown
        assert instance.get_run_by_id(run.dagster_run_id) is not None
    assert cleaned(project) == {}


def test_a_dagster_run_goes_when_a_later_one_made_the_partition(project: Project) -> None:
    run = pending(project, "fail")
    (first,) = materialize_runs(project.catalog, project.settings, [run.id])
    failed = first.dagster_run_id
    assert "dagster runs" not in cleaned(project)  # the page says that it failed
    assert failed in dagster_files(project)
    with project.catalog.write() as tx:
        tx.connection.exec_driver_sql("UPDATE prompts SET text = 'works'")
    (again,) = materialize_runs(project.catalog, project.settings, [run.id])
    assert (again.status, again.error_message) == ("completed", None)
    assert cleaned(project)["dagster runs"] == {failed}
    assert dagster_files(project) == {again.dagster_run_id}
    with open_instance(project.settings) as instance:
        assert [one.run_id for one in instance.get_runs()] == [again.dagster_run_id]
        assert run.id in metadata_of(instance, VIDEOS, run.id)["run"]


def test_the_dagster_run_of_a_deleted_run_goes(project: Project) -> None:
    (run,) = materialize_runs(project.catalog, project.settings, [pending(project, "works").id])
    plan_deletion(project.catalog, "run", run.id, project.settings.outputs).execute(project.catalog)
    assert cleaned(project)["dagster runs"] == {run.dagster_run_id}
    assert dagster_files(project) == set()
    with open_instance(project.settings) as instance:
        assert instance.get_runs() == []
        assert "[city](" in metadata_of(instance, PROMPTS, run.prompt_id or "")["scene"]


def test_what_checks_said_outlives_their_dagster_run(project: Project) -> None:
    (run,) = materialize_runs(project.catalog, project.settings, [pending(project, "works").id])
    key = dg.AssetCheckKey(VIDEOS, "up_to_date")
    with open_instance(project.settings) as instance:
        done = run_job(project, instance, RECHECK, "compare_again", runs=[run.id])
        before = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        assert before.run_id == done.run_id
    assert cleaned(project)["dagster runs"] == {done.run_id}
    with open_instance(project.settings) as instance:
        after = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert after == before


@dg.op(config_schema={"run_ids": [str]})
def nothing() -> None: ...


@dg.job
def some() -> None:
    nothing()


@pytest.mark.parametrize("status", ["FAILURE", "CANCELED", "STARTED", "NOT_STARTED"])
def test_a_dagster_run_that_concerns_a_pending_run_or_has_not_ended_stays(
    project: Project, status: str
) -> None:
    run = pending(project, "works")
    words = {"ops": {"nothing": {"config": {"run_ids": [run.id]}}}}
    with open_instance(project.settings) as instance:
        made = instance.create_run_for_job(
            some, run_config=words, status=dg.DagsterRunStatus[status]
        )
        instance.report_engine_event("so that it has a file", made)
    assert cleaned(project) == {}
    project.catalog.cancel_pending(run.id)
    ended = status in ("FAILURE", "CANCELED")
    assert cleaned(project) == ({"dagster runs": {made.run_id}} if ended else {})


def test_what_an_interrupted_clean_left_of_a_dagster_run_is_removed_by_the_next(
    project: Project,
) -> None:
    with open_instance(project.settings) as instance:
        words = {"ops": {"nothing": {"config": {"run_ids": []}}}}
        made = instance.create_run_for_job(
            some, run_config=words, status=dg.DagsterRunStatus.FAILURE
        )
        instance.report_engine_event("so that it has a file", made)
        captured = Path(instance.storage_directory(), made.run_id, "compute_logs", "some.out")
        captured.parent.mkdir(parents=True)
        captured.write_text("said")
        instance.delete_run(made.run_id)  # and no further
    assert made.run_id in dagster_files(project)
    removed = cleaned(project)
    assert removed["dagster runs"] | removed["captured output"] == {made.run_id}
    assert dagster_files(project) == set()
    assert not captured.exists()


def test_a_dagster_file_that_another_process_writes_is_told_and_stops_nothing_else(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cosmos_pipelines.resources import old_runs

    monkeypatch.setattr(old_runs, "LOCKED_S", 0.1)
    (run,) = materialize_runs(project.catalog, project.settings, [pending(project, "works").id])
    file = project.settings.dagster_dir / "history" / "runs" / f"{run.dagster_run_id}.db"
    captured = project.settings.dagster_dir / "storage" / str(run.dagster_run_id) / "x.err"
    captured.parent.mkdir(parents=True)
    captured.write_text("said")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = clean(project.catalog, project.settings, 0)
        assert {one.kind for one in done.removed} == {"inputs", "captured output"}
        assert "cannot be packed" in done.problems[0]
    assert cleaned(project)["dagster files"] == {run.dagster_run_id}


def test_what_dagster_captured_of_old_runs_goes_and_the_models_log_stays(project: Project) -> None:
    (run,) = materialize_runs(project.catalog, project.settings, [pending(project, "works").id])
    assert run.dagster_run_id
    with open_instance(project.settings) as instance:
        captured = Path(instance.storage_directory(), run.dagster_run_id, "compute_logs", "x.err")
    captured.parent.mkdir(parents=True)
    captured.write_text("said")
    assert cleaned(project)["captured output"] == {run.dagster_run_id}
    assert not captured.exists()
    assert (project.run_directory(run) / "logs" / "run.log").is_file()


def test_old_dagster_runs_go_from_postgresql_too(
    project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url)
    project.settings.dagster_dir.mkdir()
    shutil.copyfile(
        TEMPLATE.with_name("dagster-postgres.yaml"), project.settings.dagster_dir / "dagster.yaml"
    )
    (kept, gone) = (
        materialize_runs(project.catalog, project.settings, [pending(project, "works").id])[0]
        for _ in range(2)
    )
    assert cleaned(project).keys() == {"inputs"}
    outputs = project.settings.outputs
    plan_deletion(project.catalog, "run", gone.id, outputs).execute(project.catalog)
    assert cleaned(project) == {"dagster runs": {gone.dagster_run_id}}
    with open_instance(project.settings) as instance:
        assert [run.run_id for run in instance.get_runs()] == [kept.dagster_run_id]
        assert instance.all_logs(gone.dagster_run_id or "") == []
        assert kept.id in metadata_of(instance, VIDEOS, kept.id)["run"]
        assert metadata_of(instance, VIDEOS, gone.id) == {}
