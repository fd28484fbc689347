"""Stand-in hosts for the tests of the simulators."""

from __future__ import annotations

import pytest

from tests.models.running import Host, host_of

# programs, not tests; one of them is named test_environment.py
collect_ignore = ["transfer1", "transfer2_5", "cosmos3", "simulated", "bin"]


@pytest.fixture(scope="session")
def transfer1_host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host of Cosmos-Transfer1."""
    return host_of("transfer1", tmp_path_factory.mktemp("transfer1"))


@pytest.fixture(scope="session")
def transfer2_5_host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host of Cosmos-Transfer2.5."""
    return host_of("transfer2_5", tmp_path_factory.mktemp("transfer2_5"))


@pytest.fixture(scope="session")
def cosmos3_host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host of Cosmos 3."""
    return host_of("cosmos3", tmp_path_factory.mktemp("cosmos3"))
