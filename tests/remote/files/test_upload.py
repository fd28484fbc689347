"""Upload by hash to a real sshd: whole and verified, or not at all."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.errors import BackendError, InputError, LinkLost
from cosmos_pipelines.remote.files import meter, upload
from cosmos_pipelines.remote.files.meter import TransferProgress
from cosmos_pipelines.remote.files.transfer import LocalFile, Sent, put_files
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from tests.support.contents import random_file
from tests.support.sshd import Sshd

MIB = 1 << 20


@pytest.fixture
def cas(tmp_path: Path) -> Path:
    return tmp_path / 'it\'s a "host"' / "cas"


@pytest.fixture(autouse=True)
def _every_step_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "EVERY_S", 0.0)


def once(action: Callable[[], object], *, at: float = 0.1) -> Callable[[TransferProgress], None]:
    """A progress report that does something in the middle."""
    left = [action]

    def report(progress: TransferProgress) -> None:
        if left and progress.done > at * progress.total:
            left.pop()()

    return report


def kept(cas: Path) -> dict[str, bytes]:
    """What lies in the directory, half-made things included."""
    return {p.name: p.read_bytes() for p in cas.rglob("*") if p.is_file()}


def is_there(cas: Path, *files: LocalFile) -> bool:
    return kept(cas) == {f.sha256: f.path.read_bytes() for f in files}


def test_small_and_large_files_arrive_and_a_second_time_nothing_is_sent(
    way: Connection, cas: Path, tmp_path: Path
) -> None:
    sizes = (0, 1, 511, 512, 70_000, 5 * MIB + 3, 9 * MIB)
    files = [random_file(tmp_path / f"a '\"\n{n}", n) for n in sizes]
    assert put_files(way, files, str(cas)) == Sent(7, sum(sizes))
    assert is_there(cas, *files)
    assert {oct((cas / f.sha256).stat().st_mode)[-3:] for f in files} == {"444"}
    inodes = {p.stat().st_ino for p in cas.iterdir()}
    assert put_files(way, files, str(cas), lambda p: pytest.fail(str(p))) == Sent(0, 0)
    assert inodes == {p.stat().st_ino for p in cas.iterdir()}


def test_the_same_content_is_sent_once(way: Connection, cas: Path, tmp_path: Path) -> None:
    file = random_file(tmp_path / "a", 100)
    again = LocalFile(tmp_path / "b", file.sha256, file.size)
    again.path.write_bytes(file.path.read_bytes())
    assert put_files(way, [file, again], str(cas)) == Sent(1, 100)


def test_progress_goes_from_nothing_to_all(way: Connection, cas: Path, tmp_path: Path) -> None:
    seen: list[TransferProgress] = []
    files = [random_file(tmp_path / str(n), n * MIB) for n in (1, 2, 6)]
    put_files(way, files, str(cas), seen.append)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert (seen[-1].done, seen[-1].total) == (9 * MIB, 9 * MIB)


def test_after_a_cut_a_large_file_goes_on_where_it_was(
    way: Connection, cas: Path, tmp_path: Path, sshd: Sshd
) -> None:
    file = random_file(tmp_path / "a", 40 * MIB)
    with pytest.raises(LinkLost):
        put_files(way, [file], str(cas), once(sshd.cut))
    assert not (cas / file.sha256).exists()
    begun: list[TransferProgress] = []
    sent = put_files(way, [file], str(cas), begun.append)
    assert sent.size < file.size
    assert begun[0].done > file.size - sent.size
    assert is_there(cas, file)


def test_after_a_cut_small_files_arrive_whole(
    way: Connection, cas: Path, tmp_path: Path, sshd: Sshd
) -> None:
    files = [random_file(tmp_path / str(n), 3 * MIB) for n in range(10)]
    with pytest.raises(LinkLost):
        put_files(way, files, str(cas), once(sshd.cut))
    put_files(way, files, str(cas))
    assert is_there(cas, *files)


def test_a_killed_process_leaves_what_the_next_one_continues(
    loop: Connection, cas: Path, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "a", 40 * MIB)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from cosmos_pipelines.remote.files import meter; meter.EVERY_S = 0.0\n"
        "from cosmos_pipelines.remote.ssh.connection import Connection, Target\n"
        "from cosmos_pipelines.remote.files.transfer import put_files\n"
        "config, path, sha256, size, cas = sys.argv[1:]\n"
        "put_files(Connection(Target('loop', config_file=Path(config))),\n"
        "          [(Path(path), sha256, int(size))], cas,\n"
        "          lambda p: p.done > 20e6 and os.kill(os.getpid(), 9))\n"
    )
    words = [loop.target.config_file, file.path, file.sha256, file.size, cas]
    done = subprocess.run([sys.executable, "-c", script, *map(str, words)], check=False)
    assert done.returncode == -9
    sent = put_files(loop, [file], str(cas))
    assert sent.size < file.size
    assert is_there(cas, file)


@pytest.mark.parametrize("size", [3 * MIB, 9 * MIB, 10 * MIB], ids=["begun", "whole", "too long"])
def test_a_spoilt_part_is_found_and_sent_anew(
    way: Connection, cas: Path, tmp_path: Path, size: int
) -> None:
    file = random_file(tmp_path / "a", 9 * MIB)
    cas.mkdir(parents=True)
    random_file(cas / f"{file.sha256}.part", size)
    seen: list[TransferProgress] = []
    put_files(way, [file], str(cas), seen.append)
    assert is_there(cas, file)
    assert (seen[-1].done, seen[-1].total) == (file.size, file.size)


def test_a_kept_file_of_another_size_is_replaced(
    way: Connection, cas: Path, tmp_path: Path
) -> None:
    files = [random_file(tmp_path / "a", 9 * MIB), random_file(tmp_path / "b", 9)]
    cas.mkdir(parents=True)
    for file in files:
        (cas / file.sha256).write_bytes(b"cut by a power failure")
    put_files(way, files, str(cas))
    assert is_there(cas, *files)


@pytest.mark.parametrize("size", [MIB, 9 * MIB], ids=["small", "large"])
def test_a_file_that_changes_meanwhile_is_refused(
    way: Connection, cas: Path, tmp_path: Path, size: int
) -> None:
    files = [random_file(tmp_path / str(n), size) for n in range(3)]

    def change() -> None:
        with files[2].path.open("r+b") as changed:
            changed.seek(-1, 2)
            last = changed.read(1)
            changed.seek(-1, 2)
            changed.write(bytes([last[0] ^ 1]))

    with pytest.raises(InputError, match="was changed since it was measured"):
        put_files(way, files, str(cas), once(change))
    assert files[2].sha256 not in kept(cas)
    assert not [name for name in kept(cas) if name.startswith(files[2].sha256)]


def test_a_file_that_becomes_shorter_meanwhile_is_refused(
    way: Connection, cas: Path, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "a", 30 * MIB)
    with pytest.raises(InputError, match="was changed"):
        put_files(way, [file], str(cas), once(lambda: file.path.write_bytes(b"x")))
    assert file.sha256 not in kept(cas)


@pytest.mark.parametrize(
    ("size", "sha256", "said"),
    [(5, "0" * 64, "was changed"), (6, None, "was changed"), (5, "no", "has a wrong SHA-256")],
)
def test_what_is_not_as_measured_is_refused_before_or_after(
    loop: Connection, cas: Path, tmp_path: Path, size: int, sha256: str | None, said: str
) -> None:
    file = random_file(tmp_path / "a", 5)
    with pytest.raises(InputError, match=said):
        put_files(loop, [(file.path, sha256 or file.sha256, size)], str(cas))
    assert kept(cas) == {}


def test_a_missing_file_is_named(loop: Connection, cas: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone cannot be read: No such file"):
        put_files(loop, [(tmp_path / "gone", "0" * 64, 5)], str(cas))


@pytest.mark.parametrize("sizes", [[9 * MIB], [3 * MIB] * 3], ids=["large", "small"])
def test_a_disk_without_room_is_told_before_anything_is_sent(
    loop: Connection, small_disk: Path, tmp_path: Path, sizes: list[int]
) -> None:
    files = [random_file(tmp_path / str(n), size) for n, size in enumerate(sizes)]
    with pytest.raises(BackendError) as failure:
        put_files(loop, files, str(small_disk / "cas"), lambda p: pytest.fail(str(p)))
    assert failure.value.kind == "disk_full"
    assert "on loop" in str(failure.value)


@pytest.mark.parametrize("sizes", [[7 * MIB], [MIB] * 7], ids=["large", "small"])
def test_a_disk_that_becomes_full_meanwhile_has_nothing_half_written(
    way: Connection, small_disk: Path, tmp_path: Path, sizes: list[int]
) -> None:
    files = [random_file(tmp_path / str(n), size) for n, size in enumerate(sizes)]

    def fill() -> None:
        (small_disk / "other").write_bytes(bytes(5 * MIB))

    with pytest.raises(BackendError) as failure:
        put_files(way, files, str(small_disk / "cas"), once(fill, at=0))
    assert failure.value.kind == "disk_full", str(failure.value)
    assert kept(small_disk / "cas") == {}
    (small_disk / "other").unlink()
    put_files(way, files, str(small_disk / "cas"))
    assert is_there(small_disk / "cas", *files)


def test_a_directory_that_cannot_be_made_is_told(loop: Connection, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match=r"cannot be kept.*Not a directory") as failure:
        put_files(loop, [], str(tmp_path / "file" / "cas"))
    assert failure.value.kind == "launch_failed"


def test_two_uploads_of_the_same_at_once_harm_nobody(
    target: Target, loop: Connection, cas: Path, tmp_path: Path
) -> None:
    files = [random_file(tmp_path / str(n), n * MIB) for n in (1, 12)]
    failed: list[BaseException] = []

    def put() -> None:
        try:
            with Connection(target) as connection:
                put_files(connection, files, str(cas))
        except BaseException as e:  # noqa: BLE001 - told below
            failed.append(e)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert is_there(cas, *files)


def test_many_small_files_go_in_groups(
    way: Connection, cas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "GROUPS", (500, 1000))
    files = [random_file(tmp_path / str(n), 300) for n in range(10)]
    assert put_files(way, files, str(cas)) == Sent(10, 3000)
    assert is_there(cas, *files)
