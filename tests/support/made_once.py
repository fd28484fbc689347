"""What the tests of several workers copy or only read, and the first of the workers makes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def made_once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]
) -> tuple[Path, Any]:
    """A directory of the session by its name, and what `make` said (as JSON) when it made it.

    A worker that asks meanwhile waits. What a failed `make` left is removed for the next one.
    """
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    home, said = shared / name, shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            answer = json.dumps(make(home))
            said.write_text(answer, encoding="utf-8")
    return home, json.loads(said.read_text(encoding="utf-8"))
