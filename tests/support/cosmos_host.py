"""A project whose runs use simulators of NVIDIA's models, in containers of the rig."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cosmos_pipelines.backends.registry import host_backend
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES
from tests.models.trees import checkout, fake_checkpoints, fake_hub
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.cosmos_models import FAMILY
from tests.support.gpu_host import SETTINGS, RemoteProject
from tests.support.project import settings_in, write_video
from tests.support.templates import lay_catalog

REMOTE_DIR: Final = "data/cosmos"
PASSES: Final = ("color", "depth", "segmentation", "edge", "vis")
FRAMES: Final = 26


def install(host: Host, engine: str, here: Path) -> None:
    """Put simulated code, weights and image on a host, as `cosmos host setup` would."""
    family, own = FAMILY[engine], host.root / REMOTE_DIR / "engines" / engine
    own.mkdir(parents=True)
    checkout(family, here / "code")  # git refuses a directory in another machine's root
    shutil.copytree(here / "code", own / "code")
    for name in ("checkpoints", "huggingface"):
        (own / name).mkdir()
    fake_hub(own / "huggingface")
    fake_checkpoints(family, own / ("checkpoints" if family == "transfer1" else "huggingface"))
    host.image("models")
    setup = ENGINES[engine].setup
    assert setup is not None
    host.docker("tag", "cosmos-rig/models:1", setup.image)
    subprocess.run(["chown", "-R", "2001:2001", str(host.root / REMOTE_DIR)], check=True)


def cosmos_host(home: Path, fleet: Fleet, host: Host, engine: str, more: str = "") -> RemoteProject:
    """Make a project of this engine on this host, with the scene `city` in all five passes.

    `more`: further lines of the engine's table.
    """
    install(host, engine, home.with_name(engine))
    text = SETTINGS.format(config=fleet.ssh_config, wait_s=30, lost_after_s=4)
    text = text.replace('engine = "stand_in"', f'engine = "{engine}"')
    text += f"\n[{engine}]\nram_gib = 0\n{more}"
    settings = settings_in(home, text.replace('mounts = ["/data/models:/models:ro"]', ""))
    for i, name in enumerate(PASSES):
        write_video(settings.inputs / "city" / f"{name}.mp4", seed=40 * i, frames=FRAMES)
    backend = host_backend(settings)
    lay_catalog(settings.catalog_url)
    return RemoteProject(settings, Catalog.open(settings.catalog_url), backend, host)


def _opened(home: Path, fleet: Fleet, host: Host, engine: str) -> Iterator[RemoteProject]:
    project = cosmos_host(home, fleet, host, engine)
    yield project
    project.backend.close()
    project.catalog.close()


@pytest.fixture
def transfer1(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[RemoteProject]:
    """A project of Cosmos-Transfer1 on the first host, simulated."""
    yield from _opened(tmp_path / "home", fleet, gpu1, "cosmos_transfer1")


@pytest.fixture
def transfer2_5(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[RemoteProject]:
    """A project of Cosmos-Transfer2.5 on the first host, simulated."""
    yield from _opened(tmp_path / "home", fleet, gpu1, "cosmos_transfer2_5")


@pytest.fixture
def cosmos3(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[RemoteProject]:
    """A project of Cosmos 3 on the first host, simulated."""
    yield from _opened(tmp_path / "home", fleet, gpu1, "cosmos3")
