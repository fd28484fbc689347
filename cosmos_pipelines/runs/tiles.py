"""Runs as tiles of the wall: a card with what was made of it, and what a waiting run waits for."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from cosmos_pipelines.catalog.finding import Wanted, find_ids, made_of
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.run_filter import RunFilter
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.cards import cards_of

QUEUE: Final = 1_000
"""Waiting runs whose position is known."""
_ALIKE: Final = 20
"""Completed runs of the same kind whose time is looked at, the newest first."""


def tiles_of(catalog: Catalog, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the cards of runs with `made_of_it` (cards, oldest first), `position`, `expected_s`.

    `position`: of a waiting run in the queue, from 1; None: it waits for nobody. `expected_s`: the
    median of the seconds that runs of the same scene, recipe, engine and place took.
    """
    family = made_of(catalog, [run.id for run in runs])
    children = catalog.find_runs(run_id for ids in family.values() for run_id in ids)
    everything = {**{run.id: run for run in runs}, **children}
    cards = {card["id"]: card for card in cards_of(catalog, list(everything.values()))}
    waiting = [run for run in everything.values() if run.status == "pending"]
    positions = _positions(catalog) if waiting else {}
    known: dict[Any, float | None] = {}
    for run in everything.values():
        card = cards[run.id]
        card["position"] = positions.get(run.id)
        card["expected_s"] = None
        if run.status == "pending":
            kind = (run.model_type, run.engine, run.backend, run.recipe, card["scene"])
            if kind not in known:
                known[kind] = _expected_s(catalog, *kind)
            card["expected_s"] = known[kind]
    return [
        {**cards[run.id], "made_of_it": [cards[i] for i in family[run.id] if i in cards]}
        for run in runs
    ]


def _positions(catalog: Catalog) -> dict[str, int]:
    return {run.id: n for n, run in enumerate(catalog.queued_runs(limit=QUEUE), start=1)}


def _expected_s(
    catalog: Catalog,
    model_type: str,
    engine: str,
    backend: str,
    recipe: str | None,
    scene: str | None,
) -> float | None:
    fields: dict[str, Any] = {"type": model_type, "engine": engine, "status": "completed"}
    if recipe is not None:
        fields["recipe"] = recipe
    if scene is not None:
        fields["scene"] = scene
    ids, _ = find_ids(catalog, Wanted(RunFilter.parse(fields)), limit=_ALIKE)
    alike = [run for run in catalog.find_runs(ids).values() if run.backend == backend]
    took = [seconds for run in alike if (seconds := _took_s(run)) is not None]
    return median(took) if took else None


def _took_s(run: Run) -> float | None:
    """Seconds of a run alone: in a batch its duration is also that of the runs before it."""
    if (timing := run.outputs.get("timing")) is not None:
        return float(timing["seconds"])
    return run.duration_s if run.batch_id == run.id else None
