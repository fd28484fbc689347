"""Which of the scenes of a directory are meant; of many nothing is done without a word. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cosmos_pipelines.errors import InputError

MANY: Final = 20
"""Scenes of a directory that are prepared at once without being asked for."""
NAMED: Final = 3
"""Scenes that a sentence names."""


def told_of_many(directory: Path, names: Sequence[str], *, everything: bool) -> str:
    """A sentence for people, before the scenes of a directory are made.

    Raises:
        InputError: they are many, and nobody said that all are meant.
    """
    said = f"{directory} holds {len(names)} scenes: {_named(names)}."
    if len(names) > MANY and not everything:
        which = f"`--scene {names[0]}`, several with * and ? in it, or all with `--all`"
        raise InputError(said, hint=f"Say which: {which}. `--plan` shows them.")
    return f"{said} All are prepared; `--scene NAME` prepares one."


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(name or "one without a name" for name in names[:NAMED]) + more
