"""What planned runs would become: nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cosmos_pipelines import batching
from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.ids import order_id
from cosmos_pipelines.runs.estimates.model import Estimates
from cosmos_pipelines.runs.estimates.money import priced
from cosmos_pipelines.runs.jobs import compiled
from cosmos_pipelines.runs.plan import Planned, backend_name
from cosmos_pipelines.settings import Settings


def as_orders(
    catalog: Catalog, settings: Settings, planned: Iterable[Planned], backend: str | None
) -> list[dict[str, Any]]:
    """The orders that planned runs would become, batched, as plain data."""
    where, estimates = backend_name(settings, backend), Estimates(catalog, settings)
    planned = list(planned)
    names = catalog.find_prompts(p.row["prompt_id"] for p in planned if p.row.get("prompt_id"))
    by_engine: dict[str, list[Planned]] = {}
    for plan in planned:
        by_engine.setdefault(plan.engine.name, []).append(plan)
    orders = []
    for mine in by_engine.values():
        engine = mine[0].engine
        notes = {plan.job.run_id: (_called(names, plan), plan.notes) for plan in mine}
        for batch in batching.plan(engine, [plan.job for plan in mine]):
            ids = tuple(job.run_id for job in batch)
            order = compiled(settings, engine, batch, order_id(ids, 1))
            orders.append(
                {
                    "engine": engine.label,
                    "simulated": engine.simulated,
                    "backend": where,
                    "order": order.model_dump(mode="json"),
                    "expected": [e.model_dump(mode="json") for e in order.expected],
                    "estimate": priced(settings, where, estimates.of_order(order, where)),
                    "notes": _notes([notes[run_id] for run_id in ids]),
                }
            )
    return orders


def _called(prompts: Mapping[str, Prompt], plan: Planned) -> str:
    """What a user calls a planned run: by its prompt."""
    prompt = prompts.get(plan.row.get("prompt_id") or "")
    return prompt.name if prompt else "the video"


def _notes(runs: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Each sentence once; with whom it concerns, if not all of them."""
    said: dict[str, list[str]] = {}
    for name, notes in runs:
        for note in notes:
            said.setdefault(note, []).append(name)
    return [
        note if len(names) == len(runs) else f"{', '.join(dict.fromkeys(names))}: {note}"
        for note, names in said.items()
    ]
