"""Scenes and recipes in the catalog: entered again, they are replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from cosmos_pipelines.catalog.columns import storable, wanted_id
from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.records import MODEL_TYPES, Recipe, SceneRow
from cosmos_pipelines.catalog.tables import recipes, scenes
from cosmos_pipelines.errors import InputError, UnknownId

SCENE_COLUMNS = tuple(scenes.c[name] for name in SceneRow.__dataclass_fields__)
RECIPE_COLUMNS = tuple(recipes.c[name] for name in Recipe.__dataclass_fields__)


class Scenes(Database):
    """The catalog's part for scenes and recipes."""

    def put_scene(
        self,
        key: str,
        path: str,
        digest: str,
        facts: Mapping[str, Any],
        description: str | None = None,
    ) -> SceneRow:
        """Enter a scene or bring it up to date; what has not changed is not written."""
        values = storable(
            {"path": path, "digest": digest, "facts": dict(facts), "description": description}
        )
        known = self.find_scene(key)
        if known is not None and all(getattr(known, k) == v for k, v in values.items()):
            return known
        with self.write() as tx:
            values |= tx.stamp()
            statement = self.insert(scenes).values(key=key, created_at=tx.now, **values)
            statement = statement.on_conflict_do_update(index_elements=["key"], set_=values)
            row = tx.connection.execute(statement.returning(*SCENE_COLUMNS)).one()
        return SceneRow(**row._mapping)

    def get_scene(self, key: str) -> SceneRow:
        """The scene with this key.

        Raises:
            UnknownId: there is none; offers the nearest.
        """
        scene = self.find_scene(wanted_id("scene", key))
        if scene is None:
            raise UnknownId("scene", key, [s.key for s in self.list_scenes()])
        return scene

    def list_scenes(self) -> list[SceneRow]:
        """All scenes by key."""
        with self.read() as connection:
            rows = connection.execute(select(*SCENE_COLUMNS).order_by(scenes.c.key)).all()
        return [SceneRow(**row._mapping) for row in rows]

    def find_scene(self, key: str) -> SceneRow | None:
        """The scene with this key, if there is one."""
        with self.read() as connection:
            row = connection.execute(select(*SCENE_COLUMNS).where(scenes.c.key == key)).first()
        return None if row is None else SceneRow(**row._mapping)

    def put_recipe(
        self, name: str, engine: str, model_type: str, config: Mapping[str, Any]
    ) -> Recipe:
        """Enter a recipe or replace the one with this name.

        Raises:
            InputError: no name, or an unknown operation.
        """
        from cosmos_pipelines.operations.text import clean_name

        name = clean_name(name, "recipe's name")
        if model_type not in MODEL_TYPES:
            raise InputError(f"A recipe is for one of {', '.join(MODEL_TYPES)}, not {model_type}.")
        values = {"engine": engine, "model_type": model_type, "config": dict(config)}
        with self.write() as tx:
            statement = self.insert(recipes).values(name=name, created_at=tx.now, **values)
            statement = statement.on_conflict_do_update(index_elements=["name"], set_=values)
            row = tx.connection.execute(statement.returning(*RECIPE_COLUMNS)).one()
        return Recipe(**row._mapping)

    def get_recipe(self, name: str) -> Recipe:
        """The recipe with this name.

        Raises:
            UnknownId: there is none; offers the nearest.
        """
        from cosmos_pipelines.operations.text import tidy

        known = " ".join(tidy(wanted_id("recipe", name)).split())
        with self.read() as connection:
            statement = select(*RECIPE_COLUMNS).where(recipes.c.name == known)
            row = connection.execute(statement).first()
        if row is None:
            raise UnknownId("recipe", name, [r.name for r in self.list_recipes()])
        return Recipe(**row._mapping)

    def list_recipes(self) -> list[Recipe]:
        """All recipes by name."""
        with self.read() as connection:
            rows = connection.execute(select(*RECIPE_COLUMNS).order_by(recipes.c.name)).all()
        return [Recipe(**row._mapping) for row in rows]
