"""What earlier runs say of how long the next one will take."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from cosmos_pipelines.backends.registry import host_of
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operations.base import ModelType, Order
from cosmos_pipelines.settings import Settings

LOOK_BACK: Final = 200
"""Completed runs of the operation that are looked at, the newest first."""
USED: Final = 20


class History:
    """The newest completed runs of each operation, read once for all orders of one plan."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._found: dict[ModelType, list[Run]] = {}

    def of(self, model_type: ModelType) -> list[Run]:
        """Return at most `LOOK_BACK` completed runs of an operation, the newest first."""
        if model_type not in self._found:
            self._found[model_type] = self._catalog.list_runs(
                status="completed", model_type=model_type, limit=LOOK_BACK
            )
        return self._found[model_type]


def estimate(
    catalog: Catalog,
    settings: Settings,
    order: Order,
    backend: str,
    history: History | None = None,
) -> dict[str, Any] | None:
    """Seconds that an order will take where it is going, by the median of runs like its own.

    Like: the same engine, operation, place, number of GPUs and kind (controls, what is computed of
    them, resolution). Time is taken as proportional to chunks x steps, and one load of the model is
    added. None where one of them is like no run that was made.

    Returns: seconds, load_s, runs (how many it is from).
    """
    if not order.costs or order.model_type not in ("transfer", "enhance", "upscale"):
        return None
    host = host_of(settings, backend)
    known = [
        run.outputs["timing"]
        for run in (history or History(catalog)).of(order.model_type)
        if run.engine == order.engine and run.backend == backend and host in (None, run.host)
        and "timing" in run.outputs
    ]  # fmt: skip
    seconds, loads = 0.0, list[float]()
    for cost in order.costs.values():
        alike = [timing for timing in known if _like(timing) == _like(cost)][:USED]
        if not alike:
            return None
        seconds += _units(cost) * median(timing["seconds"] / _units(timing) for timing in alike)
        loads += [timing["load_s"] for timing in alike]
    load_s = median(loads)
    runs = len(loads) // len(order.costs)
    return {"seconds": round(load_s + seconds), "load_s": round(load_s), "runs": runs}


def timing_of(record: Mapping[str, Any], order: Order, run_id: str) -> dict[str, Any]:
    """`outputs.timing` of a run: seconds of its own, of its load, and what it cost.

    Empty where the record does not tell, or the engine does not count in chunks.
    """
    sample = record.get("samples", {}).get(run_id)
    cost = order.costs.get(run_id)
    if sample is None or cost is None:
        return {}
    return {"timing": {"seconds": sample["seconds"], "load_s": sample.get("load_s") or 0, **cost}}


def _like(cost: Mapping[str, Any]) -> tuple[Any, Any]:
    return cost["gpus"], cost.get("kind", "")


def _units(cost: Mapping[str, Any]) -> int:
    return int(cost["chunks"] * cost["steps"])
