"""Waiting runs become batches: several runs in one model load. Pure.

A batch never changes a pixel: runs share one only where the engine's batch key is equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from cosmos_pipelines.engines.base import Engine
from cosmos_pipelines.operations.base import Job


def plan(engine: Engine, jobs: Sequence[Job]) -> list[list[Job]]:
    """Group `jobs` of one engine into batches, in the order in which they came.

    Every job is in exactly one batch; all jobs of a batch have one batch key; no batch exceeds
    what the engine allows for its first job.
    """
    open_batches: dict[Hashable, list[Job]] = {}
    batches: list[list[Job]] = []
    for job in jobs:
        key = (job.operation.model_type, engine.batch_key(job))
        batch = open_batches.get(key)
        if batch is None or len(batch) >= engine.max_batch(batch[0]):
            batch = open_batches[key] = []
            batches.append(batch)
        batch.append(job)
    return batches
