"""Which OpenColorIO config is meant, without loading it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cosmos_pipelines.media.files import hash_of

BUILT_IN: Final = "ocio://cg-config-v4.0.0_aces-v2.0_ocio-v2.5"
"""Comes with OpenColorIO: ACES 2.0. Named by its version, so that a newer one changes no pixel."""


def config_named(asked: str | None) -> str:
    """The config asked for (a file or `ocio://...`), else that of $OCIO, else the built-in one."""
    return asked or os.environ.get("OCIO") or BUILT_IN


def mark_of_config(asked: str | None) -> str:
    """Changes with the config that is meant: its name if it is built in, else the file's SHA-256.

    Files that the config names are not looked at.

    Raises:
        MediaError: the file may not be read.
    """
    named = config_named(asked)
    if named.startswith("ocio://") or not Path(named).is_file():
        return named
    return hash_of(Path(named))
