"""The small tar files that a host gets besides inputs: `gpu_scripts`, the documents of an order."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.operations.base import Order

SCRIPTS: Final = Path(__file__).resolve().parents[2] / "gpu_scripts"
"""Beside the package, both in a checkout and in an installation."""

COMPLETE: Final = "complete"
"""The last member of a bundle of scripts."""
SENT: Final = (".py", ".sh", ".json")
"""Endings of the files that an order needs on a host; the other files serve its set-up."""


@dataclass(frozen=True)
class TarBundle:
    """A tar, named by the hash of its content."""

    name: str
    tar: bytes


@lru_cache
def scripts_bundle(directory: Path) -> TarBundle:
    """Return the files below a directory of scripts; the name follows from names and content.

    A host computes the name from the unpacked files: `contents` in `backends.ssh.script`.
    """
    files = [
        (path.relative_to(directory).as_posix(), with_lf(path.read_bytes()))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.suffix in SENT
    ]
    files.append((COMPLETE, b""))
    lines = sorted(f"{hashlib.sha256(body).hexdigest()} ./{name}\n" for name, body in files)
    return TarBundle(hashlib.sha256("".join(lines).encode()).hexdigest()[:16], _tar(files))


def with_lf(text: bytes) -> bytes:
    """Return a text with Unix line ends: a shell cannot start `sh\\r` of a checkout on Windows."""
    return text.replace(b"\r\n", b"\n")


def order_bundle(order: Order, run: str) -> bytes:
    """Return the run folder of an order without its inputs; `order.json` is the last member.

    `run`: the folder's path for the order's program.

    Raises:
        InputError: a name leads out of the folder or into its records.
    """
    run_folder.check(order)
    text = order.model_dump_json(indent=1)
    files = [(name, body.encode()) for name, body in order.texts(run).items()]
    folders = {"inputs", "outputs", *(_parent(f"outputs/{e.name}") for e in order.expected)}
    return _tar([*files, (run_folder.ORDER, text.encode())], sorted(folders))


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _tar(files: Iterable[tuple[str, bytes]], folders: Iterable[str] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
