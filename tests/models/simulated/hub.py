"""Weights in the Hugging Face cache, and what a download says that cannot be made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from . import log
from .behaviour import Gated, Told, at_load


def home() -> Path:
    """HF_HOME."""
    return Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()


def cached(repository: str, name: str = "") -> bool:
    """Whether a file, or anything at all, of a repository is in the cache."""
    snapshots = home() / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots"
    for path in snapshots.glob(f"*/{name or '*'}"):
        if path.is_dir() or path.stat().st_size > 0:
            return True
    return False


def need(hf: Iterable[str], repository: str, name: str = "") -> None:
    """Fail like the download of what is not in the cache; `hf` is how the family calls `hf`."""
    if not cached(repository, name):
        package = __package__.partition(".")[0]
        where = "_src/imaginaire/utils" if package == "cosmos_transfer2" else "utils"
        path = f"{package}/{where}/checkpoint_db.py"
        log.info(f"Downloading checkpoint {repository}({name or 'all'})", path)
        fail(
            hf,
            repository,
            f"huggingface_hub.errors.LocalEntryNotFoundError: {name or repository} is not in "
            f"{home() / 'hub'} and outgoing traffic has been disabled",
        )


def fail_as_told(hf: Iterable[str], everything: Iterable[Told], gated_repo: str) -> None:
    """The behaviours `missing_checkpoint` and `gated` where weights are downloaded."""
    try:
        at_load(everything, str(home() / "hub"), gated_repo)
    except Gated as fault:
        fail(hf, gated_repo, f"huggingface_hub.errors.GatedRepoError: {fault}")
    except FileNotFoundError as fault:
        fail(hf, str(fault.filename), f"huggingface_hub.errors.LocalEntryNotFoundError: {fault}")


def fail(hf: Iterable[str], repository: str, reason: str) -> NoReturn:
    """The reason on standard error, then the error of the program that downloads."""
    print(reason, file=sys.stderr, flush=True)
    form = [] if __package__.startswith("cosmos_transfer2") else ["--format=json"]
    command = ["uvx", *hf, "download", *form, repository, "--repo-type", "model"]
    raise subprocess.CalledProcessError(1, command) from None
