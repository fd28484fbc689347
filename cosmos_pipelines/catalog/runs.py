"""Runs in the catalog: add, find and annotate runs. lifecycle.py changes their status."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, select, update
from sqlalchemy.exc import IntegrityError

from cosmos_pipelines.catalog.columns import storable, wanted_id
from cosmos_pipelines.catalog.database import AT_ONCE, Database, Transaction
from cosmos_pipelines.catalog.lookup import begins_with, in_bytes, near
from cosmos_pipelines.catalog.new_run import NewRun, clean_tags, new_run
from cosmos_pipelines.catalog.newest import newest_runs
from cosmos_pipelines.catalog.records import MODEL_TYPES, STATUSES, Run
from cosmos_pipelines.catalog.tables import prompts, run_counts, runs
from cosmos_pipelines.errors import InputError, UnknownId, shown

COLUMNS = tuple(runs.c[name] for name in Run.__dataclass_fields__)
_WITH_VIDEO = (
    # not `== "completed"`: SQLite would read the index of that status, half of the table
    runs.c.status.not_in([status for status in STATUSES if status != "completed"]),
    runs.c.model_type != "enhance",
)
LEASE_S = 30
STEP_S: Final = 3600.0
"""Seconds of waiting that one step of priority is worth: so a low one never waits for ever."""
SHARE_S: Final = 300.0
"""Seconds by which each run of a request comes after the one before it: so requests share."""
BEST = 5
LATEST: dict[str, str | None] = {"latest": None} | {f"latest-{kind}": kind for kind in MODEL_TYPES}


def run_of(row: Row[Any]) -> Run:
    """Return the record of a row of `COLUMNS`."""
    return Run(**row._mapping)


class Runs(Database):
    """The catalog's part for runs."""

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

    def get_run(self, wanted: str) -> Run:
        """Return the run with this id or unique beginning of an id (with or without `rs_`).

        `latest` is the newest run, `latest-transfer` the newest run of that operation.

        Raises:
            UnknownId: no such run; the message offers similar ids.
            InputError: several runs; the message names them.
        """
        wanted = wanted_id("run", wanted)
        if wanted in LATEST and (newest := self.list_runs(model_type=LATEST[wanted], limit=1)):
            return newest[0]
        start = wanted if wanted.startswith("rs_") else f"rs_{wanted}"
        if (exact := self.find_run(wanted)) is not None:
            return exact
        begins = select(*COLUMNS).where(begins_with(self, runs.c.id, start))
        found = self.rows(begins.order_by(in_bytes(self, runs.c.id)).limit(6)) if wanted else []
        if len(found) == 1:
            return run_of(found[0])
        if found:
            those = ", ".join(row.id for row in found[:5])
            message = f"Several runs begin with {shown(wanted)}: {those}."
            raise InputError(message, hint="Give more of the id.")
        raise self._unknown_run(wanted, start)

    def get_runs(self, wanted: Iterable[str]) -> list[Run]:
        """Return the runs of `get_run`, each once, in this order; exact ids take one query.

        Raises:
            UnknownId, InputError: as in `get_run`.
        """
        wanted = [wanted_id("run", word) for word in wanted]
        exact = self.find_runs(wanted)
        found = [exact.get(word) or self.get_run(word) for word in wanted]
        return list({run.id: run for run in found}.values())

    def find_run(self, run_id: str) -> Run | None:
        """Return the run with exactly this id; None if there is no such run."""
        return self.find_runs([run_id]).get(storable(run_id))

    def find_runs(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """Return the runs with exactly these ids, by id; unknown ids are left out."""
        rows = self.rows_with(select(*COLUMNS), runs.c.id, run_ids)
        return {row.id: run_of(row) for row in rows}

    def list_runs(
        self,
        status: str | Collection[str] | None = None,
        prompt_id: str | None = None,
        model_type: str | None = None,
        engine: str | None = None,
        parent_run_id: str | None = None,
        batch_id: str | None = None,
        rating: int | None = None,
        tag: str | None = None,
        limit: int | None = 50,
        offset: int = 0,
    ) -> list[Run]:
        """Return runs, newest first; all runs with `limit=None`. `status` may be several.

        `rating`: only runs that are rated so or better.

        Raises:
            InputError: an unknown status, no tag, another rating than 1 to 5.
        """
        equal = {
            "prompt_id": prompt_id,
            "model_type": model_type,
            "engine": engine,
            "parent_run_id": parent_run_id,
            "batch_id": batch_id,
        }
        several: dict[str, Sequence[Any]] = {}
        if status is not None:
            several["status"] = _statuses(status)
        if rating is not None:
            several["rating"] = range(rating_of(rating), BEST + 1)
        tagged = None if tag is None else clean_tags([tag]).pop()
        rows = newest_runs(self, COLUMNS, equal, several, tagged, limit, offset)
        return [run_of(row) for row in rows]

    def run_ids(self, prompt_id: str) -> list[str]:
        """Return the ids of a prompt's runs, newest first."""
        statement = select(runs.c.id).where(runs.c.prompt_id == prompt_id)
        newest = statement.order_by(runs.c.created_at.desc(), runs.c.id)
        return [row.id for row in self.rows(newest)]

    def runs_of_orders(self, orders: Iterable[str]) -> list[Run]:
        """Return the runs whose last order is one of these orders; of each order, newest first."""
        newest = select(*COLUMNS).order_by(runs.c.created_at.desc(), runs.c.id)
        return [run_of(row) for row in self.rows_with(newest, runs.c.batch_id, orders)]

    def runs_asked_by(self, request: str) -> list[Run]:
        """Return the runs that were entered for this request; see `enter_all`."""
        asked = begins_with(self, runs.c.request_key, f"{request}/")
        return self._runs(select(*COLUMNS).where(asked).order_by(runs.c.created_at, runs.c.id))

    def ids_with_video(self) -> list[str]:
        """Return the ids of the completed transfers, oldest first."""
        statement = select(runs.c.id).where(
            runs.c.status == "completed", runs.c.model_type == "transfer"
        )
        return [row.id for row in self.rows(statement.order_by(runs.c.created_at, runs.c.id))]

    def videos_after(self, run_id: str, limit: int) -> list[Run]:
        """Return at most `limit` completed runs that make videos, with ids behind `run_id`, by id.

        "" is before all.
        """
        statement = select(*COLUMNS).where(*_WITH_VIDEO, runs.c.id > run_id).order_by(runs.c.id)
        return self._runs(statement.limit(limit))

    def videos_of_scenes(self, keys: Iterable[str]) -> list[Run]:
        """Return the completed runs that make videos of prompts for these scenes."""
        of = select(*COLUMNS).join(prompts, prompts.c.id == runs.c.prompt_id).where(*_WITH_VIDEO)
        return [run_of(row) for row in self.rows_with(of, prompts.c.scene, keys)]

    def upscales_of_files(self) -> list[Run]:
        """Return the completed upscales of videos that no run made."""
        own = (*_WITH_VIDEO, runs.c.model_type == "upscale", runs.c.parent_run_id.is_(None))
        return self._runs(select(*COLUMNS).where(*own))

    def count_by_status(self) -> dict[str, int]:
        """Return the number of runs in each status, also if it is 0."""
        found = {row.status: row.number for row in self.rows(select(run_counts))}
        return {status: found.get(status, 0) for status in STATUSES}

    def keep_source(self, run_id: str, source: Mapping[str, Any]) -> bool:
        """Say where the file lies by now that a run was made of; False: there is no such run."""
        with self.write() as tx:
            changed = update(runs).where(runs.c.id == run_id)
            values = {"source": dict(source), **tx.stamp()}
            return tx.connection.execute(changed.values(values)).rowcount == 1

    def note(self, run_id: str, text: str) -> Run:
        """Add a sentence to a run's notes, unless the notes have it already."""
        run = self.get_run(run_id)
        with self.write() as tx:
            statement = select(runs.c.notes).where(runs.c.id == run.id)
            notes = tx.connection.execute(statement).scalar_one_or_none() or []
            if storable(text) not in notes:
                set_run(tx, run.id, notes=[*notes, text])
        return self.get_run(run.id)

    def _unknown_run(self, wanted: str, start: str) -> UnknownId:
        return UnknownId("run", wanted, near(self, runs.c.id, start))

    def _runs(self, statement: Select[Any]) -> list[Run]:
        return [run_of(row) for row in self.rows(statement)]

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


def set_run(tx: Transaction, run_id: str, **values: Any) -> None:
    """Change values of one run."""
    tx.connection.execute(update(runs).where(runs.c.id == run_id).values(**values, **tx.stamp()))


def _statuses(status: str | Collection[str]) -> list[str]:
    wanted = [status] if isinstance(status, str) else list(dict.fromkeys(status))
    for name in wanted:
        if name not in STATUSES:
            raise InputError(
                f"There is no status {shown(name)}.", hint=f"One of {', '.join(STATUSES)}."
            )
    return wanted


def rating_of(rating: int) -> int:
    """The same number. Raises InputError if it is no rating."""
    if rating not in range(1, BEST + 1):
        raise InputError(f"A rating is 1 to {BEST}, not {shown(rating)}.")
    return rating
