"""A checkpoint of the user's own, which the model loads instead of NVIDIA's weights. Pure."""

from __future__ import annotations

import posixpath
from typing import Final

from cosmos_pipelines.operations.base import OWN_CHECKPOINT, Directory

VARIABLE: Final = "COSMOS_OWN_CHECKPOINT"
"""Its path inside a container, which `model_needs.py` checks before the load."""


def is_own(checkpoint: str) -> bool:
    """Whether a setting is a path on the host, and not a name."""
    return checkpoint.startswith("/")


def check_path(checkpoint: str) -> None:
    """Refuse a path that has more than one spelling, or a character that no log line shows.

    Raises:
        ValueError: the path is not a plain absolute path.
    """
    if checkpoint != posixpath.normpath(checkpoint) or not checkpoint.isprintable():
        raise ValueError(f"{checkpoint!r} is not a plain absolute path")


def directory_of(checkpoint: str) -> Directory:
    """Return the directory that a container needs for a checkpoint: a directory, or a .pt file's.

    The path inside ends as on the host: Cosmos 3 finds the name of a training in it.
    """
    source = posixpath.dirname(checkpoint) if _is_file(checkpoint) else checkpoint
    return Directory(name=OWN_CHECKPOINT, source=source, target=f"/cosmos/{OWN_CHECKPOINT}{source}")


def argument_of(checkpoint: str) -> str:
    """Return the checkpoint's path for the model's command line."""
    name = f"/{posixpath.basename(checkpoint)}" if _is_file(checkpoint) else ""
    return f"{{{OWN_CHECKPOINT}}}{name}"


def _is_file(checkpoint: str) -> bool:
    return checkpoint.endswith(".pt")
