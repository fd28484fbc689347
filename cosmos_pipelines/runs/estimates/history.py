"""Completed runs as measurements: what they took, where, and what had been expected of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.runs.estimates.spread import Spread
from cosmos_pipelines.runs.estimates.work import Work, same_of, work_of_cost

LOOK_BACK: Final = 200
"""Completed runs of an engine and operation that are looked at, the newest first."""
MOST_S: Final = 30 * 86400.0
"""Longer times are no measurements: a record of a host may say anything."""


@dataclass(frozen=True)
class Sample:
    """What one completed run took; None for what nobody recorded. Times in seconds."""

    work: Work
    place: str
    host: str | None
    gpu: str | None
    """Name of its GPUs, as nvidia-smi gives it."""
    own_s: float | None
    """Without the load of the model; of an old run that was alone in its load, with it."""
    load_s: float | None
    upload_s: float | None
    download_s: float | None
    waited_s: float | None
    expected: Spread | None
    """What was expected of its load and itself when it started."""


class History:
    """The newest completed runs, read once for each engine and operation."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._found: dict[tuple[str, str], list[Sample]] = {}

    def of(self, engine: str, model_type: str) -> list[Sample]:
        """Return at most `LOOK_BACK` completed runs, the newest first."""
        key = (engine, model_type)
        if key not in self._found:
            runs = self._catalog.list_runs(
                "completed", engine=engine, model_type=model_type, limit=LOOK_BACK
            )
            self._found[key] = self._samples(runs)
        return self._found[key]

    def of_all(self) -> list[Sample]:
        """Return the runs of all engines that use a GPU."""
        real = [engine for engine in ENGINES.values() if not engine.simulated]
        pairs = [(engine.name, kind) for engine in real for kind in sorted(engine.operations)]
        return [sample for pair in pairs for sample in self.of(*pair)]

    def _samples(self, runs: Sequence[Run]) -> list[Sample]:
        prompts = self._catalog.find_prompts({run.prompt_id for run in runs if run.prompt_id})
        shares = Counter(run.batch_id for run in runs if run.batch_id)
        return [
            _sample(
                run, same_of(run, prompts.get(run.prompt_id or "")), shares[run.batch_id or ""] < 2
            )
            for run in runs
        ]


def _sample(run: Run, same: Any, alone: bool) -> Sample:
    timing = record_in(run.outputs, "timing")
    own_s = seconds_of(timing.get("seconds"))
    load_s = seconds_of(timing.get("load_s"))
    if "seconds" not in timing and alone:
        own_s, load_s = seconds_of(run.duration_s), 0.0
    gpu = record_in(run.outputs, "gpu").get("name")
    return Sample(
        work=work_of_cost(run.engine, run.model_type, timing, same),
        place=run.backend,
        host=run.host,
        gpu=gpu if isinstance(gpu, str) else None,
        own_s=own_s,
        load_s=load_s,
        upload_s=seconds_of(timing.get("upload_s")),
        download_s=seconds_of(timing.get("download_s")),
        waited_s=seconds_of(timing.get("waited_s")),
        expected=expected_in(timing),
    )


def expected_in(record: Mapping[str, Any]) -> Spread | None:
    """Return the expectation in a record of a run (`expected_s`, `expected_p90_s`), if any."""
    middle, high = seconds_of(record.get("expected_s")), seconds_of(record.get("expected_p90_s"))
    return None if middle is None else Spread(middle, high)


def record_in(outputs: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a record in the outputs of a run; an empty one if there is none, or something else."""
    found = outputs.get(name)
    return found if isinstance(found, Mapping) else {}


def seconds_of(value: object) -> float | None:
    """Return recorded seconds; None for what cannot be any."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= MOST_S else None
