"""The scripts do the same on any host: dash, bash, busybox, with and without openssl."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from cosmos_pipelines.remote.files import scripts as host_scripts
from tests.support.contents import random_file

MIB = 1 << 20
TOOLS = ("stat", "dd", "tar", "xargs", "find", "sync", "sha256sum", "mkdir", "df", "tail", "rm",
         "mv", "chmod", "cat", "sort", "uniq")  # fmt: skip


class HostLike:
    """A PATH with nothing but the tools of a kind of host."""

    def __init__(self, place: Path, kind: str) -> None:
        self.path = place / "bin"
        self.path.mkdir()
        for tool in TOOLS:
            self._link(tool, "busybox" if kind == "busybox" else tool)
        shell = {"busybox": "busybox", "bash": "bash", "dash without openssl": "dash"}[kind]
        self._link("sh", shell)
        if kind == "bash":
            self._link("openssl", "openssl")

    def _link(self, name: str, program: str) -> None:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"no {program} here (Debian: apt-get install {program})")
        (self.path / name).symlink_to(found)

    def run(self, argv: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        words = [str(self.path / argv[0]), *argv[1:]]
        return subprocess.run(
            words, input=given, env={"PATH": str(self.path)}, capture_output=True, check=False
        )


@pytest.fixture(params=["bash", "dash without openssl", "busybox"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> HostLike:
    return HostLike(tmp_path, request.param)


def tar_of(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def test_a_large_file_is_received_in_two_goes(host: HostLike, tmp_path: Path) -> None:
    cas = tmp_path / "ca s"
    cas.mkdir()
    file = random_file(tmp_path / "a", 3 * MIB + 5)
    content = file.path.read_bytes()
    first = host.run(host_scripts.receive(str(cas), file.sha256, 0, file.size), content[: 2 * MIB])
    assert first.returncode == host_scripts.INCOMPLETE
    rest = host_scripts.receive(str(cas), file.sha256, 2 * MIB, file.size)
    done = host.run(rest, content[2 * MIB :])
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert [(p.name, p.read_bytes()) for p in cas.iterdir()] == [(file.sha256, content)]
    again = host.run(rest, content[2 * MIB :])
    assert again.returncode == 0, again.stderr


def test_a_large_file_with_another_hash_is_not_kept(host: HostLike, tmp_path: Path) -> None:
    file = random_file(tmp_path / "a", 2 * MIB)
    (tmp_path / "cas").mkdir()
    done = host.run(host_scripts.receive(str(tmp_path / "cas"), "0" * 64, 0, file.size),
                    file.path.read_bytes())  # fmt: skip
    assert done.returncode == host_scripts.WRONG
    assert file.sha256.encode() in done.stderr
    assert not any((tmp_path / "cas").iterdir())


def test_small_files_are_kept_but_for_those_with_another_hash(
    host: HostLike, tmp_path: Path
) -> None:
    cas = tmp_path / "ca s"
    cas.mkdir()
    good = [random_file(tmp_path / str(n), n) for n in (0, 1, 70_000)]
    members = [(f.sha256, f.path.read_bytes()) for f in good]
    wrong = "f" * 64
    done = host.run(host_scripts.unpack(str(cas), "t1"), tar_of(*members, (wrong, b"x")))
    assert (done.returncode, done.stdout.decode().split()) == (67, [wrong]), done.stderr
    assert {p.name: p.read_bytes() for p in cas.iterdir() if p.is_file()} == dict(members)
    assert not any((cas / ".incoming").iterdir())
    done = host.run(host_scripts.unpack(str(cas), "t2"), tar_of(*members))
    assert (done.returncode, done.stdout) == (0, b""), done.stderr


def test_a_stream_that_ends_early_leaves_nothing(host: HostLike, tmp_path: Path) -> None:
    file = random_file(tmp_path / "a", 70_000)
    (tmp_path / "cas").mkdir()
    whole = tar_of((file.sha256, file.path.read_bytes()))
    for length in (0, 100, 30_000):
        done = host.run(host_scripts.unpack(str(tmp_path / "cas"), f"t{length}"), whole[:length])
        assert done.returncode != 0
    assert [p for p in (tmp_path / "cas").rglob("*") if p.is_file()] == []
    assert not any((tmp_path / "cas" / ".incoming").iterdir())


def test_a_stream_that_is_cut_leaves_its_whole_files_and_the_beginning_of_its_last(
    host: HostLike, tmp_path: Path
) -> None:
    cas = tmp_path / "cas"
    cas.mkdir()
    first, last = (random_file(tmp_path / str(n), n) for n in (70_000, 200_000))
    contents = [(f.sha256, f.path.read_bytes()) for f in (first, last)]
    done = host.run(host_scripts.unpack(str(cas), "t1"), tar_of(*contents)[:200_000])
    assert done.returncode == 73, done.stderr
    (begun,) = cas.glob("*.part")
    assert begun.name == f"{last.sha256}.part"
    assert len(begun.read_bytes()) >= host_scripts.BLOCK
    assert contents[1][1].startswith(begun.read_bytes())
    begun.unlink()
    assert {p.name: p.read_bytes() for p in cas.iterdir() if p.is_file()} == dict(contents[:1])
    assert not any((cas / ".incoming").iterdir())


def test_what_is_there_is_listed_with_the_free_space(host: HostLike, tmp_path: Path) -> None:
    cas = tmp_path / "new" / "cas"
    empty = host.run(host_scripts.look(str(cas)))
    assert empty.returncode == 0
    assert len(empty.stdout.splitlines()) == 1
    (cas / "a").write_bytes(b"123")
    (cas / "b.part").write_bytes(b"")
    done = host.run(host_scripts.look(str(cas)), b"a\na.part\nb\nb.part\n")
    disk, *listing = done.stdout.decode().splitlines()
    assert listing == ["a 3", "b.part 0"]
    assert f" {shutil.disk_usage(cas).free >> 20}"[:3] in f" {int(disk.split()[-3]) >> 10}"


def test_files_are_sent_after_their_sizes_and_from_any_place(
    host: HostLike, tmp_path: Path
) -> None:
    files = [tmp_path / "-n 'x'", tmp_path / "b\nc"]
    files[0].write_bytes(b"one")
    files[1].write_bytes(b"three")
    done = host.run(host_scripts.send([str(f) for f in files]))
    assert done.stdout == b"3\n5\nonethree"
    for offset in (0, 2, 5, 9):
        done = host.run(host_scripts.send_rest(str(files[1]), offset))
        assert done.stdout == b"5\n" + b"three"[offset:]
    gone = host.run(host_scripts.send([str(files[0]), str(tmp_path / "gone")]))
    assert gone.returncode == host_scripts.ABSENT
