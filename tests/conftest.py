"""Fixtures for all tests."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = [
    "tests.rig.fixtures",
    "tests.support.catalogs",
    "tests.support.disks",
    "tests.support.docker_listener",
    "tests.support.postgres",
    "tests.support.sshd",
    "tests.support.staged",
]

settings.register_profile("here", deadline=None)  # a busy machine is no failure
settings.load_profile("here")
