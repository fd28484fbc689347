"""Jobs of one engine become batches, each of which is compiled to one order. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from cosmos_pipelines.batching.loads import Mode
from cosmos_pipelines.engines.base import Engine
from cosmos_pipelines.engines.controls import listed
from cosmos_pipelines.operations.base import Job


def plan(engine: Engine, jobs: Sequence[Job], mode: Mode = "strict") -> list[list[Job]]:
    """Group `jobs` of one engine into batches, in the order in which they came.

    Every job is in exactly one batch; no batch exceeds what the engine allows for its first job.
    All jobs of a batch have one batch key; in the mode `mixed`, one key of `Engine.mixed`.
    """
    open_batches: dict[Hashable, list[Job]] = {}
    batches: list[list[Job]] = []
    for job in jobs:
        mixed = engine.mixed(job) if mode == "mixed" else None
        own = engine.batch_key(job) if mixed is None else mixed.key
        key = (job.operation.model_type, mixed is None, own)
        batch = open_batches.get(key)
        if batch is None or len(batch) >= engine.max_batch(batch[0]):
            batch = open_batches[key] = []
            batches.append(batch)
        batch.append(job)
    return batches


def added_controls(engine: Engine, jobs: Sequence[Job]) -> dict[str, tuple[str, ...]]:
    """Return for each run of a batch the controls of others that it executes with weight 0.

    Empty if all runs of the batch have the same controls: then no pixel is changed.
    """
    found = {job.run_id: engine.mixed(job) for job in jobs}
    own = {run_id: mixed.controls for run_id, mixed in found.items() if mixed is not None}
    if len(own) < len(jobs) or len(set(own.values())) < 2:
        return {}
    everywhere = dict.fromkeys(control for controls in own.values() for control in controls)
    return {
        run_id: tuple(control for control in everywhere if control not in controls)
        for run_id, controls in own.items()
    }


def mixed_notes(added: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return by run what its user should know: which of its pixels may change, and why."""
    return {
        run_id: f"Mixed load: the model also executes {listed(controls)}, with weight 0, for other "
        "runs of this load. Any pixel of this video may differ from the video of a strict load."
        for run_id, controls in added.items()
        if controls
    }
