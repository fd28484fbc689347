"""Which host keys are known, compared with what `ssh-keygen -F` finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.remote.ssh.known_hosts import fingerprint, keys_of
from tests.rig.host import run


@pytest.fixture
def key(tmp_path: Path) -> str:
    """The public part of a new key, as in a known_hosts file."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "host"])
    return " ".join((tmp_path / "host.pub").read_text().split()[:2])


def found(name: str, file: Path) -> int:
    return len([key for key in keys_of(name, file) if not key.authority])


@pytest.mark.parametrize(
    ("patterns", "known", "unknown"),
    [
        ("gpu1", "gpu1", "gpu11"),
        ("GPU1,10.0.0.7", "gpu1", "gpu"),
        ("*.example.org,!gate.example.org", "gpu.example.org", "gate.example.org"),
        ("gpu?", "gpu7", "gpu"),
        ("[gpu1]:2222", "[gpu1]:2222", "gpu1"),
        ("[*.example.org]:2222", "[a.example.org]:2222", "[a.example.org]:22"),
    ],
)
def test_names_match_as_for_ssh(
    tmp_path: Path, key: str, patterns: str, known: str, unknown: str
) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"# a comment\n\nrubbish\n@cert-authority * {key}\n{patterns} {key} note\n")
    assert (found(known, file), found(unknown, file)) == (1, 0)


def test_hashed_names_are_found(tmp_path: Path, key: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"gpu1 {key}\n[gpu2]:2222 {key}\n")
    run(["ssh-keygen", "-H", "-f", file])
    assert "gpu" not in file.read_text()
    assert [found(n, file) for n in ("gpu1", "[gpu2]:2222", "gpu2", "gpu3")] == [1, 1, 0, 0]


def test_a_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path, key: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"gpu1 {key}\n")
    (one,) = keys_of("gpu1", file)
    assert fingerprint(one.blob) in run(["ssh-keygen", "-lf", tmp_path / "host.pub"]).decode()


def test_a_missing_file_knows_no_host(tmp_path: Path) -> None:
    assert found("gpu1", tmp_path / "none") == 0
