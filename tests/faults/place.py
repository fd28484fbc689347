"""The project, the place and the orchestrators of a cell of the matrix."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.runs import LEASE_S
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import Settings
from tests.faults.model import pad
from tests.rig.machine import REMOVED
from tests.support.gpu_host import ROOT
from tests.support.project import PASSES, settings_in, write_video
from tests.support.stand_in_engine import registered
from tests.support.waiting import LONG_S, until

LARGE: Final = 5 << 20
"""Bytes; a file of this size is sent and resumed alone, and takes seconds on a slow link."""
END_S: Final = LONG_S
"""Longest time in seconds to the end of an orchestrator."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""Cells are tested at once: the stand-in's path is in an engine of the process, and Alembic is
for one thread."""
_PROGRAM: Final = """\
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.faults import model
model.MODELS = Path({models!r})
model.STARTS = model.MODELS / "starts"
sys.exit(model.main(sys.argv[1]))
"""


class Orchestrator:
    """A process that executes the run, with its output."""

    def __init__(self, home: Path, step: str, run_id: str, lease_s: int, model: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.orchestrator", str(home), step, run_id],
            cwd=ROOT,
            env={**os.environ, "LEASE_S": str(lease_s), "MODEL": model},
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


class Place(ABC):
    """A run of a project whose model is the stand-in, and the place where it is executed.

    A fault calls the methods of the place; `faults.py` says which a kind of place has not.
    """

    backend: ClassVar[str]
    """The column of the matrix."""
    recorded: ClassVar[tuple[str, ...]] = ("container_id", "host")
    """What the record of a completed run must have."""
    stops: ClassVar[Mapping[str, str]] = {}
    """Where the orchestrator stops, if that is not as in `cell.STOPS`."""
    settings: Settings
    catalog: Catalog
    stand_in: str
    """The path of the model's program where it is executed."""
    gate_there: str
    """The path of the gate where the model is executed."""
    run_id: str

    def __init__(self, home: Path, fill: Callable[[], None]) -> None:
        self.home = home
        self.fill = fill
        """Fills the project's disk."""
        self.lease_s = LEASE_S
        self.orchestrators: list[Orchestrator] = []

    def make_project(self, text: str, *, catalog_apart: bool) -> None:
        """Write the settings and the scene, and open the catalog."""
        if catalog_apart:
            text = f'database_url = "sqlite:///{self.home.parent}/cosmos.db"\n{text}'
        self.settings = settings_in(self.home, text)
        for i, name in enumerate(PASSES):
            write_video(self.settings.inputs / "city" / f"{name}.mp4", seed=40 * i)
        with _ONE_AT_A_TIME:
            self.catalog = Catalog.open(self.settings.catalog_url)

    def enter_run(self) -> Run:
        """Enter a pending run."""
        with _ONE_AT_A_TIME, registered(program=self.stand_in):
            text = f"wait {self.gate_there}"
            prompt, _ = register_prompt(self.catalog, self.settings, text, "city")
            planned = plan_transfer(self.catalog, self.settings, prompt.id, {}, engine="stand_in")
            self.run_id = enter(self.catalog, self.settings, planned).id
        return self.run

    @property
    def run(self) -> Run:
        """The run as it is in the catalog now."""
        return self.catalog.get_run(self.run_id)

    def orchestrate(self, step: str = "-") -> Orchestrator:
        """Start to execute the run in a new process, which stops at `step`."""
        made = Orchestrator(self.home, step, self.run_id, self.lease_s, self.stand_in)
        self.orchestrators.append(made)
        return made

    def close(self) -> None:
        """Kill the orchestrators and close the catalog."""
        for orchestrator in self.orchestrators:
            orchestrator.kill()
        self.catalog.close()

    # The model --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def models(self) -> Path:
        """The directory of the model's program, gate and behaviour."""

    def close_gate(self) -> None:
        """Let the model wait after its first frame."""
        (self.models / "gate").touch()

    def open_gate(self) -> None:
        """Let the model continue."""
        (self.models / "gate").unlink(missing_ok=True)

    def behave(self, words: str | None) -> None:
        """Set the model's behaviour from its next start on; None: the prompt's behaviour."""
        if words is None:
            (self.models / "behaviour").unlink(missing_ok=True)
        else:
            (self.models / "behaviour").write_text(words)

    @abstractmethod
    def starts(self) -> list[str]:
        """Return the order's id of each start of the model."""

    # What a host's carrier answers ------------------------------------------------------------

    def hold_answers(self) -> None:  # noqa: B027
        """Let the start of an order not be answered until `release_answers`."""

    def release_answers(self) -> None:  # noqa: B027
        """Let it be answered."""

    # Large files on a slow link ---------------------------------------------------------------

    @abstractmethod
    def files(self) -> Path:
        """Return the directory with `cas` and `runs`, where orders are executed."""

    def enlarge_input(self) -> None:
        """Make the scene's colour pass a large file; call this before `enter_run`."""
        pad(self.settings.inputs / "city/color.mp4", LARGE)

    def enlarge_output(self) -> None:
        """Let the model make a large file."""
        (self.models / "padding").write_text(str(LARGE))

    def slow_link(self) -> None:  # noqa: B027
        """Let a large file take seconds."""

    def usual_link(self) -> None:  # noqa: B027
        """Let files be as fast as usual."""

    def upload_begun(self) -> bool:
        """Whether a part of a large input has arrived."""
        return any(_bytes_in(self.files() / "cas"))

    def download_begun(self) -> bool:
        """Whether a part of the output is in the project."""
        return any(_bytes_in(self.settings.outputs / f"run_{self.run_id}"))

    # What is left -----------------------------------------------------------------------------

    def containers(self, *, running: bool = False) -> list[str]:
        """Return what the carrier has still of orders; `running`: only what runs."""
        return []

    def left_there(self) -> list[str]:
        """Return the run folders, half-written files and uploads where orders are executed."""
        base = self.files()
        found = {*base.glob("runs/*"), *base.rglob("*.part"), *base.glob("cas/.incoming/*")}
        found -= {base / "runs/.lock", *base.glob("scripts/.*.damaged.*.part")}  # stay for a day
        return sorted(p.relative_to(base).as_posix() for p in found)

    def left_in_project(self) -> list[str]:
        """Return the half-written files in the project."""
        return sorted(p.relative_to(self.home).as_posix() for p in self.home.rglob("*.part"))

    # Strikes that every kind of place knows ---------------------------------------------------

    @abstractmethod
    def end_order(self) -> None:
        """End the order that runs, as another user may do."""

    def remove_folder(self) -> None:
        """Remove the run folder, as somebody who tidies up."""
        subprocess.run([*REMOVED, self.files() / "runs" / str(self.run.batch_id)], check=True)


def stand_in_at(models: Path) -> Path:
    """Write the model's program for a place whose files are ours; return its path."""
    (models / "starts").mkdir(parents=True)
    program = models / "model.py"
    program.write_text(_PROGRAM.format(root=str(ROOT), models=str(models)))
    return program


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
