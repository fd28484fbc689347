"""Where a cell of the matrix happens: a project here, a host there, orchestrators in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.lease import LEASE_S
from cosmos_pipelines.runs.plan import enter, plan_transfer
from tests.faults.model import pad
from tests.faults.orchestrator import PROGRAM
from tests.rig.fleet import Fleet
from tests.rig.host import Host, until
from tests.support.gpu_host import ROOT, SETTINGS
from tests.support.project import PASSES, settings_in, write_video
from tests.support.stand_in_engine import registered

LARGE: Final = 5 << 20
"""Bytes; such a file is sent and resumed alone, and takes seconds on a slow link."""
SLOW: Final = "8mbit"
END_S: Final = 60.0
"""Seconds in which any orchestrator comes to its end."""

DOCKER: Final = """#!/bin/sh
# Answers late: a container that was started runs for a while before anybody is told.
/usr/bin/docker "$@"; code=$?
while [ "$1" = run ] && [ -e /opt/rig/hold ]; do sleep 0.02; done
exit $code
"""


class Orchestrator:
    """A process that executes the run, and what it says."""

    def __init__(self, home: Path, step: str, run_id: str, lease_s: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.orchestrator", str(home), step, run_id],
            cwd=ROOT,
            env={**os.environ, "LEASE_S": str(lease_s)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def said(self, words: str) -> bool:
        """Whether it said this; fails when it has ended without."""
        ended = not self._reader.is_alive()
        if any(words in line for line in self.lines):
            return True
        assert not ended, f"it ended before {words!r}:\n" + "\n".join(self.lines[-30:])
        return False

    def wait_for(self, words: str) -> None:
        """Wait until it says this."""
        until(lambda: self.said(words), f"the words {words!r}")

    def go(self) -> None:
        """Let it go on from where it stopped."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.write("\n")

    def freeze(self) -> None:
        """Let it stand still, as on a laptop that was closed."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had been."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it as a full memory or an impatient user does."""
        self._process.kill()
        self._process.wait()

    def end(self, within_s: float = END_S) -> int:
        """Its exit code; it is killed if it does not come to its end."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            tail = "\n".join(self.lines[-30:])
            raise AssertionError(f"it did not end within {within_s:g} s:\n{tail}") from None
        self._reader.join(10)
        return code


class Place:
    """One run of one project, whose model is the stand-in on the host."""

    def __init__(
        self,
        home: Path,
        fleet: Fleet,
        host: Host,
        wait_s: float,
        fill: Callable[[], None],
        *,
        catalog_apart: bool = False,
    ) -> None:
        self.home, self.host = home, host
        self.fill = fill
        """Fills the disk that the project is on."""
        self._prepare_host()
        text = SETTINGS.format(config=fleet.ssh_config, wait_s=wait_s, lost_after_s=3)
        text = text.replace("connect_timeout_s = 3", "connect_timeout_s = 2")
        text = text.replace(':/models:ro"]', ':/models:ro", "/home/ops/starts:/starts"]')
        if catalog_apart:
            text = f'database_url = "sqlite:///{home.parent}/cosmos.db"\n{text}'
        self.settings = settings_in(home, text)
        for i, name in enumerate(PASSES):
            write_video(self.settings.inputs / "city" / f"{name}.mp4", seed=40 * i)
        self.catalog = Catalog.open(self.settings.catalog_url)
        self.lease_s = LEASE_S
        self.orchestrators: list[Orchestrator] = []

    def _prepare_host(self) -> None:
        self.host.image("preview")
        root = self.host.root
        self.models = root / "data/models"
        self.models.mkdir()
        for program in (ROOT / "tests/models/stand_in.py", ROOT / "tests/faults/model.py"):
            (self.models / program.name).write_bytes(program.read_bytes())
        starts = root / "home/ops/starts"
        starts.mkdir()
        starts.chmod(0o777)
        self.close_gate()
        docker = root / "usr/local/bin/docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)

    def enter_run(self) -> Run:
        """A pending run."""
        with registered(program=PROGRAM):
            prompt, _ = register_prompt(self.catalog, self.settings, "wait /models/gate", "city")
            planned = plan_transfer(self.catalog, self.settings, prompt.id, {}, engine="stand_in")
            self.run_id = enter(self.catalog, self.settings, planned).id
        return self.run

    @property
    def run(self) -> Run:
        """The run as the catalog has it now."""
        return self.catalog.get_run(self.run_id)

    def orchestrate(self, step: str = "-") -> Orchestrator:
        """Begin to execute the run in a process of its own, which stops at `step`."""
        made = Orchestrator(self.home, step, self.run_id, self.lease_s)
        self.orchestrators.append(made)
        return self.orchestrators[-1]

    def close(self) -> None:
        """End what is left of it here."""
        for orchestrator in self.orchestrators:
            orchestrator.kill()
        self.catalog.close()

    # On the host ------------------------------------------------------------------------------

    def close_gate(self) -> None:
        """Let the model wait after its first frame."""
        (self.models / "gate").touch()

    def open_gate(self) -> None:
        """Let the model go on."""
        if self.host.on:
            (self.host.root / "data/models/gate").unlink(missing_ok=True)

    def behave(self, words: str | None) -> None:
        """Let the model do this from its next start on; None: its work."""
        if words is None:
            (self.host.root / "data/models/behaviour").unlink(missing_ok=True)
        else:
            (self.models / "behaviour").write_text(words)

    def hold_answers(self) -> None:
        """From now on Docker does not answer to `run` until `release_answers`."""
        (self.host.root / "opt/rig/hold").touch()

    def release_answers(self) -> None:
        """Let Docker answer."""
        if self.host.on:
            (self.host.root / "opt/rig/hold").unlink(missing_ok=True)

    def starts(self) -> list[str]:
        """The order's id for each start of the model."""
        log = self.host.root / "home/ops/starts/log"
        return log.read_text().split() if log.exists() else []

    def container(self) -> str:
        """The name of the container that runs."""
        (name,) = self.host.docker("ps", "--format={{.Names}}").split()
        return name

    def containers(self, *, running: bool = False) -> list[str]:
        """Names of all containers, or of those that run."""
        which = [] if running else ["--all"]
        return self.host.docker("ps", *which, "--format={{.Names}}").split()

    def left_there(self) -> list[str]:
        """Run folders, half-written files and uploads on the host."""
        ours = self.host.root / "data/cosmos"
        found = {*ours.glob("runs/*"), *ours.rglob("*.part"), *ours.glob("cas/.incoming/*")}
        return sorted(p.relative_to(ours).as_posix() for p in found if p.name != ".lock")

    def left_here(self) -> list[str]:
        """Half-written files in the project."""
        return sorted(p.relative_to(self.home).as_posix() for p in self.home.rglob("*.part"))

    # Large files on a slow link ---------------------------------------------------------------

    def enlarge_input(self) -> None:
        """Make the scene's colour pass a file that takes its time; before the run is entered."""
        pad(self.settings.inputs / "city/color.mp4", LARGE)

    def enlarge_output(self) -> None:
        """Let the model make such a file."""
        (self.models / "padding").write_text(str(LARGE))

    def upload_begun(self) -> bool:
        """Whether a part of a large input is there."""
        return any(_bytes_in(self.host.root / "data/cosmos/cas"))

    def download_begun(self) -> bool:
        """Whether a part of the output is here."""
        return any(_bytes_in(self.settings.outputs / f"run_{self.run_id}"))


def _bytes_in(directory: Path) -> Iterator[int]:
    for part in directory.glob("*.part"):
        try:
            yield part.stat().st_size
        except FileNotFoundError:  # it is whole now
            continue


@contextmanager
def small_disk(directory: Path, size: str = "64m") -> Iterator[Callable[[], None]]:
    """A disk of its own at this directory; what is yielded fills it to the last byte."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], check=True)
    filler = directory / ".filler"

    def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            for chunk in (b"x" * (1 << 20), b"x" * 4096, b"x"):
                try:
                    while file.write(chunk):
                        pass
                except OSError:
                    continue
            os.fsync(file.fileno())

    try:
        yield fill
    finally:
        subprocess.run(["umount", "-l", directory], check=True)
