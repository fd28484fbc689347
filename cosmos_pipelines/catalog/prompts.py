"""Prompts in the catalog: the same content is always one prompt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from cosmos_pipelines import ids
from cosmos_pipelines.catalog.columns import in_texts, json_of, storable, wanted_id
from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.lookup import begins_with, in_bytes, near
from cosmos_pipelines.catalog.records import Prompt
from cosmos_pipelines.catalog.tables import prompts, runs
from cosmos_pipelines.errors import InputError, UnknownId

COLUMNS = tuple(prompts.c[name] for name in Prompt.__dataclass_fields__)
CONTENT = ("text", "negative_prompt", "scene", "parameters")
"""What a prompt's id is made of."""
SHOWN = 5
"""Number of candidates that an error names."""


def prompt_of(row: Row[Any]) -> Prompt:
    """Return the record of a row of `COLUMNS`."""
    return Prompt(**row._mapping)


class Prompts(Database):
    """The catalog's part for prompts."""

    def add_prompt(
        self,
        text: str,
        negative_prompt: str | None,
        scene: str,
        name: str | None,
        parameters: Mapping[str, Any],
        parent_prompt_id: str | None = None,
        source_run_id: str | None = None,
    ) -> tuple[Prompt, bool]:
        """Add a prompt; if a prompt has the same content already, return its row and False.

        `name`: None for one that is made of the text and that no other prompt has.

        Raises:
            InputError: an empty or too long text, or parameters that are not JSON.
            UnknownId: no prompt `parent_prompt_id`.
        """
        from cosmos_pipelines.naming import smart_name
        from cosmos_pipelines.operations.text import clean_name, clean_text, visible

        text = clean_text(text)
        negative = (negative_prompt or "").strip()
        values = {
            "text": text,
            "negative_prompt": clean_text(negative, "negative prompt") if negative else None,
            "scene": storable(scene),
            "name": None if name is None else clean_name(name),
            "parameters": storable(in_texts(visible, json_of(parameters))),
        }
        prompt_id, known = self._with_content(values)
        if known is not None:
            return known, False
        if parent_prompt_id is not None and self._prompt(parent_prompt_id) is None:
            raise self.unknown_prompt(parent_prompt_id)
        values |= {"parent_prompt_id": parent_prompt_id, "source_run_id": source_run_id}
        with self.write() as tx:
            if name is None:  # in here, so that no other process gives the same name meanwhile
                values["name"] = smart_name(text, partial(_is_name, tx.connection))
            values |= {"id": prompt_id, "created_at": tx.now, **tx.stamp()}
            statement = self.insert(prompts).values(values)
            statement = statement.on_conflict_do_nothing(index_elements=["id"])
            row = tx.connection.execute(statement.returning(*COLUMNS)).first()
            tx.revive("prompt", prompt_id)
        if row is not None:
            return prompt_of(row), True
        prompt = self._prompt(prompt_id)
        if prompt is None:
            raise UnknownId("prompt", prompt_id)  # another process deleted it at the same time
        return prompt, False

    def get_prompt(self, wanted: str) -> Prompt:
        """Return the prompt with this id, name, or beginning of an id (with or without `ps_`).

        Raises:
            UnknownId: no such prompt; the message offers similar ids and names.
            InputError: several prompts; the message names them.
        """
        from cosmos_pipelines.operations.text import tidy

        wanted = wanted_id("prompt", wanted)
        exact = self._prompt(wanted)
        if exact is not None:
            return exact
        found = self._matching(" ".join(tidy(wanted).split()))
        if len(found) > 1:
            raise InputError(_ambiguous(wanted, found), hint="Give more of the id.")
        if not found:
            raise self.unknown_prompt(wanted)
        return found[0]

    def unknown_prompt(self, wanted: str) -> UnknownId:
        """Return the error that no prompt has this id or name, with the nearest of both."""
        return UnknownId("prompt", wanted, self.near_prompts(wanted))

    def near_prompts(self, wanted: str) -> list[str]:
        """Return ids and names of prompts that look like this one."""
        ids_too = near(self, prompts.c.id, wanted) if wanted.startswith("ps_") else []
        return [*ids_too, *near(self, prompts.c.name, wanted)]

    def find_prompts(self, prompt_ids: Iterable[str]) -> dict[str, Prompt]:
        """Return the prompts with exactly these ids, by id; unknown ids are left out."""
        rows = self.rows_with(select(*COLUMNS), prompts.c.id, prompt_ids)
        return {row.id: prompt_of(row) for row in rows}

    def list_prompts(
        self, scene: str | None = None, limit: int | None = 50, offset: int = 0
    ) -> list[Prompt]:
        """Return prompts, newest first; all prompts with `limit=None`."""
        statement = select(*COLUMNS).order_by(prompts.c.created_at.desc(), prompts.c.id)
        if scene is not None:
            statement = statement.where(prompts.c.scene == scene)
        return [prompt_of(row) for row in self.rows(statement.limit(limit).offset(offset))]

    def ids_to_enhance(self) -> list[str]:
        """Return the ids of prompts that no enhancement made, or of which there is one, by age."""
        asked = select(runs.c.prompt_id).where(runs.c.model_type == "enhance")
        wanted = or_(prompts.c.source_run_id.is_(None), prompts.c.id.in_(asked))
        statement = select(prompts.c.id).where(wanted)
        return [r.id for r in self.rows(statement.order_by(prompts.c.created_at, prompts.c.id))]

    def has_prompt_named(self, name: str) -> bool:
        """Whether a prompt has exactly this name."""
        with self.read() as connection:
            return _is_name(connection, name)

    def _with_content(self, values: Mapping[str, Any]) -> tuple[str, Prompt | None]:
        """The id that such a prompt has or will have, and the prompt if it is there."""
        content = [values[name] for name in CONTENT]
        text, negative, scene, parameters = content
        known = self._prompt(wanted := ids.prompt_id(text, negative, scene, parameters))
        if known is not None and known.scene == scene:
            return wanted, known
        same = prompts.c.text == text, prompts.c.scene == scene
        for row in self.rows(select(*COLUMNS).where(*same)):  # it came with a renamed scene
            if [getattr(row, name) for name in CONTENT] == content:
                return row.id, prompt_of(row)
        number = 0
        while known is not None:
            number += 1
            known = self._prompt(wanted := ids.prompt_id(text, negative, scene, parameters, number))
        return wanted, None

    def _prompt(self, prompt_id: str) -> Prompt | None:
        return self.find_prompts([prompt_id]).get(storable(prompt_id))

    def _matching(self, wanted: str) -> list[Prompt]:
        """Return the newest prompts of this name; if there is none, some whose ids begin so."""
        if not wanted:
            return []
        named = select(*COLUMNS).where(prompts.c.name == wanted)
        rows = self.rows(named.order_by(prompts.c.created_at.desc()).limit(SHOWN + 1))
        if not rows:
            start = wanted if wanted.startswith("ps_") else f"ps_{wanted}"
            begun = select(*COLUMNS).where(begins_with(self, prompts.c.id, start))
            rows = self.rows(begun.order_by(in_bytes(self, prompts.c.id)).limit(SHOWN + 1))
        return [prompt_of(row) for row in rows]


def _is_name(connection: Connection, name: str) -> bool:
    named = select(prompts.c.id).where(prompts.c.name == name).limit(1)
    return connection.execute(named).first() is not None


def _ambiguous(wanted: str, found: list[Prompt]) -> str:
    those = ", ".join(f"{p.id} ({p.name}, scene {p.scene})" for p in found[:SHOWN])
    more = ", ..." if len(found) > SHOWN else ""
    return f"Several prompts are called {wanted!r}: {those}{more}."
