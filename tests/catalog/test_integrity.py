from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import text

from cosmos_pipelines.catalog import Catalog, Run
from cosmos_pipelines.catalog.integrity import Problem, fix, verify
from cosmos_pipelines.files import part_of
from tests.catalog.rows import OWNER, add_run, complete


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    root.mkdir()
    return root


def finished(catalog: Catalog, outputs: Path, content: bytes = b"video") -> tuple[Run, Path]:
    digest = hashlib.sha256(content).hexdigest()
    run = complete(catalog, add_run(catalog), sha256=digest, size=len(content))
    directory = outputs / f"run_{run.id}"
    directory.mkdir()
    (directory / "video.mp4").write_bytes(content)
    return run, directory / "video.mp4"


def kinds(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.kind, problem.id) for problem in problems]


def test_a_sound_catalog_has_no_problems(catalog: Catalog, outputs: Path) -> None:
    finished(catalog, outputs)
    run = add_run(catalog)
    catalog.claim(run.id, OWNER)
    (outputs / f"run_{run.id}").mkdir()
    (outputs / f"run_{run.id}" / "video.mp4.part").touch()
    assert verify(catalog, outputs, deep=True) == []
    assert verify(catalog, outputs / "nothing") != []


def test_missing_short_and_changed_results_are_told(catalog: Catalog, outputs: Path) -> None:
    missing, file = finished(catalog, outputs)
    file.unlink()
    short, file = finished(catalog, outputs)
    file.write_bytes(b"vid")
    changed, file = finished(catalog, outputs)
    file.write_bytes(b"VIDEO")
    found = kinds(verify(catalog, outputs))
    assert sorted(found) == [("output_missing", missing.id), ("output_size", short.id)]
    assert ("output_hash", changed.id) in kinds(verify(catalog, outputs, deep=True))
    assert fix(catalog, verify(catalog, outputs, deep=True)) == []


def test_a_recorded_path_outside_of_the_run_s_directory_counts_as_missing(
    catalog: Catalog, outputs: Path
) -> None:
    run, _ = finished(catalog, outputs)
    (outputs.parent / "secret").write_bytes(b"video")
    for path in ("/etc/passwd", f"outputs/run_{run.id}/../../secret"):
        with catalog.write() as tx:
            statement = text("UPDATE runs SET outputs = :o")
            tx.connection.execute(statement, {"o": json.dumps({"video": path})})
        assert kinds(verify(catalog, outputs)) == [("output_missing", run.id)]


def test_a_completed_run_without_outputs_is_told(catalog: Catalog, outputs: Path) -> None:
    run, _ = finished(catalog, outputs)
    with catalog.write() as tx:
        tx.connection.execute(text("UPDATE runs SET outputs = '{}'"))
    assert kinds(verify(catalog, outputs)) == [("no_outputs", run.id)]


def test_a_run_in_work_that_nobody_holds_is_told_but_left_for_adoption(
    catalog: Catalog, outputs: Path
) -> None:
    run = add_run(catalog)
    catalog.claim(run.id, OWNER, lease_s=0)
    problems = verify(catalog, outputs)
    assert kinds(problems) == [("lost", run.id)]
    assert fix(catalog, problems) == []


def test_a_directory_without_a_row_is_moved_aside_not_removed(
    catalog: Catalog, outputs: Path
) -> None:
    stray = outputs / f"run_rs_{'0' * 32}"
    for content in ("first", "second"):
        stray.mkdir()
        (stray / "video.mp4").write_text(content)
        problems = verify(catalog, outputs)
        assert kinds(problems) == [("stray_directory", stray.name)]
        assert fix(catalog, problems) == problems
        assert verify(catalog, outputs) == []
        assert fix(catalog, problems) == []
    kept = outputs / ".stray"
    assert (kept / stray.name / "video.mp4").read_text() == "first"
    assert (kept / f"{stray.name}.2" / "video.mp4").read_text() == "second"


def test_a_directory_that_gets_its_row_before_the_fix_stays(
    catalog: Catalog, outputs: Path
) -> None:
    run_id = "rs_" + "0" * 32
    (outputs / f"run_{run_id}").mkdir()
    problems = verify(catalog, outputs)
    add_run(catalog, run_id=run_id)
    assert fix(catalog, problems) == []
    assert (outputs / f"run_{run_id}").is_dir()


def test_unfinished_files_of_ended_runs_are_removed(catalog: Catalog, outputs: Path) -> None:
    run, file = finished(catalog, outputs)
    part, folder = part_of(file), part_of(file.with_name("diagnostics"))
    part.touch()
    folder.mkdir()
    (folder / "run.json").touch()
    problems = verify(catalog, outputs)
    assert {(p.kind, p.id, p.path) for p in problems} == {
        ("leftover", run.id, str(left)) for left in (part, folder)
    }
    assert json.loads(json.dumps(problems[0].as_dict()))["fix"] == "remove"
    assert fix(catalog, problems) == problems
    assert sorted(file.parent.iterdir()) == [file]


def test_an_interrupted_deletion_is_undone_or_finished(catalog: Catalog, outputs: Path) -> None:
    run, file = finished(catalog, outputs)
    file.parent.rename(outputs / f".deleting-run_{run.id}")
    (outputs / f".deleting-run_rs_{'0' * 32}").mkdir()
    problems = verify(catalog, outputs)
    assert {(p.kind, p.fix) for p in problems if p.fix} == {
        ("set_aside", "put back"),
        ("set_aside", "remove"),
    }
    fix(catalog, problems)
    assert sorted(outputs.iterdir()) == [file.parent]
    assert verify(catalog, outputs) == []
