"""The project, the host and the orchestrators of a cell of the matrix."""

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
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.lease import LEASE_S
from cosmos_pipelines.runs.plan import plan_transfer
from tests.faults.model import pad
from tests.faults.orchestrator import PROGRAM
from tests.rig.fleet import Fleet
from tests.rig.host import Host, until
from tests.support.gpu_host import ROOT, SETTINGS
from tests.support.project import PASSES, settings_in, write_video
from tests.support.stand_in_engine import registered

LARGE: Final = 5 << 20
"""Bytes; a file of this size is sent and resumed alone, and takes seconds on a slow link."""
SLOW: Final = "8mbit"
END_S: Final = 60.0
"""Longest time in seconds to the end of an orchestrator."""

DOCKER: Final = """#!/bin/sh
# Says something first, and answers late: a started container runs for a while before the answer.
[ ! -e /opt/rig/said ] || cat /opt/rig/said
/usr/bin/docker "$@"; code=$?
while [ "$1" = run ] && [ -e /opt/rig/hold ]; do sleep 0.02; done
exit $code
"""


class Orchestrator:
    """A process that executes the run, with its output."""

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

    def printed(self, words: str) -> bool:
        """Whether the process printed `words`; fails if it ended without them."""
        ended = not self._reader.is_alive()
        if any(words in line for line in self.lines):
            return True
        assert not ended, f"the process ended before {words!r}:\n" + "\n".join(self.lines[-30:])
        return False

    def wait_for(self, words: str) -> None:
        """Wait until the process prints `words`."""
        until(lambda: self.printed(words), f"the words {words!r}")

    def go(self) -> None:
        """Let the process continue from the step where it stopped."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.write("\n")

    def freeze(self) -> None:
        """Stop the process, as on a laptop that was closed."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the frozen process continue."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process, as a full memory or an impatient user does."""
        self._process.kill()
        self._process.wait()

    def end(self, within_s: float = END_S) -> int:
        """Wait for the end; return the exit code. Kills the process if it does not end in time."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            tail = "\n".join(self.lines[-30:])
            raise AssertionError(f"no end within {within_s:g} s:\n{tail}") from None
        self._reader.join(10)
        return code


class Place:
    """A run of a project whose model is the stand-in on the host."""

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
        """Fills the project's disk."""
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
        self.docker_says(None)
        docker = root / "usr/local/bin/docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)

    def enter_run(self) -> Run:
        """Enter a pending run."""
        with registered(program=PROGRAM):
            prompt, _ = register_prompt(self.catalog, self.settings, "wait /models/gate", "city")
            planned = plan_transfer(self.catalog, self.settings, prompt.id, {}, engine="stand_in")
            self.run_id = enter(self.catalog, self.settings, planned).id
        return self.run

    @property
    def run(self) -> Run:
        """The run as it is in the catalog now."""
        return self.catalog.get_run(self.run_id)

    def orchestrate(self, step: str = "-") -> Orchestrator:
        """Start to execute the run in a new process, which stops at `step`."""
        made = Orchestrator(self.home, step, self.run_id, self.lease_s)
        self.orchestrators.append(made)
        return self.orchestrators[-1]

    def close(self) -> None:
        """Kill the orchestrators and close the catalog."""
        for orchestrator in self.orchestrators:
            orchestrator.kill()
        self.catalog.close()

    # On the host ------------------------------------------------------------------------------

    def close_gate(self) -> None:
        """Let the model wait after its first frame."""
        (self.models / "gate").touch()

    def open_gate(self) -> None:
        """Let the model continue."""
        if self.host.on:
            (self.host.root / "data/models/gate").unlink(missing_ok=True)

    def behave(self, words: str | None) -> None:
        """Set the model's behaviour from its next start on; None: the prompt's behaviour."""
        if words is None:
            (self.host.root / "data/models/behaviour").unlink(missing_ok=True)
        else:
            (self.models / "behaviour").write_text(words)

    def hold_answers(self) -> None:
        """Let `docker run` not answer until `release_answers`."""
        (self.host.root / "opt/rig/hold").touch()

    def release_answers(self) -> None:
        """Let Docker answer."""
        if self.host.on:
            (self.host.root / "opt/rig/hold").unlink(missing_ok=True)

    def docker_says(self, text: str | None) -> None:
        """Let Docker print this on standard output before each answer; None: only the answer."""
        said = self.host.root / "opt/rig/said"
        if text is None:
            said.unlink(missing_ok=True)
        else:
            said.write_text(text)

    def starts(self) -> list[str]:
        """Return the order's id of each start of the model."""
        log = self.host.root / "home/ops/starts/log"
        return log.read_text().split() if log.exists() else []

    def container(self) -> str:
        """Return the name of the running container."""
        (name,) = self.host.docker("ps", "--format={{.Names}}").split()
        return name

    def containers(self, *, running: bool = False) -> list[str]:
        """Return the names of all containers, or of the running containers."""
        which = [] if running else ["--all"]
        return self.host.docker("ps", *which, "--format={{.Names}}").split()

    def left_on_host(self) -> list[str]:
        """Return the run folders, half-written files and uploads on the host."""
        base = self.host.root / "data/cosmos"
        found = {*base.glob("runs/*"), *base.rglob("*.part"), *base.glob("cas/.incoming/*")}
        found -= {base / "runs/.lock", *base.glob("scripts/.*.damaged.*.part")}  # stay for a day
        return sorted(p.relative_to(base).as_posix() for p in found)

    def left_in_project(self) -> list[str]:
        """Return the half-written files in the project."""
        return sorted(p.relative_to(self.home).as_posix() for p in self.home.rglob("*.part"))

    # Large files on a slow link ---------------------------------------------------------------

    def enlarge_input(self) -> None:
        """Make the scene's colour pass a large file; call this before `enter_run`."""
        pad(self.settings.inputs / "city/color.mp4", LARGE)

    def enlarge_output(self) -> None:
        """Let the model make a large file."""
        (self.models / "padding").write_text(str(LARGE))

    def upload_begun(self) -> bool:
        """Whether a part of a large input is on the host."""
        return any(_bytes_in(self.host.root / "data/cosmos/cas"))

    def download_begun(self) -> bool:
        """Whether a part of the output is in the project."""
        return any(_bytes_in(self.settings.outputs / f"run_{self.run_id}"))


def _bytes_in(directory: Path) -> Iterator[int]:
    for part in directory.glob("*.part"):
        try:
            yield part.stat().st_size
        except FileNotFoundError:  # the file is whole now
            continue


@contextmanager
def small_disk(directory: Path, size: str = "64m") -> Iterator[Callable[[], None]]:
    """Mount a small disk at this directory; yield a function that fills it to the last byte."""
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
