"""How the preparation of a scene tells its progress."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]
"""Called with the pass, the number of frames done and the number of frames in all."""
