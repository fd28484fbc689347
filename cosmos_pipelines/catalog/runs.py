"""Runs in the catalog: find and annotate them. add_runs.py adds runs, lifecycle.py changes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, select, update

from cosmos_pipelines.catalog.columns import storable, wanted_id
from cosmos_pipelines.catalog.database import Database, Transaction
from cosmos_pipelines.catalog.lookup import begins_with, in_bytes, near
from cosmos_pipelines.catalog.new_run import clean_tags
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
"""Seconds after which a lease that is not renewed ends; renewed three times in that span."""
BEST = 5
LATEST: dict[str, str | None] = {"latest": None} | {f"latest-{kind}": kind for kind in MODEL_TYPES}


def run_of(row: Row[Any]) -> Run:
    """Return the record of a row of `COLUMNS`."""
    return Run(**row._mapping)


class Runs(Database):
    """The catalog's part for runs."""

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
