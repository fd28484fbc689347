"""What is recorded of a run: its expectation when it starts, and its times when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.estimates.model import Estimates
from cosmos_pipelines.runs.estimates.money import Price
from cosmos_pipelines.runs.estimates.work import Works
from cosmos_pipelines.settings import Settings

EXPECTED: Final = ("expected_s", "expected_p90_s", "expected_by")
"""In the outputs of a run that is active, and later in `timing`."""


def expectations(
    catalog: Catalog, settings: Settings, runs: Mapping[str, Run], place: str
) -> dict[str, dict[str, Any]]:
    """Return by run what is expected of it in a place now, of its load and itself, as outputs.

    `expected_s`, `expected_p90_s` (None: not known), `expected_by` (see `Basis`); runs of which
    nothing is expected are left out.
    """
    estimates, works = Estimates(catalog, settings), Works(catalog, settings, runs.values())
    found = {}
    for run_id, run in runs.items():
        if (one := estimates.of_run(works.of(run), place)) is not None:
            whole = one.whole
            high = None if whole.p90 is None else round(whole.p90, 1)
            values = (round(whole.p50, 1), high, one.basis)
            found[run_id] = dict(zip(EXPECTED, values, strict=True))
    return found


def timing_of(
    record: Mapping[str, Any],
    order: Order,
    run: Run,
    spent: Mapping[str, float],
    price: Price | None,
) -> dict[str, Any]:
    """Return `outputs.timing` of a run at its end: what it took, and what had been expected.

    `record`: what the program noted of its samples. `spent`: seconds of transfers, by name
    (`upload_s` of the order, `download_s` of the run). Of each only what somebody told: seconds
    (its own), load_s and load_runs (the runs of that load), waited_s (in the queue), chunks, steps,
    gpus and kind, gpu_hour and currency (the price of a GPU then), and `EXPECTED`.
    """
    timing: dict[str, Any] = {}
    sample = record.get("samples", {}).get(run.id)
    if sample is not None:
        timing |= {"seconds": sample["seconds"], "load_s": sample.get("load_s") or 0}
        timing["load_runs"] = len(order.run_ids)
    timing |= order.costs.get(run.id, {})
    timing |= {name: round(seconds, 1) for name, seconds in spent.items()}
    if (waited := _waited_s(run, spent.get("upload_s", 0.0))) is not None:
        timing["waited_s"] = round(waited, 1)
    timing |= {name: run.outputs[name] for name in EXPECTED if name in run.outputs}
    if price is not None:
        timing |= {"gpu_hour": price.gpu_hour, "currency": price.currency}
    return {"timing": timing} if timing else {}


def _waited_s(run: Run, upload_s: float) -> float | None:
    """Seconds in the queue before its inputs were uploaded; None: it was not queued, or is retried.

    The times of a run that starts again are of its last start.
    """
    if run.queued_at is None or run.started_at is None or run.attempt > 1:
        return None
    return max(0.0, (run.started_at - run.queued_at).total_seconds() - upload_s)
