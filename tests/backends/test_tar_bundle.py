"""What is sent to a host besides inputs."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from cosmos_pipelines.backends.tar_bundle import SCRIPTS, scripts_bundle


def members(tar: bytes) -> dict[str, bytes]:
    """Content by name."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        files = [member for member in opened if member.isfile()]
        return {m.name: opened.extractfile(m).read() for m in files}  # type: ignore[union-attr]


def test_a_checkout_of_windows_is_sent_with_unix_line_ends(tmp_path: Path) -> None:
    windows, unix = tmp_path / "windows", tmp_path / "unix"
    for directory, end in ((windows, b"\r\n"), (unix, b"\n")):
        directory.mkdir()
        (directory / "run.sh").write_bytes(b"#!/bin/sh" + end + b"echo it runs" + end)
        (directory / "work.py").write_bytes(b"print(1)" + end)
        (directory / "list.json").write_bytes(b"{}" + end)
        (directory / "Dockerfile.x").write_bytes(b"FROM x" + end)
    assert scripts_bundle(windows) == scripts_bundle(unix)
    sent = members(scripts_bundle(windows).tar)
    assert sorted(sent) == ["complete", "list.json", "run.sh", "work.py"]
    (tmp_path / "sent.sh").write_bytes(sent["run.sh"])
    said = subprocess.run(["sh", tmp_path / "sent.sh"], capture_output=True, check=True).stdout
    assert said == b"it runs\n"


def test_all_that_a_host_needs_of_our_scripts_is_sent() -> None:
    sent = members(scripts_bundle(SCRIPTS).tar)
    assert {"run.sh", "checkpoints/checkpoints.py", "checkpoints/cosmos_transfer1.json"} <= set(
        sent
    )
    assert not any(b"\r" in content for content in sent.values())
    assert not any("Dockerfile" in name for name in sent)


def test_git_keeps_unix_line_ends_in_our_scripts() -> None:
    files = sorted(str(p) for p in SCRIPTS.rglob("*") if p.is_file() and p.suffix != ".pyc")
    argv = ["git", "check-attr", "eol", "--", *files]
    told = subprocess.run(argv, cwd=SCRIPTS, capture_output=True, text=True, check=True).stdout
    assert {line.rpartition(" ")[2] for line in told.splitlines()} == {"lf"}
