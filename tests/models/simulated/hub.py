"""Weights in the Hugging Face cache, and what a download says that cannot be made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from . import log
from .behaviour import Gated, Told, at_load


def home() -> Path:
    """HF_HOME."""
    return Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()


def cached(
    repository: str, name: str = "", revision: str = "main", hub: Path | None = None
) -> bool:
    """Whether a file, or anything at all, of a revision is where libraries look while offline."""
    model = (hub or home() / "hub") / f"models--{repository.replace('/', '--')}"
    ref = model / "refs" / revision
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
    for path in (model / "snapshots" / commit).glob(name or "*"):
        if path.is_dir() or path.stat().st_size > 0:
            return True
    return False


def need(
    hf: Sequence[str], repository: str, name: str = "", revision: str = "main", include: str = "*"
) -> None:
    """Fail like the download of what is not in the cache; `hf` is how the family calls `hf`.

    A file is asked for by its name, a directory by a pattern (`include`).
    """
    if not cached(repository, name, revision):
        words = [name] if name and include == "*" else ["--include", include]
        package = __package__.partition(".")[0]
        where = "_src/imaginaire/utils" if package == "cosmos_transfer2" else "utils"
        path = f"{package}/{where}/checkpoint_db.py"
        log.info(f"Downloading checkpoint {repository}({name or 'all'})", path)
        fail(
            hf,
            repository,
            f"huggingface_hub.errors.LocalEntryNotFoundError: {name or repository} is not in "
            f"{home() / 'hub'} and outgoing traffic has been disabled",
            ["--revision", revision, *words],
        )


def load(repository: str, hub: Path | None = None) -> None:
    """Fail like `from_pretrained` of transformers for a model that is not in the cache."""
    if not cached(repository, "config.json", hub=hub):
        raise OSError(
            "We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find "
            "them in the cached files.\nCheck your internet connection or see how to run the "
            "library in offline mode at "
            "'https://huggingface.co/docs/transformers/installation#offline-mode'."
        )


def fail_as_told(hf: Sequence[str], everything: Iterable[Told], gated_repo: str) -> None:
    """The behaviours `missing_checkpoint` and `gated` where weights are downloaded."""
    try:
        at_load(everything, str(home() / "hub"), gated_repo)
    except Gated as fault:
        fail(hf, gated_repo, f"huggingface_hub.errors.GatedRepoError: {fault}")
    except FileNotFoundError as fault:
        fail(hf, str(fault.filename), f"huggingface_hub.errors.LocalEntryNotFoundError: {fault}")


def fail(
    hf: Sequence[str], repository: str, reason: str, more: Sequence[str] = ("--revision", "main")
) -> NoReturn:
    """The reason on standard error, then the error of the program that downloads."""
    print(reason, file=sys.stderr, flush=True)
    command = [*hf, repository, "--repo-type", "model", *more]
    raise subprocess.CalledProcessError(1, command) from None
