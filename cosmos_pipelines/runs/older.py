"""The videos of a scene that were made of an older render, and the same ones ordered again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.again import plan_again
from cosmos_pipelines.runs.cards import cards_of
from cosmos_pipelines.runs.enter import Asked, enter_together
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
    tried = _tried(wanted.values(), everything)
    asked = [
        Asked(
            plan_again(catalog, settings, run),
            run.backend,
            run.tags,
            f"again/{run.id}/{tried.get(run.id, '')}",
        )
        for run in wanted.values()
    ]
    return enter_together(catalog, settings, asked, queued=True)


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


def _tried(runs: Iterable[Run], everything: Sequence[Run]) -> dict[str, str]:
    """The newest run that asked for the same since and ended without a result, if one did."""
    ended = [run for run in reversed(everything) if run.status in _WITHOUT_RESULT]
    newest = {same_request(run): run for run in ended}
    found = {run.id: newest.get(same_request(run)) for run in runs}
    return {
        run.id: other.id
        for run in runs
        if (other := found[run.id]) is not None and other.created_at > run.created_at
    }
