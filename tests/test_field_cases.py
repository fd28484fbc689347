"""Cases from the field, each as it was met: the files in `cases/field/NN`, and what must hold.

Commands run as their users typed them, each in a process of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Said, spawn

CASES = Path(__file__).parent / "cases" / "field"

SENSOR = """
import sys, time
from pathlib import Path
import dagster as dg
from cosmos_pipelines.resources.dagster_resources import resources_of
from cosmos_pipelines.sensors.new_scenes import new_scenes
from cosmos_pipelines.settings import load_settings
settings = load_settings(Path(sys.argv[1]))
requested, cursor = [], None
for _ in range(3):
    resources = {"catalog": resources_of(settings)["catalog"]}
    instance = dg.DagsterInstance.ephemeral()
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = new_scenes(context)
        cursor = getattr(result, "cursor", None) or context.cursor
    requested += [r.partition_key for r in getattr(result, "run_requests", None) or ()]
    time.sleep(1.1)
print(requested)
"""
"""Ticks the sensor of a project; prints the keys of the scenes that it asked for."""


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
    shutil.rmtree(tiny_disk / ".dagster")  # every try takes its part of so small a disk
    again = cosmos(tiny_disk, "run", "latest")
    assert again.code == 0, again.err


@pytest.mark.parametrize("links", [{"archive/all": ".."}, {"latest": ".", "today": "."}])
def test_06_links_that_lead_back_make_no_further_scenes(place: Path, links: dict[str, str]) -> None:
    home = place / "p"
    assert spawn("init", home).code == 0
    scene(home, "city", case("06", "color.mp4"))
    for name, target in links.items():
        link = home / "inputs" / "videos" / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
    done = subprocess.run(
        [sys.executable, "-c", SENSOR, home],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["['city']"], done.stderr
