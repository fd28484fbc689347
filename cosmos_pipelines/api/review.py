"""The part of the API for the review of many runs: rate, tag, judge, order, delete, export.

One run's fault never stops the others: each method says in `failed` (or `refused`) which runs could
not be done and why. A change can be taken back with the `undo` that its method returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from cosmos_pipelines.api.arguments import Rating, Record, Words, several
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.api.starting import why_not_started
from cosmos_pipelines.catalog.new_run import VERDICTS
from cosmos_pipelines.catalog.records import MarkStep
from cosmos_pipelines.errors import CosmosError

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.deletions import Deletions
    from cosmos_pipelines.catalog.review import Marked

MOST: Final = 10_000
"""Runs of one call."""
MOST_FILES: Final = 200
"""Files of a deletion that are named; all are counted."""

Ids = Annotated[Sequence[str], BeforeValidator(several), Field(max_length=MOST)]
"""Whole ids of runs, or their records."""
Steps = Annotated[Sequence[MarkStep], Field(max_length=MOST)]
What = Literal["upscale", "enhance", "again"]
Form = Literal["csv", "json"]
Verdict = Literal["picked", "rejected", "none"]


class Review(Project):
    """Decide about many runs of one project at once."""

    def rate_runs(self, run_ids: Ids, rating: Rating) -> Record:
        """Rate runs from 1 to 5; 0 removes their ratings. Returns `changed`, `undo`, `failed`."""
        return _done(self.catalog.rate_runs(run_ids, rating or None))

    def tag_runs(self, run_ids: Ids, add: Words = (), remove: Words = ()) -> Record:
        """Add and remove tags of runs. Returns `changed`, `undo`, `failed`."""
        return _done(self.catalog.tag_runs(run_ids, add, remove))

    def judge_runs(self, run_ids: Ids, verdict: Verdict) -> Record:
        """Pick or reject runs, or take their verdicts back; returns `changed`, `undo`, `failed`.

        A verdict is the tag `picked` or `rejected`; a run has at most one of them.
        """
        given = () if verdict == "none" else (verdict,)
        return _done(self.catalog.tag_runs(run_ids, given, VERDICTS - {*given}))

    def undo_marks(self, undo: Steps) -> Record:
        """Take back a change of ratings, tags or verdicts, by the `undo` that it returned.

        A run that was changed again since is left as it is, and is in `failed`.
        """
        return _done(self.catalog.take_back(undo))

    def marks(self, run_ids: Ids) -> dict[str, Record]:
        """Return status, rating, verdict and other tags of runs, by id; unknown ids are left out.

        `verdict` is "picked", "rejected" or "".
        """
        return {
            run_id: {
                "status": status,
                "rating": marks.rating,
                "verdict": "".join(VERDICTS.intersection(marks.tags)),
                "tags": [tag for tag in marks.tags if tag not in VERDICTS],
            }
            for run_id, (status, marks) in self.catalog.marks_of(run_ids).items()
        }

    def known_tags(self) -> list[str]:
        """Return the tags that any run has, by name; at most 1,000."""
        return self.catalog.known_tags()

    def plan_orders(self, what: What, run_ids: Ids) -> Record:
        """Return what `order_runs` would do; registers and writes nothing.

        `runs`, `loads` (of a model, if they are executed together), `engines` (label, simulated),
        `notes` (sentence, number of runs), `same` (runs whose order is that of another of these
        runs), `refused` (id and why), and what all of them take together: `seconds`, `p90_s`,
        `money`, `p90_money`, `currency` and `total`, as in `plan_order`.
        """
        from cosmos_pipelines.runs.ordering import notes_of, plan_orders, time_of

        orders = plan_orders(self.catalog, self.settings, what, run_ids)
        engines = {one.plan.engine.name: one.plan.engine for one in orders.planned.values()}
        return {
            "runs": len(orders.planned),
            "loads": orders.loads(),
            "engines": [{"label": e.label, "simulated": e.simulated} for e in engines.values()],
            "notes": notes_of(orders.planned.values()),
            "same": len(orders.same),
            **time_of(self.catalog, self.settings, orders),
            "refused": _said(orders.refused),
        }

    def order_runs(self, what: What, run_ids: Ids) -> Record:
        """Queue a 4K of each run's video, a better prompt, or the same run with the next seed.

        `what`: upscale, enhance or again. What was ordered already and has neither failed nor been
        cancelled is refused, so that the same call twice orders once, also at the same moment.
        Returns `made` (the new runs' ids, by those of the runs), `refused` (id and why) and
        `starts`: None, or why the daemon will not start them.
        """
        from cosmos_pipelines.runs.ordering import order

        orders, made = order(self.catalog, self.settings, what, run_ids)
        return {
            "made": {run_id: run.id for run_id, run in made.items()},
            "refused": _said(orders.refused),
            "starts": why_not_started(self.catalog, self.settings) if made else None,
        }

    def plan_deletions(self, run_ids: Ids) -> Record:
        """Return what `delete_runs` would remove: runs with the 4K of their videos, and files.

        `runs`: the cards of all runs that go; `files` (run, name, bytes; at most 200), `count` and
        `bytes` of all files, `refused` (id and why).
        """
        from cosmos_pipelines.catalog.deletions import plan_deletions
        from cosmos_pipelines.runs.cards import cards_of

        found = plan_deletions(self.catalog, run_ids, self.settings.outputs)
        files = found.files()
        return {
            "runs": cards_of(self.catalog, [run for one in found.planned for run in one.runs]),
            "files": [
                {"run": run_id, "name": name, "bytes": size}
                for run_id, name, size in files[:MOST_FILES]
            ],
            "count": len(files),
            "bytes": sum(size for _, _, size in files),
            "refused": _said(found.refused),
        }

    def delete_runs(self, run_ids: Ids, seen: Ids) -> Record:
        """Delete runs with the 4K of their videos and all their files; nothing brings them back.

        `seen`: the ids of all runs that `plan_deletions` named. A run of which more was made since
        is refused. Returns `deleted` (ids), `bytes` and `refused`.
        """
        from cosmos_pipelines.catalog.deletions import delete_runs

        gone: Deletions = delete_runs(self.catalog, run_ids, self.settings.outputs, {*seen})
        return {
            "deleted": [run.id for one in gone.planned for run in one.runs],
            "bytes": sum(one.bytes for one in gone.planned),
            "refused": _said(gone.refused),
        }

    def export_runs(self, run_ids: Ids, form: Form) -> str:
        """Return these runs as the text of a .csv or .json file; unknown ids are left out."""
        from cosmos_pipelines.catalog.export import runs_as

        found = self.catalog.find_runs(run_ids)
        return runs_as(form, [found[run_id] for run_id in run_ids if run_id in found])


def _done(marked: Marked) -> Record:
    steps = [*marked.steps.values()]
    return {
        "changed": sum(len(step.ids) for step in steps),
        "undo": [asdict(step) for step in steps],
        "failed": _said(marked.failed),
    }


def _said(failed: Mapping[str, CosmosError]) -> list[Record]:
    return [{"id": run_id, "error": str(error)} for run_id, error in failed.items()]
