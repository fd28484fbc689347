"""A model's code as a tar: what is sent, under which names, and what is refused. No host."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.hosts.code_tar import commit_tar, directory_tar
from cosmos_pipelines.hosts.setup_script import COMMIT, SUMS, WHOLE
from tests.support.host_engine import git, make_repository


def unpacked(parts: Iterable[bytes]) -> dict[str, bytes]:
    """Members by name, in their order; the content of files."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
        files = {m.name: tar.extractfile(m) for m in tar if m.isreg() or m.issym()}
        return {name: file.read() if file else b"" for name, file in files.items()}


def test_a_copy_of_a_copy_has_no_word_of_its_source_in_it(tmp_path: Path) -> None:
    for name in (COMMIT, SUMS):
        (tmp_path / name).write_text("f" * 40)
    (tmp_path / "smoke.py").write_text("x")
    sent = unpacked(directory_tar(tmp_path, "1"))
    assert list(sent) == ["smoke.py", SUMS, COMMIT, f"{WHOLE}1"]
    assert sent[COMMIT].startswith(b"unverified:")
    make_repository(tmp_path / "source")
    (tmp_path / "source" / COMMIT).write_text("f" * 40)
    git(tmp_path / "source", "add", "--all")
    git(tmp_path / "source", "commit", "--quiet", "--message", "second")
    committed = git(tmp_path / "source", "rev-parse", "HEAD")
    assert unpacked(commit_tar(tmp_path / "source", committed, "1"))[COMMIT] == committed.encode()


def test_a_commit_is_sent_as_it_was_committed_whatever_git_is_set_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[core]\nautocrlf = true\neol = crlf\n"
        '[filter "lfs"]\nsmudge = false\nprocess = false\nrequired = true\n'
    )
    source = tmp_path / "source"
    make_repository(source)
    (source / "unix.txt").write_bytes(b"one\ntwo\n")
    (source / ".gitattributes").write_bytes(b"*.txt text=auto\n*.bin filter=lfs\n")
    (source / "sample.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    git(source, "-c", "filter.lfs.clean=", "add", "--all")
    git(source, "commit", "--quiet", "--message", "second")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    sent = unpacked(commit_tar(source, git(source, "rev-parse", "HEAD"), "1"))
    assert sent["unix.txt"] == b"one\ntwo\n"
    assert sent["sample.bin"].startswith(b"version https://git-lfs")


def test_what_git_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    commit = make_repository(tmp_path / "source")
    tree = git(tmp_path / "source", "rev-parse", f"{commit}^{{tree}}")
    (tmp_path / "source" / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(InputError, match=r"cannot archive .*: (fatal|error): ") as caught:
        unpacked(commit_tar(tmp_path / "source", commit, "1"))
    assert "\n" not in caught.value.message


def test_a_name_that_is_no_utf_8_is_sent_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    make_repository(source)
    (source / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    assert os.fsdecode(b"caf\xe9.txt") in unpacked(directory_tar(source, "1"))
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "second")
    sent = unpacked(commit_tar(source, git(source, "rev-parse", "HEAD"), "1"))
    assert os.fsdecode(b"caf\xe9.txt") in sent
    assert b"caf\xe9.txt" in sent[SUMS]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../elsewhere", "../.."])
def test_a_link_that_leads_out_of_the_tree_is_refused(tmp_path: Path, target: str) -> None:
    source = tmp_path / "source"
    make_repository(source)
    (source / "assets" / "out").symlink_to(target)
    with pytest.raises(InputError, match="assets/out is a link out of the directory that is sent"):
        unpacked(directory_tar(source, "1"))
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "second")
    with pytest.raises(InputError, match="assets/out is a link out of the directory that is sent"):
        unpacked(commit_tar(source, git(source, "rev-parse", "HEAD"), "1"))


def test_the_sums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    make_repository(tmp_path / "source")
    there = tmp_path / "there"
    with tarfile.open(fileobj=io.BytesIO(b"".join(directory_tar(tmp_path / "source", "1")))) as tar:
        tar.extractall(there, filter="data")
    done = subprocess.run(["sha256sum", "-c", SUMS], cwd=there, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"# not compared  link\n" in (there / SUMS).read_bytes()
