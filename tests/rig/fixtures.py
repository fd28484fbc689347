"""Fixtures of the rig. Tests with hosts run on one worker, those with a Slurm cluster on one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cosmos_pipelines.remote.ssh.connection import Connection, Target
from tests.rig.fleet import Fleet, missing
from tests.rig.host import Host


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A session starts one fleet, on one worker, and one cluster, which another may start."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        for fixture in ("fleet", "slurm_session"):
            if fixture in names:
                item.add_marker(pytest.mark.xdist_group(fixture))
                break


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Hosts gpu1 and gpu2, booted; skips with the reason if the rig cannot run."""
    if reason := missing():
        pytest.skip(reason)
    fleet = Fleet()
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture
def gpu1(fleet: Fleet) -> Iterator[Host]:
    """The first host, healed before and after the test."""
    yield from _healed(fleet.hosts["gpu1"])


@pytest.fixture
def gpu2(fleet: Fleet) -> Iterator[Host]:
    """The second host, healed before and after the test."""
    yield from _healed(fleet.hosts["gpu2"])


def _healed(host: Host) -> Iterator[Host]:
    if not host.whole:  # the healing after another test failed
        host.heal()
    host.whole = False
    yield host
    host.heal()


@pytest.fixture
def at_gpu1(fleet: Fleet, gpu1: Host) -> Target:
    """The first host by its alias, as user ops."""
    return Target("gpu1", config_file=fleet.ssh_config)


@pytest.fixture
def connection(at_gpu1: Target) -> Iterator[Connection]:
    """A connection to the first host, which notices a dead link after 15 s."""
    with Connection(at_gpu1) as connection:
        yield connection


@pytest.fixture
def impatient(at_gpu1: Target) -> Iterator[Connection]:
    """A connection to the first host that takes a silent link for lost after 4 s."""
    with Connection(replace(at_gpu1, connect_timeout_s=20, lost_after_s=4)) as connection:
        yield connection
