"""Ratings, tags and verdicts of many runs in few transactions, each with the way back.

A verdict is one of two tags, `picked` and `rejected`; a run has at most one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, select, update

from cosmos_pipelines.catalog.database import AT_ONCE, Transaction
from cosmos_pipelines.catalog.new_run import clean_tags, tags_after
from cosmos_pipelines.catalog.records import MarkStep, Run
from cosmos_pipelines.catalog.runs import COLUMNS, Runs, rating_of, run_of, set_run
from cosmos_pipelines.catalog.tables import run_tags, runs
from cosmos_pipelines.errors import CosmosError, StateError, UnknownId

MOST_TAGS: Final = 1000
"""Known tags that are offered."""


@dataclass(frozen=True)
class Marks:
    """What people say of a run."""

    rating: int | None
    tags: list[str]


@dataclass
class Marked:
    """What a change of many runs did: the steps back, and why it failed for some."""

    steps: dict[tuple[Any, ...], MarkStep] = field(default_factory=dict)
    failed: dict[str, CosmosError] = field(default_factory=dict)

    def note(self, run_id: str, old: Marks, new: Marks) -> None:
        """Note that a run was changed."""
        rating = None if old.rating == new.rating else (old.rating, new.rating)
        added = sorted(set(new.tags) - set(old.tags))
        removed = sorted(set(old.tags) - set(new.tags))
        step = MarkStep(ids=[], rating=rating, added=added, removed=removed)
        self.steps.setdefault((rating, *added, None, *removed), step).ids.append(run_id)


Change = Callable[[str, Marks], Marks]
"""Returns the marks that a run shall have; raises StateError to leave it as it is."""


class Review(Runs):
    """The catalog's part for the review of runs."""

    def rate(self, run_id: str, rating: int | None) -> Run:
        """Rate a run from 1 to 5, or remove its rating (None).

        Raises:
            InputError: another number.
            UnknownId: no such run.
        """
        rating = None if rating is None else rating_of(rating)
        run = self.get_run(run_id)
        with self.write() as tx:
            set_run(tx, run.id, rating=rating)
        return self.get_run(run.id)

    def tag(self, run_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Run:
        """Add and remove tags (lower case, no spaces at the ends); see `VERDICTS`.

        Raises:
            InputError: an empty tag, or both verdicts.
            UnknownId: no such run.
        """
        run = self.get_run(run_id)
        add, remove = clean_tags(add), clean_tags(remove)
        with self.write() as tx:
            statement = select(runs.c.tags).where(runs.c.id == run.id)
            now = tx.connection.execute(statement).scalar_one_or_none() or ()
            set_run(tx, run.id, tags=tags_after(now, add, remove))
        return self.get_run(run.id)

    def rate_runs(self, run_ids: Iterable[str], rating: int | None) -> Marked:
        """Rate runs from 1 to 5, or remove their ratings (None).

        Raises:
            InputError: another number.
        """
        rating = None if rating is None else rating_of(rating)
        return self._mark(run_ids, lambda _, old: Marks(rating, old.tags))

    def tag_runs(
        self, run_ids: Iterable[str], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> Marked:
        """Add and remove tags of runs.

        Raises:
            InputError: an empty tag, or both verdicts.
        """
        add, remove = clean_tags(add), clean_tags(remove)
        return self._mark(
            run_ids, lambda _, old: Marks(old.rating, tags_after(old.tags, add, remove))
        )

    def take_back(self, steps: Sequence[MarkStep]) -> Marked:
        """Take back what was changed; a run that was changed again since is left as it is."""
        marked = Marked()
        for step in steps:
            change = _back(step)
            one = self._mark(step.ids, change)
            marked.steps |= {(len(marked.steps), *key): s for key, s in one.steps.items()}
            marked.failed |= one.failed
        return marked

    def marks_of(self, run_ids: Iterable[str]) -> dict[str, tuple[str, Marks]]:
        """Return status and marks of the runs with exactly these ids; unknown ids are left out."""
        wanted = select(runs.c.id, runs.c.status, runs.c.rating, runs.c.tags)
        rows = self.rows_with(wanted, runs.c.id, run_ids)
        return {row.id: (row.status, Marks(row.rating, row.tags)) for row in rows}

    def known_tags(self) -> list[str]:
        """Return the tags that runs have, by name; at most `MOST_TAGS`."""
        known = select(run_tags.c.tag).group_by(run_tags.c.tag).order_by(run_tags.c.tag)
        return [row.tag for row in self.rows(known.limit(MOST_TAGS))]

    def upscales_of(self, run_ids: Iterable[str]) -> list[Run]:
        """Return the 4K runs of the videos of these runs."""
        of = select(*COLUMNS).where(runs.c.model_type == "upscale")
        return [run_of(row) for row in self.rows_with(of, runs.c.parent_run_id, run_ids)]

    def runs_of_prompts(self, model_type: str, prompt_ids: Iterable[str]) -> list[Run]:
        """Return the runs of an operation that were made of these prompts."""
        of = select(*COLUMNS).where(runs.c.model_type == model_type)
        return [run_of(row) for row in self.rows_with(of, runs.c.prompt_id, prompt_ids)]

    def _mark(self, run_ids: Iterable[str], change: Change) -> Marked:
        """Change the marks of runs, 1,000 in one transaction; each as it is found there."""
        marked, ids = Marked(), list(dict.fromkeys(run_ids))
        for start in range(0, len(ids), AT_ONCE):
            with self.write() as tx:
                _mark_some(tx, ids[start : start + AT_ONCE], change, marked)
        return marked


def _mark_some(tx: Transaction, run_ids: Sequence[str], change: Change, marked: Marked) -> None:
    wanted = select(runs.c.id, runs.c.rating, runs.c.tags).where(runs.c.id.in_(run_ids))
    found = {row.id: Marks(row.rating, row.tags) for row in tx.connection.execute(wanted)}
    rows, columns = list[dict[str, Any]](), set[str]()
    for run_id in run_ids:
        if (old := found.get(run_id)) is None:
            marked.failed[run_id] = UnknownId("run", run_id)
            continue
        try:
            new = change(run_id, old)
        except StateError as e:
            marked.failed[run_id] = e
            continue
        if new == old:
            continue
        marked.note(run_id, old, new)
        rows.append({"of": run_id, "new_rating": new.rating, "new_tags": new.tags})
        columns |= {name for name in ("rating", "tags") if getattr(new, name) != getattr(old, name)}
    if not rows:
        return
    for row, revision in zip(rows, tx.revisions(len(rows)), strict=True):
        row["new_revision"] = revision
    named = {
        name: bindparam(f"new_{name}", type_=runs.c[name].type) for name in {*columns, "revision"}
    }
    statement = update(runs).where(runs.c.id == bindparam("of"))
    tx.connection.execute(statement.values(updated_at=tx.now, **named), rows)


def _back(step: MarkStep) -> Change:
    added, removed = clean_tags(step.added), clean_tags(step.removed)
    before, after = step.rating or (None, None)
    if before is not None:
        rating_of(before)

    def change(run_id: str, now: Marks) -> Marks:
        tags = set(now.tags)
        others = not added <= tags or removed & tags
        if others or (step.rating is not None and now.rating != after):
            raise StateError(f"Run {run_id} was changed again since, so it stays as it is.")
        rating = now.rating if step.rating is None else before
        return Marks(rating, sorted((tags - added) | removed))

    return change
