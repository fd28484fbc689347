"""Runs enter the catalog: several at once, all or none, each with its turn in the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cosmos_pipelines.catalog.database import AT_ONCE, Transaction
from cosmos_pipelines.catalog.lookup import near
from cosmos_pipelines.catalog.new_run import NewRun, new_run
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.runs import COLUMNS, LEASE_S, Runs, run_of
from cosmos_pipelines.catalog.tables import prompts, runs
from cosmos_pipelines.errors import InputError, UnknownId

STEP_S: Final = 3600.0
"""Seconds of waiting that one step of priority is worth: so a low one never waits for ever."""
SHARE_S: Final = 300.0
"""Seconds by which each run of a request comes after the one before it: so requests share."""


class AddRuns(Runs):
    """The catalog's part for runs that are new."""

    def add_run(
        self,
        model_type: str,
        engine: str,
        backend: str,
        execution_config: Mapping[str, Any],
        *,
        queued: bool = False,
        lease: str | None = None,
        **row: Any,
    ) -> Run:
        """Add a pending run; `row`: the other arguments of `new_run`. Otherwise as `add_runs`."""
        values = new_run(model_type, engine, backend, execution_config, **row)
        return self.add_runs([values], queued=queued, lease=lease)[0]

    def add_runs(
        self, rows: Sequence[NewRun], *, queued: bool = False, lease: str | None = None
    ) -> list[Run]:
        """Add pending runs, all or none; of those with a known request key, return what is there.

        A row may be made of another one: of the run that is there, if that has a known request key.
        `queued`: the dispatcher may start the runs. `lease`: the owner that is about to start them;
        no other process starts them for 30 s.

        Raises:
            InputError: a run id in use.
            UnknownId: no such prompt or parent run.
        """
        if not rows:
            return []
        try:
            with self.write() as tx:
                return self._add_runs(tx, rows, queued, lease)
        except IntegrityError:
            self._explain_refusal(rows)
            raise

    def _add_runs(
        self, tx: Transaction, rows: Sequence[NewRun], queued: bool, lease: str | None
    ) -> list[Run]:
        """Write the rows in a few statements, however many they are."""
        stamps = enumerate(tx.revisions(len(rows)))
        values: list[dict[str, Any]] = [
            {**row, **_times(tx, number, row["priority"], queued, lease), "revision": revision}
            for row, (number, revision) in zip(rows, stamps, strict=True)
        ]
        known: dict[str, Run] = {}
        while values:
            first = {row["id"] for row in values}
            wave = [row for row in values if row["parent_run_id"] not in first] or values
            for row in wave:
                if (parent := known.get(row["parent_run_id"])) is not None:
                    row["parent_run_id"] = parent.id
            known |= self._add_wave(tx, wave)
            values = [row for row in values if row["id"] not in known]
        return [known[row["id"]] for row in rows]

    def _add_wave(self, tx: Transaction, values: Sequence[dict[str, Any]]) -> dict[str, Run]:
        """Write rows of which none is made of another one; the runs by the ids of the rows."""
        insert = self.insert(runs).on_conflict_do_nothing(index_elements=["request_key"])
        added = tx.connection.execute(insert.returning(*COLUMNS), values)
        made = {row.id: run_of(row) for row in added}
        tx.revive("run", *made)
        keys = list({row["request_key"] for row in values if row["id"] not in made})
        there: dict[str | None, Run] = {}
        for start in range(0, len(keys), AT_ONCE):
            known = runs.c.request_key.in_(keys[start : start + AT_ONCE])
            found = tx.connection.execute(select(runs.c.request_key, *COLUMNS).where(known))
            for columns in map(dict, found.mappings()):
                key = columns.pop("request_key")
                there[key] = Run(**columns)
        return {row["id"]: made.get(row["id"]) or there[row["request_key"]] for row in values}

    def _explain_refusal(self, rows: Sequence[NewRun]) -> None:
        """Raise an error that names the first wrong id after the database has refused runs."""
        of = [row["prompt_id"] for row in rows if row["prompt_id"] is not None]
        there = {row.id for row in self.rows_with(select(prompts.c.id), prompts.c.id, of)}
        parents = [row["parent_run_id"] for row in rows if row["parent_run_id"] is not None]
        known, new = self.find_runs([*parents, *(row["id"] for row in rows)]), set[str]()
        for row in rows:
            prompt_id, parent = row["prompt_id"], row["parent_run_id"]
            if prompt_id is not None and prompt_id not in there:
                raise UnknownId("prompt", prompt_id, near(self, prompts.c.id, prompt_id))
            if parent is not None and parent not in known and parent not in new:
                raise self._unknown_run(parent, parent)
            if row["id"] in known or row["id"] in new:
                raise InputError(f"A run {row['id']} exists already.")
            new.add(row["id"])


def turn_of(queued_at: datetime, number: int, priority: int) -> float:
    """The place in the queue of the run with this number of its request; smaller is earlier."""
    return queued_at.timestamp() + SHARE_S * number - STEP_S * priority


def _times(
    tx: Transaction, number: int, priority: int, queued: bool, lease: str | None
) -> dict[str, Any]:
    """`number`: of the run in its request; runs are listed and started in the order of times."""
    created = tx.now + timedelta(microseconds=number)
    values: dict[str, Any] = {"created_at": created, "updated_at": tx.now}
    if queued:
        values |= {"queued_at": created, "turn": turn_of(created, number, priority)}
    if lease is not None:
        values |= {"leased_by": lease, "leased_until": tx.now + timedelta(seconds=LEASE_S)}
    return values
