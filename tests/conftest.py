"""Fixtures for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.support.postgres",  # before catalogs, which imports it
    "tests.rig.fixtures",
    "tests.rig.slurm",
    "tests.support.browser",
    "tests.support.catalogs",
    "tests.support.disks",
    "tests.support.docker_listener",
    "tests.support.gpu_host",
    "tests.support.guarded",
    "tests.support.host_engine",
    "tests.support.cosmos_host",  # imports it
    "tests.support.inboxes",
    "tests.support.queue_looks",
    "tests.support.sshd",
    "tests.support.staged",
]

settings.register_profile("here", deadline=None)  # a busy machine is no failure
settings.load_profile("here")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: there everything is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
