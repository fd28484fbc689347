"""Cases from the field, each as it was met: the files in `cases/field/NN`, and what must hold.

Commands run as their users typed them, each in a process of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Said, spawn

CASES = Path(__file__).parent / "cases" / "field"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty directory to work in."""
    return tmp_path


def case(number: str, name: str) -> Path:
    """A file of a case."""
    return CASES / number / name


def cosmos(home: Path, *words: object) -> Said:
    """A command on a project."""
    return spawn("--home", home, *words)


def scene(home: Path, name: str, *files: Path) -> Path:
    """A scene directory of a project with these files."""
    directory = home / "inputs" / "videos" / name
    directory.mkdir(parents=True)
    for file in files:
        shutil.copy(file, directory)
    return directory


def test_14_a_project_that_was_moved_works_at_once(place: Path) -> None:
    home = place / "p"
    assert spawn("init", home).code == 0
    scene(home, "town", case("14", "color.mp4"))
    assert cosmos(home, "create", "prompt", "first street", "town", "--name", "one").code == 0
    home = home.rename(place / "elsewhere")
    for words in (
        ("inference", "one", "--dry-run"),
        ("verify", "--fix"),
        ("create", "prompt", "third street", "town"),
        ("inference", "one", "--dry-run"),
    ):
        said = cosmos(home, *words)
        assert (said.code, "There is no" in said.err) == (0, False), said.err


def test_16_a_disk_that_fills_under_dagster_s_records_is_told_in_one_line(tiny_disk: Path) -> None:
    assert spawn("init", tiny_disk).code == 0
    scene(tiny_disk, "town", case("16", "color.mp4"))
    assert cosmos(tiny_disk, "create", "prompt", "first street", "town", "--name", "one").code == 0
    filler = tiny_disk / "filler"
    filler.write_bytes(bytes(1_300_000))
    said = cosmos(tiny_disk, "inference", "one", "--num-steps", "5")
    assert said.code == 1
    assert "unexpected" not in said.err
    assert "no room is left" in said.error or "disk_full" in said.error
    told = cosmos(tiny_disk, "why", "latest", "--json").json
    assert told["error_kind"] == "disk_full"
    filler.unlink()
    (tiny_disk / ".dagster").rename(tiny_disk / ".dagster-full")
    shutil.rmtree(tiny_disk / ".dagster-full")
    again = cosmos(tiny_disk, "run", "latest")
    assert again.code == 0, again.err
