"""Scenes and recipes in the catalog; one with the same key or name is replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from cosmos_pipelines.catalog.columns import storable, wanted_id
from cosmos_pipelines.catalog.database import Database, Transaction
from cosmos_pipelines.catalog.lookup import near
from cosmos_pipelines.catalog.records import MODEL_TYPES, Recipe, SceneRow
from cosmos_pipelines.catalog.tables import deletions, prompts, recipes, scenes
from cosmos_pipelines.errors import InputError, StateError, UnknownId

SCENE_COLUMNS = tuple(scenes.c[name] for name in SceneRow.__dataclass_fields__)
RECIPE_COLUMNS = tuple(recipes.c[name] for name in Recipe.__dataclass_fields__)


def _follow(tx: Transaction, key: str, new: str) -> None:
    """Prompts of a scene that got a new key; whoever follows the changes learns of each."""
    execute = tx.connection.execute
    for prompt_id in execute(select(prompts.c.id).where(prompts.c.scene == key)).scalars().all():
        values = {"scene": new, **tx.stamp()}
        execute(update(prompts).where(prompts.c.id == prompt_id).values(values))
    gone = {"kind": "scene", "id": key, "revision": tx.revision(), "deleted_at": tx.now}
    tx.revive("scene", key)
    execute(insert(deletions).values(gone))
    tx.revive("scene", new)


class Scenes(Database):
    """The catalog's part for scenes and recipes."""

    def put_scene(
        self,
        key: str,
        path: str,
        digest: str,
        facts: Mapping[str, Any],
        description: str | None = None,
        sources: str | None = None,
        rendered_in: str | None = None,
    ) -> SceneRow:
        """Add or update a scene; write nothing if the scene has not changed."""
        values = storable(
            {
                "path": path,
                "digest": digest,
                "facts": dict(facts),
                "description": description,
                "sources": sources,
                "rendered_in": rendered_in,
            }
        )
        known = self.find_scene(key)
        if known is not None and all(getattr(known, k) == v for k, v in values.items()):
            return known
        with self.write() as tx:
            values |= tx.stamp()
            statement = self.insert(scenes).values(key=key, created_at=tx.now, **values)
            statement = statement.on_conflict_do_update(index_elements=["key"], set_=values)
            row = tx.connection.execute(statement.returning(*SCENE_COLUMNS)).one()
            tx.revive("scene", key)
        return SceneRow(**row._mapping)

    def get_scene(self, key: str) -> SceneRow:
        """Return the scene with this key.

        Raises:
            UnknownId: no such scene; the message offers similar keys.
        """
        scene = self.find_scene(wanted_id("scene", key))
        if scene is None:
            raise UnknownId("scene", key, self.near_scenes(key))
        return scene

    def near_scenes(self, wanted: str) -> list[str]:
        """Return keys of scenes that look like this one."""
        return near(self, scenes.c.key, wanted)

    def list_scenes(self) -> list[SceneRow]:
        """Return all scenes, sorted by key."""
        rows = self.rows(select(*SCENE_COLUMNS).order_by(scenes.c.key))
        return [SceneRow(**row._mapping) for row in rows]

    def scenes_after(self, key: str, limit: int) -> list[SceneRow]:
        """Return at most `limit` scenes with keys behind `key`, sorted by key; "" is before all."""
        statement = select(*SCENE_COLUMNS).where(scenes.c.key > key).order_by(scenes.c.key)
        return [SceneRow(**row._mapping) for row in self.rows(statement.limit(limit))]

    def find_scene(self, key: str) -> SceneRow | None:
        """Return the scene with this key; None if there is no such scene."""
        return self.find_scenes([key]).get(storable(key))

    def find_scenes(self, keys: Iterable[str]) -> dict[str, SceneRow]:
        """Return the scenes with exactly these keys, by key; unknown keys are left out."""
        rows = self.rows_with(select(*SCENE_COLUMNS), scenes.c.key, keys)
        return {row.key: SceneRow(**row._mapping) for row in rows}

    def scenes_touched(self, after: datetime) -> dict[str, datetime]:
        """Return when each scene was registered last, by key; only those after a moment."""
        columns = (scenes.c.key, scenes.c.updated_at)
        rows = self.rows(select(*columns).where(scenes.c.updated_at > after))
        return {row.key: row.updated_at for row in rows}

    def scenes_like(self, *, path: str | None = None, digest: str | None = None) -> list[SceneRow]:
        """Scenes with this stored path, or with this content; the newest first."""
        statement = select(*SCENE_COLUMNS).order_by(scenes.c.updated_at.desc(), scenes.c.key)
        for column, value in ((scenes.c.path, path), (scenes.c.digest, digest)):
            if value is not None:
                statement = statement.where(column == storable(value))
        return [SceneRow(**row._mapping) for row in self.rows(statement)]

    def rename_scene(self, key: str, new: str, path: str) -> SceneRow | None:
        """Give a scene another key and place; its prompts, with their ids and runs, follow.

        None: there is no such scene (any more), or the new key is taken.
        """
        key, new, path = storable(key), storable(new), storable(path)
        with self.write() as tx:
            execute = tx.connection.execute
            taken = select(scenes.c.key).where(scenes.c.key == new)
            if key != new and execute(taken).first() is not None:
                return None
            statement = update(scenes).where(scenes.c.key == key)
            statement = statement.values(key=new, path=path, **tx.stamp())
            row = execute(statement.returning(*SCENE_COLUMNS)).first()
            if row is None:
                return None
            if key != new:
                _follow(tx, key, new)
        return SceneRow(**row._mapping)

    def put_recipe(
        self,
        name: str,
        engine: str,
        model_type: str,
        config: Mapping[str, Any],
        *,
        replace: bool = True,
    ) -> Recipe:
        """Add a recipe, or replace the recipe of this name.

        Raises:
            InputError: no name, or an unknown operation.
            StateError: there is a recipe of this name, and it is not to be replaced.
        """
        from cosmos_pipelines.operations.text import clean_name

        name = clean_name(name, "recipe's name")
        if model_type not in MODEL_TYPES:
            raise InputError(f"A recipe is for one of {', '.join(MODEL_TYPES)}, not {model_type}.")
        values = {"engine": engine, "model_type": model_type, "config": dict(config)}
        with self.write() as tx:
            statement = self.insert(recipes).values(name=name, created_at=tx.now, **values)
            if replace:
                statement = statement.on_conflict_do_update(index_elements=["name"], set_=values)
            else:
                statement = statement.on_conflict_do_nothing(index_elements=["name"])
            row = tx.connection.execute(statement.returning(*RECIPE_COLUMNS)).first()
        if row is None:
            raise StateError(f"There is a recipe {name!r} already.", hint="Choose another name.")
        return Recipe(**row._mapping)

    def get_recipe(self, name: str) -> Recipe:
        """Return the recipe with this name.

        Raises:
            UnknownId: no such recipe; the message offers similar names.
        """
        from cosmos_pipelines.operations.text import tidy

        known = " ".join(tidy(wanted_id("recipe", name)).split())
        rows = self.rows(select(*RECIPE_COLUMNS).where(recipes.c.name == known))
        if not rows:
            raise UnknownId("recipe", name, [r.name for r in self.list_recipes()])
        return Recipe(**rows[0]._mapping)

    def list_recipes(self) -> list[Recipe]:
        """Return all recipes, sorted by name."""
        rows = self.rows(select(*RECIPE_COLUMNS).order_by(recipes.c.name))
        return [Recipe(**row._mapping) for row in rows]
