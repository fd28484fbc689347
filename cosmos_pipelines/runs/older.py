"""The videos of a scene that were made of an older render, and the same ones ordered again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.again import plan_again
from cosmos_pipelines.runs.cards import cards_of
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.outdated import Kind, outdated_runs, replacements, same_request
from cosmos_pipelines.settings import Settings

_OTHER_RENDER: Final[tuple[Kind, ...]] = ("render", "gone")
_WITHOUT_RESULT: Final = ("failed", "cancelled")


def older_videos(catalog: Catalog, settings: Settings, key: str) -> list[dict[str, Any]]:
    """Return the cards of a scene's videos that were made of another render; newest first.

    Besides: `outdated` (what is another, in words) and `replaced_by` (the newest run that was asked
    to make the same since; None: there is none).
    """
    older, newer = _older(catalog, settings, catalog.runs_of_scene(key))
    cards = cards_of(catalog, [run for run, _ in older])
    return [
        card | {"outdated": said, "replaced_by": newer.get(card["id"])}
        for card, (_, said) in zip(cards, older, strict=True)
    ]


def order_again(
    catalog: Catalog, settings: Settings, key: str, run_ids: Collection[str]
) -> list[Run]:
    """Queue those of the runs again that are of an older render and not replaced yet.

    Of several runs that ask for the same result, one is made. Whoever asks a second time, or at
    the same moment, is given the runs that are there: see docs/decisions/0021. If one run is
    refused, no run is registered.

    Raises:
        InputError, MediaError: what was possible then is refused now; says why.
    """
    everything = catalog.runs_of_scene(key)
    older, newer = _older(catalog, settings, everything)
    wanted = {same_request(r): r for r, _ in older if r.id in run_ids and r.id not in newer}
    planned = [(run, plan_again(catalog, settings, run)) for run in wanted.values()]
    return [
        enter(
            catalog,
            settings,
            plan,
            backend=run.backend,
            queued=True,
            tags=run.tags,
            request=f"again/{run.id}/{_tried(run, everything)}",
        )
        for run, plan in planned
    ]


def _older(
    catalog: Catalog, settings: Settings, runs: Sequence[Run]
) -> tuple[list[tuple[Run, str]], dict[str, str]]:
    """The videos of another render with what is another, and those made again: by which run."""
    found = outdated_runs(catalog, settings, [r for r in runs if r.model_type == "transfer"])
    older = []
    for run, why in found:
        if said := " ".join(reason.said for reason in why if reason.kind in _OTHER_RENDER):
            older.append((run, said))
    return older, replacements(runs, [run.id for run, _ in found])


def _tried(run: Run, everything: Sequence[Run]) -> str:
    """The newest run that asked for the same since and ended without a result; empty: none did."""
    asked = same_request(run)
    return next(
        (
            other.id
            for other in everything
            if other.status in _WITHOUT_RESULT
            and other.created_at > run.created_at
            and same_request(other) == asked
        ),
        "",
    )
