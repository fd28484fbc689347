"""What is left half-made goes, and what somebody is making stays."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosmos_pipelines import identity
from cosmos_pipelines.files import part_of, remove, sweep_parts, write_text
from cosmos_pipelines.identity import own_identity
from tests.support.processes import CONTAINER, needs, python_in
from tests.test_files import names, python


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A directory where a process was killed while it wrote the file `a`."""
    code = (
        "import time\nwith writing(place / 'a') as part:\n"
        "    part.write_text('half'); print('there', flush=True); time.sleep(60)"
    )
    process = python(code, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    write_text(tmp_path / "a", "meanwhile")
    assert len(names(tmp_path)) == 2, "what a living process is making was removed"
    sweep_parts(tmp_path)
    assert len(names(tmp_path)) == 2, "what a living process is making was removed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [name.endswith(".part") for name in names(tmp_path)] == [False, True]
    return tmp_path


def test_what_a_killed_process_left_is_swept(killed: Path) -> None:
    write_text(killed / "b", "of another file")
    assert len(names(killed)) == 3
    sweep_parts(killed)
    assert names(killed) == ["a", "b"]
    assert (killed / "a").read_text() == "meanwhile"


def test_the_journal_that_sqlite_left_beside_a_half_made_database_is_swept_too(
    killed: Path,
) -> None:
    (part,) = killed.glob("*.part")
    part.with_name(f"{part.name}-journal").touch()
    mine = part_of(killed / "a")
    mine.with_name(f"{mine.name}-journal").touch()
    sweep_parts(killed)
    assert names(killed) == ["a", f"{mine.name}-journal"]


def test_what_a_killed_process_left_goes_when_the_file_is_written_again(killed: Path) -> None:
    write_text(killed / "a", "new")
    assert names(killed) == ["a"]


def test_what_another_machine_left_is_swept_after_a_day(tmp_path: Path) -> None:
    gone = python("pass", tmp_path)
    gone.communicate()
    day = time.time() - 24 * 3600
    for name, age in (("young", day + 60), ("old", day - 60)):
        part = tmp_path / f"{name}.0badcafe-00000000.{gone.pid}.part"
        part.touch()
        os.utime(part, (age, age))
    others = ["a.part", "video.mp4.0123456789ab.part", f"a.{'9' * 30}.part", "a.x.1.part"]
    for name in others:
        (tmp_path / name).touch()
    sweep_parts(tmp_path)
    assert names(tmp_path) == sorted([*others, f"young.0badcafe-00000000.{gone.pid}.part"])


def test_what_a_process_of_another_container_is_making_stays(tmp_path: Path) -> None:
    """It has the same host name; its process id is of nobody here."""
    code = (
        "import sys; from pathlib import Path; from cosmos_pipelines.files import *\n"
        "with writing(Path(sys.argv[1]) / 'a') as part:\n"
        "    part.write_text('whole'); print('there', flush=True); sys.stdin.read()"
    )
    process = python_in(needs(CONTAINER), code, str(tmp_path))
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    write_text(tmp_path / "a", "meanwhile")
    sweep_parts(tmp_path)
    assert len(names(tmp_path)) == 2, "what a living process is making was removed"
    process.communicate()
    assert process.returncode == 0
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "whole"


def test_what_was_left_half_made_goes_although_another_process_has_its_id_now(
    tmp_path: Path,
) -> None:
    own = part_of(tmp_path / "a")
    started = own_identity().started
    earlier = own.with_name(own.name.replace(f"-{started}.part", f"-{started - 1}.part"))
    for part in (own, earlier):
        part.touch()
    sweep_parts(tmp_path)
    assert names(tmp_path) == [own.name]


@pytest.mark.parametrize("place", [0, 1], ids=["another boot", "another container"])
def test_what_an_unknown_process_left_is_swept_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    boot, space = own_identity().boot_id, own_identity().space
    there = [("another boot", space), (boot, "1.1")][place]
    monkeypatch.setattr(identity, "_here", lambda: there)
    part = part_of(tmp_path / "a")
    monkeypatch.undo()
    part.touch()
    sweep_parts(tmp_path)
    assert names(tmp_path) == [part.name]
    os.utime(part, (0, 0))
    sweep_parts(tmp_path)
    assert names(tmp_path) == []


def test_half_made_directories_are_swept_too(tmp_path: Path) -> None:
    code = "made = part_of(place / 'run'); made.mkdir(); (made / 'x').touch()"
    python(code, tmp_path).wait()
    assert len(names(tmp_path)) == 1
    sweep_parts(tmp_path, "other")
    assert len(names(tmp_path)) == 1
    sweep_parts(tmp_path, "run")
    assert names(tmp_path) == []


def test_a_link_is_removed_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("link", "nothing", "nothing/at/all"):
        remove(tmp_path / name)
    assert names(tmp_path) == ["kept"]
    remove(tmp_path / "kept")
    assert names(tmp_path) == []


def test_several_may_remove_the_same_directory(tmp_path: Path) -> None:
    for a, b in itertools.product(range(20), range(20)):
        (tmp_path / "all" / str(a) / str(b)).mkdir(parents=True)
    start = threading.Barrier(8)

    def act(_: int) -> None:
        start.wait()
        remove(tmp_path / "all")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(8)))
    assert names(tmp_path) == []
