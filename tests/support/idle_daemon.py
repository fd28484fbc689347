"""A project with Dagster's real daemon, which evaluates sensors and starts no Dagster run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos_pipelines.resources.instance import instance_directory
from cosmos_pipelines.settings import environment_of
from tests.support.project import Project, make_project

NOTHING_STARTS = """\
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config: {max_concurrent_runs: 0}
telemetry: {enabled: false}
"""


@contextmanager
def project_with_idle_daemon(home: Path) -> Iterator[Project]:
    """Make a project with a scene; its daemon lives inside the block."""
    made = make_project(home)
    made.scene()
    (instance_directory(made.settings) / "dagster.yaml").write_text(NOTHING_STARTS)
    daemon = subprocess.Popen(
        [sys.executable, "-m", "cosmos_pipelines.daemon"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=made.settings.home,
        env=environment_of(made.settings),
    )
    yield made
    assert daemon.stdin is not None
    daemon.stdin.close()
    daemon.wait()
    made.catalog.close()
