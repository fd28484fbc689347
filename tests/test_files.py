"""Files are whole under their name, or not there."""

from __future__ import annotations

import ast
import errno
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosmos_pipelines import files
from cosmos_pipelines.errors import CosmosError, DiskFull
from cosmos_pipelines.files import (
    WrongContent,
    copy_verified,
    move,
    part_of,
    remove,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
    writing,
)
from cosmos_pipelines.identity import own_identity

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cosmos_pipelines"


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that has the module under test, and its arguments as `place` (a path)."""
    head = "import sys; from pathlib import Path; from cosmos_pipelines.files import *\n"
    head += "place = Path(sys.argv[1])\n"
    words = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_text_and_json_are_utf8_with_the_line_ends_that_they_have(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "one\r\ntwo\nStraße")
    assert (tmp_path / "a").read_bytes() == "one\r\ntwo\nStraße".encode()
    write_json(tmp_path / "b", {"street": "Straße"})
    assert (tmp_path / "b").read_text(encoding="utf-8") == '{\n  "street": "Straße"\n}\n'
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_a_failure_in_the_middle_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    write_text(tmp_path / "a", "old")
    for name in ("a", "b"):
        with pytest.raises(error), writing(tmp_path / name) as part:
            part.write_text("half")
            raise error
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_writing_may_be_nested_also_for_the_same_file(tmp_path: Path) -> None:
    with writing(tmp_path / "a") as outer, writing(tmp_path / "b") as other:
        outer.write_text("outer")
        other.write_text("other")
        write_text(tmp_path / "a", "inner")
        assert (tmp_path / "a").read_text() == "inner"
    assert (tmp_path / "a").read_text() == "outer"
    assert names(tmp_path) == ["a", "b"]


def test_threads_may_write_the_same_file(tmp_path: Path) -> None:
    texts = [str(n) * 50_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(tmp_path / "a", text), texts * 5))
    assert (tmp_path / "a").read_text() in texts
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without hard links"])
def test_a_new_file_is_never_written_over_an_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    write_text(tmp_path / "a", "first", new=True)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "a", "second", new=True)
    assert (tmp_path / "a").read_text() == "first"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["x" * 255, "ß" * 127, "a.mp4"])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]
    parts = {part_of(tmp_path / name).name for _ in range(100)}
    assert len(parts) == 100
    maker = f".{os.getpid()}-{own_identity().started}.part"
    assert all(p.endswith(maker) and len(p.encode()) <= 255 for p in parts)


def test_a_full_disk_is_told_and_the_older_file_stays(small_disk: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * 20_000_000)
    write_text(small_disk / "a", "old")
    for act in (
        lambda: write_bytes(small_disk / "a", big.read_bytes()),
        lambda: copy_verified(big, small_disk / "a", sha256_of(big)),
    ):
        with pytest.raises(DiskFull, match=rf"No room left for {small_disk}/a \("):
            act()
    assert names(small_disk) == ["a"]
    assert (small_disk / "a").read_text() == "old"


def test_a_limit_of_file_sizes_is_told_as_a_full_disk(tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_text(place, 'x' * 2000)\n"
        "except DiskFull as e: print(e)"
    )
    said = python(code, tmp_path / "a").communicate()[0]
    assert f"No room left for {tmp_path}/a (File too large)." in said
    assert names(tmp_path) == []


def test_a_read_only_disk_is_told_in_one_line(small_disk: Path) -> None:
    write_text(small_disk / "a", "old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(CosmosError) as e:
        write_text(small_disk / "a", "new")
    assert str(e.value) == f"{small_disk}/a cannot be written: Read-only file system."
    with pytest.raises(CosmosError, match="a cannot be removed: Read-only file system"):
        remove(small_disk / "a")


def test_a_directory_that_one_may_not_write_to_is_told_in_one_line(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    place = Path(
        tempfile.gettempdir(), f"cosmos-files-{os.getpid()}"
    )  # pytest's own directories are private
    place.mkdir(mode=0o755)
    code = (
        "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: write_text(place / 'a', 'x')\n"
        "except CosmosError as e: print(e)"
    )
    try:
        said = python(code, place).communicate()[0]
        assert said == f"{place}/a cannot be written: Permission denied.\n"
        assert names(place) == []
    finally:
        place.rmdir()


def test_a_place_that_cannot_be_is_told_by_the_names_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    for place, why in (
        ("nothing/a", "No such file or directory"),
        ("file/a", "Not a directory"),
        ("directory", "Is a directory"),
    ):
        with pytest.raises(CosmosError) as e:
            write_text(tmp_path / place, "x")
        assert str(e.value) == f"{tmp_path}/{place} cannot be written: {why}."
    assert names(tmp_path) == ["directory", "file"]


def test_what_could_not_be_read_meanwhile_is_no_fault_of_the_target(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), writing(tmp_path / "a"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/elsewhere")
    with pytest.raises(FileNotFoundError, match="gone"):
        copy_verified(tmp_path / "gone", tmp_path / "a", "0" * 64)
    assert names(tmp_path) == []


def test_a_copy_has_the_hash_that_it_should_have_or_is_not_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "abc")
    copy_verified(tmp_path / "a", tmp_path / "b", sha256_of(tmp_path / "a"))
    assert (tmp_path / "b").read_text() == "abc"
    with pytest.raises(WrongContent) as e:
        copy_verified(tmp_path / "a", tmp_path / "c", "0" * 64)
    assert e.value.found == hashlib.sha256(b"abc").hexdigest()
    assert names(tmp_path) == ["a", "b"]


def test_the_content_is_flushed_before_the_name_and_the_name_where_it_must_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, bool]] = []
    flush, target = os.fsync, tmp_path / "here" / "a"
    target.parent.mkdir()

    def noting(opened: int) -> None:
        flushed.append((str(Path(f"/proc/self/fd/{opened}").readlink()), target.exists()))
        flush(opened)

    monkeypatch.setattr(os, "fsync", noting)
    write_text(target, "x")
    [(part, named)] = flushed
    assert part.endswith(".part")
    assert not named
    flushed.clear()
    write_text(target, "x", durable=True)
    assert flushed[1:] == [(str(target.parent), True), (str(tmp_path), True)]
    flushed.clear()
    move(target, target.with_name("b"), durable=True)
    places = [str(target), str(target.parent), str(tmp_path)]
    assert [place for place, _ in flushed] == places


@pytest.mark.parametrize("remember", [False, True])
def test_the_hash_follows_the_content_also_where_the_clock_of_a_disk_is_coarse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remember: bool
) -> None:
    exact = files._state

    def coarse(opened: int) -> tuple[int, ...]:
        """As FAT would tell it: its clock goes in steps of 2 s."""
        *facts, mtime, ctime = exact(opened)
        return (*facts, mtime - mtime % 2_000_000_000, ctime - ctime % 2_000_000_000)

    monkeypatch.setattr(files, "_state", coarse)
    path = tmp_path / "x"
    for n in range(30):
        content = b"%03d" % n
        with path.open("rb+" if n else "wb") as file:
            file.write(content)
        assert sha256_of(path, remember=remember) == hashlib.sha256(content).hexdigest()


def test_what_has_settled_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest: Callable[..., object] = hashlib.file_digest

    def noting(file: object, kind: str) -> object:
        read.append(kind)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", noting)
    monkeypatch.setattr(files, "_GRANULE_NS", -1)  # as if its last change were long ago
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert len({sha256_of(path, remember=True) for _ in range(3)}) == len(read) == 1
    sha256_of(path)
    assert len(read) == 2, "what is verified is read from the disk"
    path.with_name("y").hardlink_to(path)
    path.write_bytes(b"abd")
    assert sha256_of(path, remember=True) == hashlib.sha256(b"abd").hexdigest()


LOGS = {"runs/log.py"}
DIRECTORIES = {"catalog/deletion.py", "catalog/integrity.py", "runs/bundle.py", "backends/local.py"}
DIRECTORIES |= {"resources/first_use.py"}
RENAMED_SCENES = {"runs/scenes.py"}


def calls(tree: ast.AST) -> Iterator[str]:
    """Methods that are called, those of one argument as `name/1`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr
            if len(node.args) == 1 and not node.keywords:
                yield f"{node.func.attr}/1"


GPU_SIDE = PACKAGE.parent / "gpu_scripts"
DOWNLOADS = {f"checkpoints/checkpoints_{name}.py" for name in ("download", "manifest", "wanted")}
"""Files that come in pieces and are continued, links to them, and the record of both."""


def writers_in(folder: Path) -> set[str]:
    """The files below a folder that flush or rename what has been written."""
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*.py")
        if {"fsync", "rename", "replace/1"} & set(calls(ast.parse(file.read_text())))
    }


def test_the_programs_of_the_gpu_side_have_one_writer_too() -> None:
    assert writers_in(GPU_SIDE) - DOWNLOADS == {"model/model_files.py"}


def test_nobody_else_flushes_or_renames_what_has_been_written() -> None:
    assert writers_in(PACKAGE) - LOGS - DIRECTORIES - RENAMED_SCENES == {"files.py"}
