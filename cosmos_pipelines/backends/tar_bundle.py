"""What is sent to a host besides inputs, as small tar files: our scripts, an order's documents."""

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
"""Ours: beside the package, in a checkout as in an installation."""

COMPLETE: Final = "complete"
"""The last member of a bundle of scripts."""
SENT: Final = (".py", ".sh", ".json")
"""Endings of the files that a host needs; the others are for whoever sets it up."""


@dataclass(frozen=True)
class TarBundle:
    """A tar and the name that its content gives it."""

    name: str
    tar: bytes


@lru_cache
def scripts_bundle(directory: Path) -> TarBundle:
    """The files below a directory of scripts; equal content has an equal name."""
    files = [
        (path.relative_to(directory).as_posix(), with_lf(path.read_bytes()))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.suffix in SENT
    ]
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return TarBundle(digest.hexdigest()[:16], _tar([*files, (COMPLETE, b"")]))


def with_lf(text: bytes) -> bytes:
    """A text with Unix line ends: no shell starts `sh\\r`, as a checkout on Windows may have it."""
    return text.replace(b"\r\n", b"\n")


def order_bundle(order: Order, run: str) -> bytes:
    """The run folder of an order without its inputs; `order.json` comes last.

    `run`: what its program will call the folder.

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
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()
