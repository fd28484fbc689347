"""Fixtures of the rig. Tests that use them run on one worker: `xdist_group("rig")`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig.fleet import Fleet, missing
from tests.rig.host import Host


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all tests of the rig together, so that a session starts one fleet."""
    for item in items:
        if "fleet" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("rig"))


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Hosts gpu1 and gpu2, booted; skipped with the reason where the rig cannot run."""
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
    """The first host, whole before and after the test."""
    yield from _healed(fleet.hosts["gpu1"])


@pytest.fixture
def gpu2(fleet: Fleet) -> Iterator[Host]:
    """The second host, whole before and after the test."""
    yield from _healed(fleet.hosts["gpu2"])


def _healed(host: Host) -> Iterator[Host]:
    host.heal()
    yield host
    host.heal()
