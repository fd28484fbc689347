"""Makes what a host of a model has: NVIDIA's checkout, checkpoints, the Hugging Face cache.

All three are stand-ins: simulators from this folder, small files with nothing in them that matters.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PACKAGE: Final = {
    "transfer1": "cosmos_transfer1",
    "transfer2_5": "cosmos_transfer2",
    "cosmos3": "cosmos_framework",
}
HUB: Final = {
    "models--facebook--sam2-hiera-large": "sam2_hiera_large.pt",
    "models--IDEA-Research--grounding-dino-tiny": "model.safetensors",
    "models--depth-anything--Depth-Anything-V2-Small-hf": "model.safetensors",
}
"""Models that compute controls, each with its weights."""
COMMIT: Final = {
    "GIT_AUTHOR_NAME": "Simulator",
    "GIT_AUTHOR_EMAIL": "simulator@example.com",
    "GIT_COMMITTER_NAME": "Simulator",
    "GIT_COMMITTER_EMAIL": "simulator@example.com",
    "GIT_AUTHOR_DATE": "2026-06-07T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-06-07T00:00:00Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def checkout(name: str, target: Path) -> str | None:
    """A stand-in checkout of one family in a new folder `target`; the id of its one commit.

    `name` is transfer1, transfer2_5 or cosmos3. None without git.
    """
    left_out = shutil.ignore_patterns("__pycache__", "missing_packages")
    shutil.copytree(HERE / name, target, ignore=left_out)
    shutil.copytree(HERE / "simulated", target / PACKAGE[name] / "simulated", ignore=left_out)
    return commit(target) if shutil.which("git") else None


def commit(target: Path) -> str:
    """Put all files of a folder into one commit."""
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Stand-in"]):
        subprocess.run(["git", *words], cwd=target, env=os.environ | COMMIT, check=True)
    head = ["git", "rev-parse", "HEAD"]
    return subprocess.run(head, cwd=target, check=True, capture_output=True, text=True).stdout[:40]


def checkpoint_names(name: str) -> list[str]:
    """All files of a family's checkpoints, relative to where `fake_checkpoints` puts them."""
    return (HERE / "checkpoints" / f"{name}.txt").read_text(encoding="utf-8").split()


def fake_checkpoints(name: str, target: Path) -> None:
    """Small files that are not empty; `target` is --checkpoint_dir of transfer1, else HF_HOME."""
    for file in checkpoint_names(name):
        path = target / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"SIMULATED {file}\n".encode())
        hub, _, rest = file.partition("/snapshots/")
        if rest:
            refer(target / hub, rest.partition("/")[0])


def fake_hub(target: Path) -> None:
    """A Hugging Face cache (HF_HOME) with the models that compute depth and segmentation."""
    for model, weights in HUB.items():
        snapshot = hashlib.sha1(model.encode()).hexdigest()
        path = target / "hub" / model / "snapshots" / snapshot / weights
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"SIMULATED {model}\n".encode())
        refer(target / "hub" / model, snapshot)


def refer(model: Path, snapshot: str) -> None:
    """Say which snapshot of a model is `main`."""
    (model / "refs").mkdir(exist_ok=True)
    (model / "refs" / "main").write_text(snapshot, encoding="utf-8")


def path_with_torchrun() -> str:
    """A PATH on which `torchrun` is the simulator and `python3` is this very Python."""
    first = (HERE / "bin", Path(sys.executable).parent)
    return os.pathsep.join([*map(str, first), os.environ["PATH"]])
