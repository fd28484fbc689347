"""Transfers over real links that are slow, cut for a while, and cut for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cosmos_pipelines.errors import LinkLost
from cosmos_pipelines.remote.files import meter
from cosmos_pipelines.remote.files.meter import TransferProgress
from cosmos_pipelines.remote.files.transfer import get_file, put_files
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.contents import random_file
from tests.support.waiting import LONG_S
from tests.support.ways import without_openssh

CAS = "/home/ops/cosmos/cas"
MIB = 1 << 20


@contextmanager
def over_80_mbit(fleet: Fleet, gpu1: Host, how: str, lost_after_s: float) -> Iterator[Connection]:
    """A connection of the user ops to gpu1, whose link has 80 Mbit/s."""
    target = Target(
        "gpu1", config_file=fleet.ssh_config, connect_timeout_s=20, lost_after_s=lost_after_s
    )
    shared = OpenSsh.of(target)
    if how == "openssh":
        assert shared.usable(), shared.problem
    else:
        without_openssh(shared)
    gpu1.slow("80mbit")
    with Connection(target) as connection:
        yield connection
    shared.close()
    OpenSsh.of.cache_clear()


@pytest.fixture(params=["openssh", "paramiko"])
def way(fleet: Fleet, gpu1: Host, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection that is lost after 4 s."""
    with over_80_mbit(fleet, gpu1, request.param, 4) as connection:
        yield connection


def test_files_go_there_and_back_and_belong_to_the_user(way: Connection, tmp_path: Path) -> None:
    file = random_file(tmp_path / "a", 5 * MIB)
    put_files(way, [file], CAS)
    get_file(way, f"{CAS}/{file.sha256}", tmp_path / "b", file.sha256)
    assert (tmp_path / "b").read_bytes() == file.path.read_bytes()
    owner = way.run(["stat", "-c", "%U", f"{CAS}/{file.sha256}"], timeout_s=LONG_S).stdout
    assert owner == b"ops\n"


@pytest.mark.parametrize("how", ["openssh", "paramiko"])
def test_a_short_cut_is_sat_out(
    how: str, fleet: Fleet, gpu1: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "EVERY_S", 0.0)
    file = random_file(tmp_path / "a", 10 * MIB)
    mending = threading.Timer(1, gpu1.mend)

    def cut(progress: TransferProgress) -> None:
        if progress.done > 2 * MIB and mending.ident is None:
            gpu1.cut()
            mending.start()

    with over_80_mbit(fleet, gpu1, how, 15) as way:
        put_files(way, [file], CAS, cut)
        mending.join()
        get_file(way, f"{CAS}/{file.sha256}", tmp_path / "b", file.sha256)
    assert (tmp_path / "b").read_bytes() == file.path.read_bytes()


def test_a_long_cut_is_told_and_both_ways_go_on_from_where_they_were(
    way: Connection, gpu1: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "EVERY_S", 0.0)
    file = random_file(tmp_path / "a", 20 * MIB)

    def cut(progress: TransferProgress) -> None:
        if progress.done > 8 * MIB:
            gpu1.cut()

    def whole_at_last() -> TransferProgress:
        seen: list[TransferProgress] = []
        put_files(way, [file], CAS, seen.append)
        get_file(way, f"{CAS}/{file.sha256}", tmp_path / "b", file.sha256, seen.append)
        return seen[0]

    with pytest.raises(LinkLost):
        put_files(way, [file], CAS, cut)
    gpu1.mend()
    assert whole_at_last().done > 2 * MIB
    (tmp_path / "b").unlink()
    with pytest.raises(LinkLost):
        get_file(way, f"{CAS}/{file.sha256}", tmp_path / "b", file.sha256, cut)
    assert not (tmp_path / "b").exists()
    gpu1.mend()
    assert whole_at_last().done > 8 * MIB
    assert (tmp_path / "b").read_bytes() == file.path.read_bytes()
