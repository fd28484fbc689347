"""Connections to a real sshd of this session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosmos_pipelines.remote.ssh.connection import Connection, Target
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from tests.support.sshd import Sshd
from tests.support.ways import without_openssh


@pytest.fixture
def target(sshd: Sshd) -> Target:
    """The server as the host `loop` of a configuration of its own."""
    return Target("loop", config_file=sshd.config)


@pytest.fixture
def loop(target: Target) -> Iterator[Connection]:
    """A connection to it; both ways may be used."""
    with Connection(target) as connection:
        yield connection
    OpenSsh.of(target).close()
    OpenSsh.of.cache_clear()


@pytest.fixture(params=["openssh", "paramiko"])
def way(loop: Connection, request: pytest.FixtureRequest) -> Connection:
    """A connection for much, by one way and by the other."""
    shared = OpenSsh.of(loop.target)
    if request.param == "openssh":
        assert shared.usable(), shared.problem
    else:
        without_openssh(shared)
    return loop
