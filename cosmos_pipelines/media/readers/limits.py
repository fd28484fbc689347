"""How large a picture may be. A header is untrusted, and is believed before memory is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cosmos_pipelines.errors import MediaError

LONGEST: Final = 16384
"""Pixels of a side: more than H.264 can code, so that no control video could be made of it."""
MOST: Final = 1 << 27
"""Pixels of a picture: 16384x8192."""


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse a picture that would take all memory.

    Raises:
        MediaError: it is larger than any video could be, or has no pixels.
    """
    if width < 1 or height < 1:
        raise MediaError(f"{path} is damaged: it says that it is {width}x{height}.")
    if max(width, height) > LONGEST or width * height > MOST:
        raise MediaError(
            f"{path} says that it is {width}x{height}, which is too large for a video.",
            hint="Render it smaller, or again if it is damaged.",
        )
