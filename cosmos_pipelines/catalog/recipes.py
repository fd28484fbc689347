"""Recipes renamed and removed. Runs keep the name that their recipe had, as text."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from cosmos_pipelines.catalog.records import Recipe
from cosmos_pipelines.catalog.scenes import RECIPE_COLUMNS
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.catalog.tables import recipes
from cosmos_pipelines.errors import StateError, UnknownId


def rename_recipe(catalog: Catalog, name: str, new: str) -> Recipe:
    """Give a recipe another name.

    Raises:
        UnknownId: no such recipe.
        InputError: `new` is no name.
        StateError: another recipe has the name `new`.
    """
    from cosmos_pipelines.operations.text import clean_name

    recipe = catalog.get_recipe(name)
    new = clean_name(new, "recipe's name")
    if new == recipe.name:
        return recipe
    with catalog.write() as tx:
        execute = tx.connection.execute
        if execute(select(recipes.c.name).where(recipes.c.name == new)).first() is not None:
            raise StateError(f"There is a recipe {new!r} already.", hint="Choose another name.")
        statement = update(recipes).where(recipes.c.name == recipe.name).values(name=new)
        row = execute(statement.returning(*RECIPE_COLUMNS)).first()
    if row is None:  # another process was faster
        raise UnknownId("recipe", name)
    return Recipe(**row._mapping)


def delete_recipe(catalog: Catalog, name: str) -> Recipe:
    """Remove a recipe; return it as it was. Raises UnknownId."""
    recipe = catalog.get_recipe(name)
    with catalog.write() as tx:
        statement = delete(recipes).where(recipes.c.name == recipe.name)
        row = tx.connection.execute(statement.returning(*RECIPE_COLUMNS)).first()
    if row is None:
        raise UnknownId("recipe", name)
    return Recipe(**row._mapping)
