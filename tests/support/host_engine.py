"""An engine that needs a set-up of its host, with a stand-in for NVIDIA's checkout, on the rig.

The engine's code is a git repository on the host, its image a small one built from the rig's image,
its smoke test a program that imports nothing and prints what a file tells it to print.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.operations.base import Directory
from cosmos_pipelines.settings import Settings
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.project import settings_in

NAME = "rigged"
IMAGE = "cosmos-rig/rigged:1"
REPOSITORY = "/data/repository"
OWN = "data/cosmos/engines/rigged"

SMOKE = """\
import pathlib
print("\\033[92m[SUCCESS]\\033[0m torch found", flush=True)
if pathlib.Path("outputs/crash").exists():
    import os
    os.kill(os.getpid(), 11)
if pathlib.Path("outputs/broken").exists():
    print("\\033[91m[ERROR]\\033[0m Package not successfully imported: \\033[93mvllm\\033[0m")
"""
DOCKERFILE = """\
ARG BASE=cosmos-rig/preview:1
FROM ${BASE}
COPY requirements.txt /requirements.txt
RUN cat /requirements.txt >/built && echo "this is a step of the build"
"""
SETTINGS = """
[execution]
backend = "ssh_docker"
engine = "rigged"
grace_s = 2

[remote]
host = "gpu1"
ssh_config = "{config}"
remote_dir = "/data/cosmos"
connect_timeout_s = 10
lost_after_s = 4
wait_s = 20

[docker]
{docker}
"""


class Rigged(Preview):
    """The preview engine, as if it needed NVIDIA's code."""

    name: ClassVar[str] = NAME
    label: ClassVar[str] = "rigged for tests"


@dataclass
class Ready:
    """A project, a host without set-up, and a repository of the engine's code on both machines."""

    settings: Settings
    host: Host
    source: Path
    commit: str

    @property
    def own(self) -> Path:
        """The engine's directory on the host, as a path of this machine."""
        return self.host.root / OWN

    def code(self, name: str) -> bytes:
        """Return the content of a file of the code on the host."""
        return (self.own / "code" / name).read_bytes()

    def smoke_finds(self, what: str) -> None:
        """Let the next smoke test fail (`broken`) or `crash`; the code counts as unchanged."""
        self.put(f"code/outputs/{what}")

    def put(self, name: str) -> None:
        """Make an empty file of the host's user in the engine's directory."""
        file = self.own / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
        for path in (file, file.parent):
            os.chown(path, 2001, 2001)


def git(source: Path, *words: str) -> str:
    """Run git as a test user; return the output."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false"]
    done = subprocess.run(
        ["git", *who, "-C", str(source), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _commit(source: Path, message: str) -> str:
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", message)
    return git(source, "rev-parse", "HEAD")


def publish(host: Host, source: Path) -> None:
    """Copy the repository to the host; git refuses a directory in another machine's root."""
    target = host.root / REPOSITORY.lstrip("/")
    subprocess.run(["rm", "-rf", str(target)], check=True)
    subprocess.run(["cp", "-r", str(source / ".git"), str(target)], check=True)
    subprocess.run(["chown", "-R", "2001:2001", str(target)], check=True)


def make_repository(source: Path) -> str:
    """Make a stand-in for NVIDIA's checkout, with Windows' line ends; return its commit."""
    source.mkdir(parents=True)
    git(source, "init", "--quiet", "--initial-branch=main")
    (source / "smoke.py").write_bytes(SMOKE.encode().replace(b"\n", b"\r\n"))
    (source / "run.sh").write_bytes(b"#!/bin/sh\r\necho it runs\r\n")
    (source / "run.sh").chmod(0o755)
    (source / "requirements.txt").write_bytes(b"torch\r\n")
    (source / "assets").mkdir()
    (source / "assets" / "a b.txt").write_text("x")
    (source / "link").symlink_to("assets/a b.txt")
    return _commit(source, "first")


@contextmanager
def registered(setup: HostSetup) -> Iterator[None]:
    """Register the engine inside the block."""
    before = ENGINES.get(NAME)
    ENGINES[NAME] = type("Rigged", (Rigged,), {"setup": setup})()
    try:
        yield
    finally:
        del ENGINES[NAME]
        ENGINES.update({NAME: before} if before else {})


def setup_of(commit: str, dockerfile: Path, **fields: object) -> HostSetup:
    """Return the engine's set-up."""
    return HostSetup(
        repository=f"file://{REPOSITORY}",
        commit=commit,
        dockerfile=str(dockerfile),
        image=IMAGE,
        smoke=("{python}", "smoke.py"),
        manifest=str(Path(__file__).with_suffix(".json")),
        directories=tuple(
            Directory(name=name, source=f"engines/{NAME}/{name}", target=f"/cosmos/{name}")
            for name in ("code", "checkpoints", "huggingface")
        ),
        env={"HF_HUB_OFFLINE": "1"},
    ).model_copy(update=fields)


def settings_for(home: Path, fleet: Fleet, docker: str = "") -> Settings:
    """Return the settings of a project of the engine on the first host."""
    return settings_in(home, SETTINGS.format(config=fleet.ssh_config, docker=docker))


@pytest.fixture
def bare(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[Ready]:
    """A project whose engine is not set up on the first host yet."""
    gpu1.image("preview")
    for image in (IMAGE, "cosmos-rig/other:1", f"cosmos-new-{NAME}:failed"):
        gpu1.console("sh", "-c", f"docker rmi -f {image} >/dev/null 2>&1 || true")
    commit = make_repository(tmp_path / "source")
    publish(gpu1, tmp_path / "source")
    (tmp_path / "Dockerfile").write_bytes(DOCKERFILE.encode().replace(b"\n", b"\r\n"))
    os.environ.pop("HF_TOKEN", None)
    with registered(setup_of(commit, tmp_path / "Dockerfile")):
        settings = settings_for(tmp_path / "home", fleet)
        yield Ready(settings, gpu1, tmp_path / "source", commit)
