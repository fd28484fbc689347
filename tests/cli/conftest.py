"""The command line as its user meets it: words in, exit code, stdout and stderr out."""

from __future__ import annotations

import json
import os
import pty
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
    stdin_bytes: bytes = b"",
    **options: Any,
) -> Said:
    """Run `cosmos` in a process of its own."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "cosmos_pipelines.cli", *map(str, words)],
        env={**os.environ, **(env or {})},
        input=stdin_bytes,
        capture_output=True,
        check=False,
        **options,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


WITH_STAND_IN = """
import sys
from cosmos_pipelines.cli import main
from tests.support.stand_in_engine import registered
with registered():
    sys.exit(main())
"""
ROOT = Path(__file__).resolve().parents[2]


def start(project: Project, *words: object, **options: Any) -> subprocess.Popen[Any]:
    """A command on the project, in a process of its own that knows the stand-in for a model."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", WITH_STAND_IN, "--home", project.settings.home, *words],
        cwd=ROOT,
        **options,
    )


def on_terminal(
    project: Project,
    *words: str,
    typed: str = "",
    columns: int = 60,
    env: Mapping[str, str] | None = None,
) -> Said:
    """What a command shows on a terminal of its own, where stdout and stderr are one."""
    ours, theirs = pty.openpty()
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    surroundings = {**plain, "TERM": "xterm-256color", "COLUMNS": str(columns), **(env or {})}
    child = start(project, *words, stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings)
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux says so when the terminal's other side is closed
        pass
    code = child.wait()
    os.close(ours)
    return Said(code, shown.decode(), "")
