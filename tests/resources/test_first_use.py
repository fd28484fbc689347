"""Several processes use a project's Dagster instance for the first time, at the same moment."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos_pipelines.doctor.here import dagster
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.resources.first_use import LAST
from cosmos_pipelines.resources.instance import TEMPLATE, instance_directory, open_instance
from cosmos_pipelines.settings import Settings
from tests.support.together import EIGHT, meet, together

WELL = [0] * EIGHT
ROUNDS = 3


def open_each(number: int, *homes: str) -> None:
    """Open the new instances, one after the other, each together with the other processes."""
    for home in homes:
        meet(Path(f"{home}.meeting"), number)
        with open_instance(Settings(home=Path(home)), captures=False) as instance:
            assert instance.get_runs_count() == 0


def new_homes(place: Path, count: int = ROUNDS) -> list[Path]:
    homes = [place / str(n) for n in range(count)]
    for home in homes:
        Path(f"{home}.meeting").mkdir()
    return homes


def test_eight_processes_open_a_new_instance_at_once(tmp_path: Path) -> None:
    homes = new_homes(tmp_path)
    assert together(f"{__name__}:{open_each.__name__}", *homes) == WELL
    for home in homes:
        assert dagster(Settings(home=home)).result == "ok"
        made = {path.name for path in (home / ".dagster").iterdir()}
        assert made == {"dagster.yaml", "history", "schedules"}


def test_eight_processes_open_a_new_instance_in_postgresql_at_once(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url)
    (home,) = new_homes(tmp_path, 1)
    (home / ".dagster").mkdir(parents=True)
    shutil.copyfile(TEMPLATE.with_name("dagster-postgres.yaml"), home / ".dagster" / "dagster.yaml")
    assert together(f"{__name__}:{open_each.__name__}", home) == WELL
    assert dagster(Settings(home=home)).result == "ok"


KILLED_BEFORE_ITS_LAST_NAME = f"""
import os, signal, sys
from pathlib import Path
rename = Path.rename
def rename_or_die(self, target):
    if self.name == "{LAST}":
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = rename_or_die
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings
with open_instance(Settings(home=Path(sys.argv[1])), captures=False):
    pass
"""


def test_a_process_that_is_killed_in_the_first_use_leaves_nothing_that_counts(
    tmp_path: Path,
) -> None:
    words = [sys.executable, "-c", KILLED_BEFORE_ITS_LAST_NAME, str(tmp_path)]
    assert subprocess.run(words, env=os.environ, check=False).returncode == -signal.SIGKILL
    directory = tmp_path / ".dagster"
    assert any(path.name.endswith(".part") for path in directory.iterdir())
    with open_instance(Settings(home=tmp_path), captures=False) as instance:
        assert instance.get_runs_count() == 0
    assert {path.name for path in directory.iterdir()} == {"dagster.yaml", "history", "schedules"}


def test_databases_that_two_processes_of_an_earlier_version_broke_are_told_with_the_way_out(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path)
    with open_instance(settings, captures=False):
        pass
    with sqlite3.connect(instance_directory(settings) / "history" / "runs.db") as database:
        database.execute("INSERT INTO alembic_version VALUES ('5771160a95ad')")
    with pytest.raises(CosmosError, match=r"cannot be opened: .*more than one head") as e:
        dagster(settings)
    aside = f"`mv {tmp_path}/.dagster {tmp_path}/.dagster.broken`"
    assert aside in (e.value.hint or "")
    (tmp_path / ".dagster").rename(tmp_path / ".dagster.broken")
    with open_instance(settings, captures=False) as instance:
        assert instance.get_runs_count() == 0


def test_a_project_without_records_is_no_fault(tmp_path: Path) -> None:
    assert dagster(Settings(home=tmp_path)).found.startswith("none yet")
    assert list(tmp_path.iterdir()) == []
