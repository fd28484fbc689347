"""`gpu_scripts/checkpoints/checkpoints.py`, as a program, with a manifest, two places and a hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.hub import Hub, serving
from tests.support.waiting import LONG_S

SCRIPTS = Path(__file__).resolve().parents[3] / "gpu_scripts" / "checkpoints"
REPO = "maker/model"
BIG = bytes(range(256)) * 4096  # 1 MiB


def entry(path: str, **fields: Any) -> dict[str, Any]:
    """A row of a manifest."""
    row = {"repo": REPO, "path": path, "target": "checkpoints", "size": None, "md5": None}
    return {**row, "revision": None, "needed_for": ["transfer"], "gated": False, **fields}


@dataclass
class Said:
    """What the program left."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The last line."""
        value: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return value

    @property
    def problems(self) -> list[str]:
        """The lines that name one."""
        return [x.removeprefix("PROBLEM ") for x in self.out.splitlines() if "PROBLEM" in x]


@dataclass
class Places:
    """A manifest and the two places, in a directory of the test."""

    root: Path
    hub: Hub

    @property
    def checkpoints(self) -> Path:
        """The checkpoint directory."""
        return self.root / "checkpoints"

    @property
    def cache(self) -> Path:
        """The repository in the cache of Hugging Face."""
        return self.root / "hf" / "hub" / "models--maker--model"

    def manifest(self, *rows: dict[str, Any]) -> Path:
        """Write it."""
        file = self.root / "manifest.json"
        file.write_text(json.dumps({"engine": "test", "files": rows}))
        return file

    def environment(self, **more: str) -> dict[str, str]:
        """Where everything is; nothing of the caller's own tokens."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "COSMOS_"))}
        places = {"COSMOS_CHECKPOINTS": str(self.checkpoints), "HF_HOME": str(self.root / "hf")}
        return {**own, **places, "HF_ENDPOINT": self.hub.endpoint, **more}

    def start(self, manifest: Path, *words: str, **env: str) -> subprocess.Popen[str]:
        """The program, going on."""
        return subprocess.Popen(
            [sys.executable, f"{SCRIPTS}/checkpoints.py", "--pause=0.01", str(manifest), *words],
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, manifest: Path, *words: str, **env: str) -> Said:
        """The program to its end."""
        process = self.start(manifest, *words, **env)
        out, err = process.communicate(timeout=LONG_S)
        return Said(process.returncode, out, err)


@contextmanager
def placed(root: Path, address: str = "127.0.0.1") -> Iterator[Places]:
    """Empty places, and a hub with one repository."""
    with serving(address) as hub:
        hub.add(REPO, {"base.pt": BIG, "config.json": b'{"a": 1}', "sub/more.json": b"{}"})
        yield Places(root, hub)
