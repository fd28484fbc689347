"""Fixtures for all tests."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.support.postgres",  # before catalogs, which imports it
    "tests.page.run_at_work",
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

_IN_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 4 << 30  # a whole session leaves half a gigabyte
_TEMPORARY: Final = "PYTEST_DEBUG_TEMPROOT"


def pytest_configure(config: pytest.Config) -> None:
    """Put temporary directories into memory: each test waits for hundreds of fsyncs on a disk.

    Let interrupts reach the programs of tests also where a shell ignores them: `make test &`.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if config.option.basetemp or _TEMPORARY in os.environ or not _IN_MEMORY.is_dir():
        return
    executable = not os.statvfs(_IN_MEMORY).f_flag & os.ST_NOEXEC
    if executable and shutil.disk_usage(_IN_MEMORY).free > _ROOM:
        os.environ[_TEMPORARY] = str(_IN_MEMORY)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: there everything is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
