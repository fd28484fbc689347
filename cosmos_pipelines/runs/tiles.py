"""Runs as tiles of the wall: a card with what was made of it, and what a waiting run waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cosmos_pipelines.catalog.finding import made_of
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.cards import cards_of
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.settings import Settings

QUEUE: Final = 1_000
"""Waiting runs whose position is known."""


def tiles_of(catalog: Catalog, settings: Settings, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the cards of runs with `made_of_it` (cards, oldest first), `position`, `expected_s`.

    `position`: of a waiting run in the queue, from 1; None: it waits for nobody. `expected_s`:
    seconds of a waiting run with a load of its own; None: nothing tells.
    """
    family = made_of(catalog, [run.id for run in runs])
    children = catalog.find_runs(run_id for ids in family.values() for run_id in ids)
    everything = {**{run.id: run for run in runs}, **children}
    cards = {card["id"]: card for card in cards_of(catalog, list(everything.values()))}
    waiting = [run for run in everything.values() if run.status == "pending"]
    positions = _positions(catalog) if waiting else {}
    remaining = Remaining(catalog, settings, waiting)
    for run in everything.values():
        card = cards[run.id]
        card["position"] = positions.get(run.id)
        card["expected_s"] = None
        if run.status == "pending" and (expected := remaining.whole(run)) is not None:
            card["expected_s"] = expected.busy.p50
    return [
        {**cards[run.id], "made_of_it": [cards[i] for i in family[run.id] if i in cards]}
        for run in runs
    ]


def _positions(catalog: Catalog) -> dict[str, int]:
    return {run.id: n for n, run in enumerate(catalog.queued_runs(limit=QUEUE), start=1)}
