"""Which OpenColorIO config is meant, and by what it is known again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from cosmos_pipelines.media.files import hash_of

BUILT_IN: Final = "ocio://cg-config-v4.0.0_aces-v2.0_ocio-v2.5"
"""Comes with OpenColorIO: ACES 2.0. Named by its version, so that a newer one changes no pixel."""

SAYING: Final = ("colorInteropID", "oiio:ColorSpace", "colorspace", "acesImageContainerFlag")
"""Attributes of a file that name its colour space, the surest one first."""
CHROMATICITIES: Final = "chromaticities"
"""The attribute with the colours of red, green, blue and white."""


def config_named(asked: str | None) -> str:
    """The config asked for (a file or `ocio://...`), else that of $OCIO, else the built-in one."""
    return asked or os.environ.get("OCIO") or BUILT_IN


def mark_of_config(asked: str | None) -> str:
    """Changes with the config that is meant: its name if it is built in, else what its files hold.

    These are the config, and the tables that it names.

    Raises:
        MediaError: a file may not be read.
    """
    named = config_named(asked)
    if named.startswith("ocio://") or not Path(named).is_file():
        return named
    from cosmos_pipelines.media.colour.config_files import files_named_in

    whole = hash_of(Path(named))
    if not (tables := files_named_in(Path(named))):
        return whole
    texts = [whole, *(hash_of(path) for path in tables)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
