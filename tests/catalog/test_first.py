"""The catalog's file: made whole or not at all, and nothing else is taken for it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.errors import InputError

OPEN = "import sys; from cosmos_pipelines.catalog import Catalog; Catalog.open(sys.argv[1])"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "cosmos.db"


def opened(path: Path) -> Catalog:
    return Catalog.open(f"sqlite:///{path}")


def files(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}


def refused(path: Path) -> str:
    """The line in which a file is refused as a catalog; all is left as it was."""
    before = files(path.parent)
    with pytest.raises(InputError) as e:
        opened(path)
    assert files(path.parent) == before
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)
    return str(e.value)


def test_an_emptied_catalog_is_not_taken_for_a_new_one(path: Path) -> None:
    opened(path).close()
    path.write_bytes(b"")
    said = refused(path)
    assert "has 0 bytes: the file was emptied" in said
    assert "Restore a backup, or remove the file to start a new catalog." in said


def test_what_an_emptied_catalog_has_beside_it_is_not_lost(path: Path) -> None:
    """SQLite removes the log of a database that has 0 bytes as soon as it is opened."""
    with opened(path) as catalog:
        catalog.add_prompt("fog", None, "city", "name", {})
        log = path.with_name("cosmos.db-wal")
        kept = log.read_bytes()
        assert kept
    path.write_bytes(b"")
    log.write_bytes(kept)
    assert "cosmos.db-wal" in refused(path)
    path.unlink()
    said = refused(path)
    assert "cosmos.db-wal exists" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no database" * 1000, "is not an SQLite database"),
        (b"\x89PNG\r\n\x1a\n" + bytes(5000), "is not an SQLite database"),
        (b"x", "is not an SQLite database"),
        (b"SQLite format 3\0", "is not an SQLite database"),
    ],
)
def test_another_file_is_not_taken_for_a_catalog(path: Path, content: bytes, said: str) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    told = refused(path)
    assert said in told
    assert "Restore a backup, or remove the file to start a new catalog." in told


def test_the_database_of_another_program_is_not_taken_for_a_catalog(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE moz_places (url TEXT)")
        other.execute("INSERT INTO moz_places VALUES ('mine')")
    other.close()
    said = refused(path)
    assert "has tables of another program (moz_places)" in said
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT * FROM moz_places").fetchall() == [("mine",)]
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
    other.close()


def test_what_is_no_file_is_not_taken_for_a_catalog(path: Path) -> None:
    path.mkdir(parents=True)
    assert "is a directory" in refused(path)
    path.rmdir()
    os.mkfifo(path)
    assert "is a pipe" in refused(path)
    path.unlink()
    path.symlink_to(path)
    assert "cannot be opened" in refused(path)


def test_an_empty_database_of_an_interrupted_older_version_becomes_a_catalog(path: Path) -> None:
    path.parent.mkdir()
    made = sqlite3.connect(path)
    made.execute("PRAGMA journal_mode = WAL")
    made.close()
    assert path.stat().st_size > 0
    with opened(path) as catalog:
        assert catalog.list_prompts() == []


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_a_first_creation_that_was_killed_at_any_time_is_made_up_for(
    path: Path, share: float
) -> None:
    """Until it has its name there is no catalog; then it is whole."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", OPEN, f"sqlite:///{path}"], check=True)
    took = time.monotonic() - began
    for file in path.parent.iterdir():
        file.unlink()
    child = subprocess.Popen([sys.executable, "-c", OPEN, f"sqlite:///{path}"])
    time.sleep(took * share)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with opened(path) as catalog:
        catalog.add_prompt("fog", None, "city", "name", {})
    assert {p.name for p in path.parent.iterdir()} <= {"cosmos.db"}


def test_a_new_catalog_has_its_log_ahead_and_readers_go_on(path: Path) -> None:
    with opened(path) as catalog, catalog.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_catalog_that_is_opened_twice_loses_nothing_when_another_process_closes_it(
    tmp_path: Path,
) -> None:
    """The second opening used to give up the locks of the first; its log was removed under it."""
    url = f"sqlite:///{tmp_path / 'cosmos.db'}"
    look = (
        "import sys; from cosmos_pipelines.catalog.store import Catalog\n"
        "with Catalog.open(sys.argv[1]) as catalog:\n"
        "    print(*(run.id for run in catalog.list_runs(limit=None)))"
    )

    def seen_elsewhere() -> set[str]:
        words = [sys.executable, "-c", look, url]
        return set(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())

    with Catalog.open(url) as first:
        made = {first.add_run("transfer", "preview", "local", {}).id}
        with Catalog.open(url) as second:
            assert {run.id for run in second.list_runs()} == made
        assert seen_elsewhere() == made
        made.add(first.add_run("transfer", "preview", "local", {}).id)
        assert seen_elsewhere() == made
    assert seen_elsewhere() == made
