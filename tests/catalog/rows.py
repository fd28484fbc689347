"""Rows for tests, with what does not matter filled in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cosmos_pipelines.catalog import Catalog, Prompt, Run

OWNER = "here:1:1.00"
OTHER = "there:2:2.00"


def add_prompt(catalog: Catalog, text: str = "fog at dawn", **fields: Any) -> Prompt:
    """A prompt that is new or known."""
    values = {"negative_prompt": None, "scene": "city", "name": "low_fog", "parameters": {}}
    return catalog.add_prompt(text, **{**values, **fields})[0]


def add_run(catalog: Catalog, **fields: Any) -> Run:
    """A pending run."""
    values = {"model_type": "transfer", "engine": "preview", "backend": "local"}
    return catalog.add_run(**{**values, "execution_config": {"seed": 1}, **fields})


def complete(catalog: Catalog, run: Run, **outputs: Any) -> Run:
    """The run after all the steps of a good life."""
    assert catalog.claim(run.id, OWNER)
    assert catalog.advance(run.id, OWNER, "uploading", "running")
    assert catalog.advance(run.id, OWNER, "running", "downloading")
    video = f"outputs/run_{run.id}/video.mp4"
    assert catalog.advance(
        run.id, OWNER, "downloading", "completed", outputs={"video": video, **outputs}, exit_code=0
    )
    return catalog.get_run(run.id)


def begin(catalog: Catalog, run: Run, order: str, at: datetime | None = None) -> None:
    """Make a run run, in an order that began then."""
    assert catalog.claim(run.id, OWNER, now=at)
    assert catalog.advance(run.id, OWNER, "uploading", "uploading", batch_id=order, now=at)
    assert catalog.advance(run.id, OWNER, "uploading", "running", now=at)


def fail(
    catalog: Catalog,
    run: Run,
    *,
    order: str = "od_1",
    began: datetime | None = None,
    ended: datetime | None = None,
    kind: str = "model_failed",
    message: str = "The model ended with exit code 1.",
) -> Run:
    """The run after its order began and the run failed."""
    begin(catalog, run, order, began)
    assert catalog.advance(
        run.id, OWNER, "running", "failed", error_kind=kind, error_message=message, now=ended
    )
    return catalog.get_run(run.id)
