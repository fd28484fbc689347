"""A project whose runs are executed in containers on a host of the rig."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosmos_pipelines.backends.registry import host_backend
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import Settings
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.project import PASSES, settings_in, write_video
from tests.support.stand_in_engine import PROGRAM, registered
from tests.support.templates import lay_catalog

ROOT = Path(__file__).resolve().parents[2]
MODELS = "/data/models"
STAND_IN = "/models/stand_in.py"

SETTINGS = """
[execution]
backend = "ssh_docker"
engine = "stand_in"
grace_s = 2

[remote]
host = "gpu1"
ssh_config = "{config}"
remote_dir = "/data/cosmos"
connect_timeout_s = 10
lost_after_s = {lost_after_s}
wait_s = {wait_s}

[docker]
image = "cosmos-rig/preview:1"
mounts = ["/data/models:/models:ro"]
"""


@dataclass(frozen=True)
class RemoteProject:
    """A project with the scene `city`, whose model is the stand-in on the first host."""

    settings: Settings
    catalog: Catalog
    backend: SshBackend
    host: Host

    def pending(self, text: str = "works", *, engine: str = "stand_in", **fields: object) -> Run:
        """Enter a pending run; `text` is the behaviour of the stand-in."""
        prompt, _ = register_prompt(self.catalog, self.settings, text, "city")
        planned = plan_transfer(self.catalog, self.settings, prompt.id, fields, engine=engine)
        return enter(self.catalog, self.settings, planned)

    def held(self) -> Run:
        """Enter a run whose model waits after its first frame, until `go_on`."""
        (self.host.root / "data/models/gate").touch()
        return self.pending("wait /models/gate")

    def go_on(self) -> None:
        """Let the models of held runs go on."""
        (self.host.root / "data/models/gate").unlink()

    def execute(self, *runs: Run) -> list[Run]:
        """Execute runs in this process."""
        return execute_runs(
            [run.id for run in runs],
            catalog=self.catalog,
            settings=self.settings,
            backend=self.backend,
        )

    def in_another_process(self, *runs: Run) -> subprocess.Popen[str]:
        """Execute runs in another process."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.orchestrator", str(self.settings.home)]
            + [run.id for run in runs],
            cwd=ROOT,
            env={**os.environ, "STAND_IN": STAND_IN},
            stdout=subprocess.PIPE,
            text=True,
        )

    def model_log(self, run: Run) -> str:
        """Return the downloaded log of a run's model."""
        folder = self.settings.outputs / f"run_{run.id}"
        return (folder / "logs" / "run.log").read_text()

    def containers(self) -> list[str]:
        """Return the names of all containers on the host."""
        return self.host.docker("ps", "--all", "--format={{.Names}}").split()

    def left_on_host(self) -> list[str]:
        """Return the names of run folders and half-written files on the host."""
        runs = (self.host.root / "data/cosmos/runs").glob("*")
        parts = (self.host.root / "data/cosmos").rglob("*.part")
        return sorted({path.name for path in (*runs, *parts)} - {".lock"})


def remote_project(
    home: Path, fleet: Fleet, host: Host, *, wait_s: float = 60, lost_after_s: float = 4
) -> RemoteProject:
    """Make the project, with image and stand-in on the host."""
    host.image("preview")
    models = host.root / MODELS.lstrip("/")
    models.mkdir()
    (models / PROGRAM.name).write_bytes(PROGRAM.read_bytes())
    values = {"config": fleet.ssh_config, "wait_s": wait_s, "lost_after_s": lost_after_s}
    settings = settings_in(home, SETTINGS.format(**values))
    for i, name in enumerate(PASSES):
        write_video(settings.inputs / "city" / f"{name}.mp4", seed=40 * i)
    backend = host_backend(settings)
    lay_catalog(settings.catalog_url)
    return RemoteProject(settings, Catalog.open(settings.catalog_url), backend, host)


@pytest.fixture
def remote(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[RemoteProject]:
    """A project on the first host."""
    with registered(program=STAND_IN):
        project = remote_project(tmp_path / "home", fleet, gpu1)
        yield project
        project.backend.close()
        project.catalog.close()
