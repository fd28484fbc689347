"""Download from a real sshd: whole and verified, or not at all."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.errors import DiskFull, LinkLost, OutputMissing
from cosmos_pipelines.remote.files import download, meter
from cosmos_pipelines.remote.files.meter import TransferProgress
from cosmos_pipelines.remote.files.transfer import (
    LocalFile,
    Wanted,
    get_file,
    get_files,
)
from cosmos_pipelines.remote.ssh.connection import Connection
from tests.support.contents import random_file
from tests.support.sshd import Sshd
from tests.support.waiting import LONG_S

MIB = 1 << 20


@pytest.fixture
def there(tmp_path: Path) -> Path:
    place = tmp_path / "there"
    place.mkdir()
    return place


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture(autouse=True)
def _every_step_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "EVERY_S", 0.0)


def fetch(
    way: Connection,
    file: LocalFile,
    here: Path,
    report: Callable[[TransferProgress], None] | None = None,
) -> None:
    get_file(way, str(file.path), here / "a.mp4", file.sha256, report)


def files_in(place: Path) -> list[str]:
    return sorted(p.name for p in place.rglob("*"))


def test_files_of_any_name_and_size_come_in_one_stream(
    way: Connection, there: Path, here: Path
) -> None:
    sizes = (0, 1, 70_000, 3 * MIB, 0, 5 * MIB + 1)
    files = [random_file(there / f"-n '\"$(id)\n{i}", n) for i, n in enumerate(sizes)]
    wanted = [Wanted(str(f.path), here / "x" / str(i), f.sha256) for i, f in enumerate(files)]
    seen: list[TransferProgress] = []
    get_files(way, wanted, seen.append)
    assert [w.local.read_bytes() for w in wanted] == [f.path.read_bytes() for f in files]
    assert files_in(here) == [*map(str, range(6)), "x"]
    assert (seen[-1].done, seen[-1].total) == (sum(sizes), sum(sizes))


def test_what_is_here_is_not_brought_again(loop: Connection, there: Path, here: Path) -> None:
    file = random_file(there / "a", 1000)
    fetch(loop, file, here)
    file.path.unlink()
    fetch(loop, file, here)
    assert files_in(here) == ["a.mp4"]


def test_a_file_with_the_longest_name_that_there_is_comes(
    loop: Connection, there: Path, here: Path
) -> None:
    file = random_file(there / "a", 1000)
    local = here / ("夜" * 84 + "mp4")
    get_file(loop, str(file.path), local, file.sha256)
    assert local.read_bytes() == file.path.read_bytes()


def test_a_file_here_with_other_content_is_replaced(
    loop: Connection, there: Path, here: Path
) -> None:
    file = random_file(there / "a", 1000)
    here.mkdir()
    (here / "a.mp4").write_bytes(b"old")
    fetch(loop, file, here)
    assert (here / "a.mp4").read_bytes() == file.path.read_bytes()


def test_after_a_cut_it_goes_on_where_it_was(
    way: Connection, there: Path, here: Path, sshd: Sshd
) -> None:
    file = random_file(there / "a", 40 * MIB)
    cut = [sshd.cut]

    def report(progress: TransferProgress) -> None:
        if cut and progress.done > 10 * MIB:
            cut.pop()()

    with pytest.raises(LinkLost):
        fetch(way, file, here, report)
    assert not (here / "a.mp4").exists()
    (part,) = here.iterdir()
    begun = part.stat().st_size
    assert begun > 10 * MIB
    seen: list[TransferProgress] = []
    fetch(way, file, here, seen.append)
    assert seen[0].done > begun
    assert (seen[-1].done, seen[-1].total) == (file.size, file.size)
    assert (here / "a.mp4").read_bytes() == file.path.read_bytes()
    assert files_in(here) == ["a.mp4"]


@pytest.mark.parametrize("size", [MIB, 9 * MIB, 10 * MIB], ids=["begun", "whole", "too long"])
def test_a_spoilt_part_is_found_and_brought_anew(
    way: Connection, there: Path, here: Path, size: int
) -> None:
    file = random_file(there / "a", 9 * MIB)
    here.mkdir()
    random_file(download.part_of(Wanted("", here / "a.mp4", file.sha256)), size)
    seen: list[TransferProgress] = []
    fetch(way, file, here, seen.append)
    assert (here / "a.mp4").read_bytes() == file.path.read_bytes()
    assert (seen[-1].done, seen[-1].total) == (file.size, file.size)
    assert files_in(here) == ["a.mp4"]


def test_a_whole_part_needs_only_its_name(loop: Connection, there: Path, here: Path) -> None:
    file = random_file(there / "a", MIB)
    here.mkdir()
    part = download.part_of(Wanted("", here / "a.mp4", file.sha256))
    part.write_bytes(file.path.read_bytes())
    fetch(loop, file, here, lambda p: pytest.fail(str(p)))
    assert files_in(here) == ["a.mp4"]


def test_the_part_of_a_file_that_is_gone_is_removed(
    loop: Connection, there: Path, here: Path
) -> None:
    file = random_file(there / "a", MIB)
    here.mkdir()
    download.part_of(Wanted("", here / "a.mp4", file.sha256)).write_bytes(b"begun")
    file.path.unlink()
    with pytest.raises(OutputMissing):
        fetch(loop, file, here)
    assert files_in(here) == []


def test_a_part_that_another_process_keeps_for_long_is_left_to_it(
    loop: Connection, there: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may stand still; it may go on one day, and then what it has must still be its own."""
    monkeypatch.setattr(download, "LOCK_S", 0.2)
    file = random_file(there / "a", MIB)
    here.mkdir()
    part = download.part_of(Wanted("", here / "a.mp4", file.sha256))
    with part.open("wb") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        kept.write(b"begun")
        kept.flush()
        fetch(loop, file, here)
        assert (here / "a.mp4").read_bytes() == file.path.read_bytes()
        assert files_in(here) == ["a.mp4", part.name]
        assert part.read_bytes() == b"begun"


def test_other_content_than_was_made_is_not_taken(way: Connection, there: Path, here: Path) -> None:
    file = random_file(there / "a", MIB)
    made = LocalFile(file.path, "0" * 64, file.size)
    with pytest.raises(OutputMissing, match=f"is not the expected file.*{file.sha256}"):
        fetch(way, made, here)
    assert files_in(here) == []


def test_a_missing_file_is_named(way: Connection, there: Path, here: Path) -> None:
    files = [random_file(there / "a", 10), LocalFile(there / "gone", "0" * 64, 1)]
    wanted = [Wanted(str(f.path), here / f.path.name, f.sha256) for f in files]
    with pytest.raises(OutputMissing, match=r"On loop: .*gone.*No such file"):
        get_files(way, wanted)
    assert files_in(here) == []


def test_a_full_disk_here_is_told_and_nothing_is_left(
    way: Connection, there: Path, small_disk: Path
) -> None:
    file = random_file(there / "a", 20 * MIB)
    with pytest.raises(DiskFull):
        fetch(way, file, small_disk)
    assert files_in(small_disk) == []
    assert way.run(["echo", "on"], timeout_s=LONG_S).stdout == b"on\n"


def test_a_file_that_does_not_fit_is_refused_before_a_byte_of_it_comes(
    way: Connection, there: Path, here: Path
) -> None:
    huge = there / "a"
    with huge.open("wb") as file:
        file.truncate(3 * 10**12)  # without room on the disk
    seen: list[TransferProgress] = []
    with pytest.raises(DiskFull, match=r"loop has 3000\.0 GB for .*: .*/a was not downloaded"):
        fetch(way, LocalFile(huge, "0" * 64, 0), here, seen.append)
    assert (files_in(here), seen) == ([], [])
    part = download.part_of(Wanted("", here / "a.mp4", "0" * 64))
    part.write_bytes(b"begun")
    with pytest.raises(DiskFull):
        fetch(way, LocalFile(huge, "0" * 64, 0), here)
    assert files_in(here) == []


def test_a_file_of_another_size_than_was_recorded_is_not_taken(
    way: Connection, there: Path, here: Path
) -> None:
    file = random_file(there / "a", MIB)
    with pytest.raises(OutputMissing, match=r"it has 1048576 bytes, not 1000\."):
        get_file(way, str(file.path), here / "a", file.sha256, size=1000)
    assert files_in(here) == []
    get_file(way, str(file.path), here / "a", file.sha256, size=MIB)
    assert files_in(here) == ["a"]


def test_more_names_than_a_command_takes_go_in_groups(
    way: Connection, there: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST_WORDS", 500)
    files = [random_file(there / f"{n:03d}", 10) for n in range(40)]
    get_files(way, [Wanted(str(f.path), here / f.path.name, f.sha256) for f in files])
    assert [p.read_bytes() for p in sorted(here.iterdir())] == [f.path.read_bytes() for f in files]
