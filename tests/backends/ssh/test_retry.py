"""How long a host is waited for: from its loss on, and a transfer from its last progress on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.backends.ssh.retry import Retry
from cosmos_pipelines.errors import LinkLost, Unreachable
from cosmos_pipelines.remote.files.transfer import Wanted, get_files, put_files
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from tests.support.contents import random_file
from tests.support.resets import ResettingProxy, resetting
from tests.support.sshd import Sshd

KIB = 1 << 10
WAIT_S = 0.5
SIZES = (1500 * KIB, 500 * KIB, 500 * KIB, 10)
"""Bytes: each but the last needs more than one connection."""
PER_CONNECTION = 400 * KIB


@pytest.fixture
def broken_way(sshd: Sshd, tmp_path: Path) -> Iterator[tuple[Connection, ResettingProxy]]:
    """A connection that is reset again and again, and the way that resets it."""
    with resetting(sshd.port, PER_CONNECTION) as proxy:
        for name in ("config", "known_hosts"):
            text = (sshd.base / name).read_text().replace(str(sshd.port), str(proxy.port))
            text = text.replace(f"{sshd.base}/known_hosts", f"{tmp_path}/known_hosts")
            (tmp_path / name).write_text(text)
        with Connection(Target("loop", config_file=tmp_path / "config")) as connection:
            yield connection, proxy


def test_the_time_without_a_host_counts_from_its_loss() -> None:
    """A transfer of an hour is no hour without the host."""
    asked = []

    def ask() -> str:
        asked.append(None)
        if len(asked) == 1:
            time.sleep(2 * WAIT_S)
            raise LinkLost("gpu1", "It broke.")
        return "answer"

    retry = Retry(WAIT_S)
    retry.reached = True
    assert retry(ask) == "answer"


def test_a_transfer_without_progress_ends_with_the_time_without_it() -> None:
    def ask(arrived: object) -> None:
        assert callable(arrived)
        arrived(5)
        time.sleep(WAIT_S / 4)
        raise LinkLost("gpu1", "It broke.")

    retry = Retry(WAIT_S)
    retry.reached = True
    with pytest.raises(Unreachable, match="gpu1 has given no usable answer for"):
        retry.transfer(ask)


def test_an_upload_over_a_link_that_breaks_again_and_again_arrives(
    broken_way: tuple[Connection, ResettingProxy], tmp_path: Path
) -> None:
    connection, proxy = broken_way
    files = [random_file(tmp_path / str(n), size) for n, size in enumerate(SIZES)]
    cas = tmp_path / "cas"
    Retry(WAIT_S).transfer(lambda arrived: put_files(connection, files, str(cas), arrived=arrived))
    kept = {p.name: p.read_bytes() for p in cas.rglob("*") if p.is_file()}
    assert kept == {f.sha256: f.path.read_bytes() for f in files}
    assert proxy.connections > sum(SIZES) / PER_CONNECTION


def test_a_download_over_a_link_that_breaks_again_and_again_arrives(
    broken_way: tuple[Connection, ResettingProxy], tmp_path: Path
) -> None:
    connection, proxy = broken_way
    files = [random_file(tmp_path / str(n), size) for n, size in enumerate(SIZES)]
    here = tmp_path / "here"
    wanted = [Wanted(str(f.path), here / f.path.name, f.sha256) for f in files]
    Retry(WAIT_S).transfer(lambda arrived: get_files(connection, wanted, arrived=arrived))
    assert {p.name: p.read_bytes() for p in here.iterdir()} == {
        f.path.name: f.path.read_bytes() for f in files
    }
    assert proxy.connections > sum(SIZES) / PER_CONNECTION
