"""Execute orders of the preview engine without a backend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.operations import Job, Order

SCRIPTS = Path(__file__).parents[2] / "gpu_scripts"


@dataclass(frozen=True)
class Done:
    """A run folder after its order has ended."""

    folder: Path
    order: Order
    exit_code: int
    log: str

    def output(self, run_id: str) -> Path:
        """Return the expected output file of a run."""
        (name,) = (e.name for e in self.order.expected if e.run_id == run_id)
        return self.folder / "outputs" / name

    def outputs(self) -> list[str]:
        """Return the names of all files below `outputs/`."""
        return sorted(path.name for path in (self.folder / "outputs").glob("*"))


def place(jobs: Sequence[Job], folder: Path) -> Order:
    """Compile `jobs` and write the order's run folder."""
    order = Preview().compile(jobs, "order_1")
    (folder / "inputs").mkdir(parents=True)
    for name, video in order.inputs.items():
        shutil.copy(video.path, folder / "inputs" / name)
    for name, text in order.documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return order


def started_by(order: Order, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the order's command for its folder, and the environment."""
    places = {"run": str(folder), "scripts": str(SCRIPTS), "python": sys.executable}
    return order.command(**places), {**os.environ, **order.environment(**places)}


def carry_out(order: Order, folder: Path, *options: str) -> Done:
    """Run the order's program in its folder and wait for the end."""
    words, env = started_by(order, folder)
    done = subprocess.run(
        [*words, *options],
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Done(folder, order, done.returncode, done.stdout)


def made(jobs: Sequence[Job], folder: Path, *options: str) -> Done:
    """Write the run folder of `jobs` and execute the order."""
    return carry_out(place(jobs, folder), folder, *options)
