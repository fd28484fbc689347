"""Orders from runs that are there: 4K of a video, a better prompt, the same with the next seed.

Each run is planned by itself: one that is refused leaves the others alone. What was ordered already
and has not failed is not ordered again, however often and from wherever it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from cosmos_pipelines import batching
from cosmos_pipelines.catalog.columns import json_of
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, InputError, StateError, UnknownId
from cosmos_pipelines.runs.dry_run import as_orders
from cosmos_pipelines.runs.enter import Asked, enter_each
from cosmos_pipelines.runs.orders import totals
from cosmos_pipelines.runs.plan import Planned, enhancement_of, plan_upscale, transfer_of
from cosmos_pipelines.runs.scenes import Looking
from cosmos_pipelines.runs.sweep import Reads
from cosmos_pipelines.settings import Settings

What = Literal["upscale", "enhance", "again"]
"""`again`: the same transfer with the next seed."""

_MADE: Final = {"upscale": "upscale", "enhance": "enhance", "again": "transfer"}
_DEAD: Final = ("failed", "cancelled")


@dataclass
class Orders:
    """What can be ordered, by the run that it was asked for; and why the rest cannot."""

    planned: dict[str, Asked] = field(default_factory=dict)
    refused: dict[str, CosmosError] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    """Runs whose order is that of another run: of one prompt, only one enhancement is made."""

    def loads(self) -> int:
        """Return how often a model is loaded if all of them are executed at once."""
        engines: dict[str, list[Planned]] = {}
        for asked in self.planned.values():
            engines.setdefault(asked.plan.engine.name, []).append(asked.plan)
        return sum(
            len(batching.plan(plans[0].engine, [plan.job for plan in plans]))
            for plans in engines.values()
        )


def time_of(catalog: Catalog, settings: Settings, orders: Orders) -> dict[str, Any]:
    """Return what all of them will take and cost together; see `totals`."""
    places: dict[str | None, list[Planned]] = {}
    for asked in orders.planned.values():
        places.setdefault(asked.backend, []).append(asked.plan)
    loads = [
        load
        for place, plans in places.items()
        for load in as_orders(catalog, settings, plans, place)
    ]
    return totals([load["estimate"] for load in loads])


def plan_orders(
    catalog: Catalog,
    settings: Settings,
    what: What,
    run_ids: Iterable[str],
    looking: Looking = "foresee",
) -> Orders:
    """Plan an order of each run. `looking`: how scenes are looked at; `foresee` writes nothing."""
    wanted = list(dict.fromkeys(run_ids))
    known = catalog.find_runs(wanted)
    orders, made = Orders(), _made_of(catalog, what, known.values())
    prompts = [run.prompt_id for run in known.values() if run.prompt_id]
    reads = Reads(catalog, settings, looking, prompts)
    keys: dict[str, str] = {}
    for run_id in wanted:
        try:
            if (run := known.get(run_id)) is None:
                raise UnknownId("run", run_id)
            plan = _plan(catalog, settings, what, run, reads)
            alike = _alike(what, run, plan, made)
            _refuse_twice(what, run, alike)
        except (InputError, StateError) as e:
            orders.refused[run_id] = e
            continue
        asked = Asked(plan, _backend(what, run), _tags(what, run), f"review/{len(alike)}")
        first = keys.setdefault(asked.identity(settings), run_id)
        if first == run_id:
            orders.planned[run_id] = asked
        else:
            orders.same[run_id] = first
    return orders


def order(
    catalog: Catalog, settings: Settings, what: What, run_ids: Iterable[str]
) -> tuple[Orders, dict[str, Run]]:
    """Queue an order of each run; return what was refused, and the new runs by what they are of.

    An order that somebody else has entered at the same moment is refused.
    """
    orders = plan_orders(catalog, settings, what, run_ids, "renew")
    entered = enter_each(catalog, settings, [*orders.planned.values()])
    made: dict[str, Run] = {}
    for (run_id, asked), new in zip([*orders.planned.items()], entered, strict=True):
        if isinstance(new, CosmosError):
            orders.refused[run_id] = new
        elif new.id != asked.plan.job.run_id:
            orders.refused[run_id] = _twice(what, run_id, new)
        else:
            made[run_id] = new
    return orders, made


def _plan(catalog: Catalog, settings: Settings, what: What, run: Run, reads: Reads) -> Planned:
    if what == "upscale":
        if run.model_type == "upscale":
            raise InputError(f"Run {run.id} is a 4K already.")
        return plan_upscale(catalog, settings, run.id, {}, queued=True)
    if run.prompt_id is None:
        raise InputError(f"Run {run.id} has no prompt.")
    prompt = reads.prompt(run.prompt_id)
    look = reads.scene(prompt.scene)
    if what == "enhance":
        return enhancement_of(settings, prompt, {}, None, look)
    if run.model_type != "transfer":
        raise InputError(f"Run {run.id} is no transfer, so another seed makes no other video.")
    fields = {**run.execution_config, "seed": int(run.execution_config.get("seed", 1)) + 1}
    row = {"prompt_id": prompt.id, "recipe": run.recipe}
    plan = transfer_of(settings, prompt, None, fields, run.engine, look, row)
    return replace(plan, notes=[f"As {run.id}, with the next seed.", *plan.notes])


def _made_of(catalog: Catalog, what: What, runs: Iterable[Run]) -> Mapping[str, list[Run]]:
    """The runs that may be what is asked for: by their video's run, or by their prompt."""
    found: dict[str, list[Run]] = {}
    if what == "upscale":
        for run in catalog.upscales_of(run.id for run in runs):
            found.setdefault(str(run.parent_run_id), []).append(run)
        return found
    prompts = {run.prompt_id for run in runs if run.prompt_id}
    for run in catalog.runs_of_prompts(_MADE[what], prompts):
        found.setdefault(str(run.prompt_id), []).append(run)
    return found


def _alike(what: What, run: Run, plan: Planned, made: Mapping[str, Sequence[Run]]) -> Sequence[Run]:
    """Those that were made of the same, with the same settings; of a video, every 4K."""
    if what == "upscale":
        return made.get(run.id, ())
    config = json_of(plan.job.operation.config())
    return [
        other
        for other in made.get(str(run.prompt_id), ())
        if other.engine == plan.engine.name and other.execution_config == config
    ]


def _refuse_twice(what: What, run: Run, alike: Sequence[Run]) -> None:
    alive = [other for other in alike if other.status not in _DEAD]
    if alive:
        raise _twice(what, run.id, alive[0])


def _twice(what: What, run_id: str, there: Run) -> StateError:
    said = {
        "upscale": f"Run {run_id} has a 4K already: {there.id}",
        "enhance": f"The prompt of run {run_id} was enhanced already: {there.id}",
        "again": f"Run {run_id} was made with the next seed already: {there.id}",
    }
    state = "" if there.status == "completed" else f" ({there.status})"
    return StateError(f"{said[what]}{state}.")


def _backend(what: What, run: Run) -> str | None:
    return run.backend if what == "again" else None


def _tags(what: What, run: Run) -> list[str]:
    """What another seed has of its run's tags: its batch."""
    return [tag for tag in run.tags if what == "again" and tag.startswith("batch:")]


def notes_of(planned: Iterable[Asked]) -> list[dict[str, Any]]:
    """Return what is worth knowing of orders: each sentence once, with the number of runs."""
    count: dict[str, int] = {}
    for asked in planned:
        for note in asked.plan.engine.check(asked.plan.job):
            count[note] = count.get(note, 0) + 1
    return [{"note": note, "runs": runs} for note, runs in count.items()]
