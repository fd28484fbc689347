"""What ended orders have left on this machine, and the removal of inputs that no order uses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cosmos_pipelines.backends.base import Backend, KeptOrder, SweptFile, SweptKind
from cosmos_pipelines.errors import BackendError, CosmosError, InputError
from cosmos_pipelines.files import PART, files_below, remove
from cosmos_pipelines.remote.files import cas


def kept_order(backend: Backend, order_id: str) -> KeptOrder | None:
    """Return what an ended order has left; None if it runs, or the folder is no order's."""
    try:
        handle = backend.find(order_id)
        if handle is None or backend.alive(handle):
            return None
        order = backend.order_of(handle)
        folder = Path(handle.run_dir)
        own = [p for p in files_below(folder) if not p.is_relative_to(folder / "inputs")]
        stats = [folder.lstat(), *(p.lstat() for p in own)]
    except (BackendError, InputError, FileNotFoundError):  # not ours, or removed meanwhile
        return None
    idle_s = max(0.0, time.time() - max(s.st_mtime for s in stats))
    return KeptOrder(order_id, order.run_ids, idle_s, sum(s.st_size for s in stats[1:]))


def sweep(directory: Path, older_s: float, *, dry_run: bool) -> Iterator[SweptFile]:
    """Remove the inputs that no run folder links to; yield what they were."""
    for file, size in list(cas.unused(directory, older_s)):
        kind: SweptKind = "unfinished" if file.name.endswith(PART) else "inputs"
        problem = None
        try:
            if not dry_run:
                remove(file)
        except CosmosError as e:
            problem = str(e)
        yield SweptFile(kind, file.name, size, problem)
