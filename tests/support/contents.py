"""Files with content that nothing can guess, and what they should be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cosmos_pipelines.remote.files.transfer import LocalFile


def random_file(path: Path, size: int) -> LocalFile:
    """A new file of `size` random bytes, as it was measured."""
    content = os.urandom(size)
    path.write_bytes(content)
    return LocalFile(path, hashlib.sha256(content).hexdigest(), size)
