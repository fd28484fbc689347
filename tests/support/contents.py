"""Files of random content, with their hash and size."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cosmos_pipelines.remote.files.transfer import LocalFile


def random_file(path: Path, size: int) -> LocalFile:
    """Write a file of `size` random bytes; return it with its hash and size."""
    content = os.urandom(size)
    path.write_bytes(content)
    return LocalFile(path, hashlib.sha256(content).hexdigest(), size)
