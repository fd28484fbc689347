"""The command line as its user meets it: words in, exit code, stdout and stderr out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.cli import main
from tests.support.project import Project, make_project


@dataclass(frozen=True)
class Said:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, which must be JSON and nothing else."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        [line] = [x for x in self.err.splitlines() if x.startswith("error: ")]
        return line


Cosmos = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return make_project(tmp_path / "home")


@pytest.fixture
def cosmos(project: Project, capfd: pytest.CaptureFixture[str]) -> Cosmos:
    """Run a command on the project, in this process."""

    def run(*words: object) -> Said:
        capfd.readouterr()
        code = main(["--home", str(project.settings.home), *map(str, words)])
        return Said(code, *capfd.readouterr())

    return run


def spawn(
    *words: object,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    **options: Any,
) -> Said:
    """Run `cosmos` in a process of its own."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "cosmos_pipelines.cli", *map(str, words)],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        **options,
    )
    return Said(done.returncode, done.stdout, done.stderr)
