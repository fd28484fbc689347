"""Recipes are renamed and removed; the runs that were made with them keep their name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.recipes import delete_recipe, rename_recipe
from cosmos_pipelines.errors import CosmosError, InputError, StateError, UnknownId
from tests.catalog.rows import add_prompt, add_run


def test_a_renamed_recipe_keeps_its_settings_and_old_runs_its_name(catalog: Catalog) -> None:
    old = catalog.put_recipe("soft", "preview", "transfer", {"seed": 3})
    run = add_run(catalog, prompt_id=add_prompt(catalog).id, recipe="soft")
    new = rename_recipe(catalog, "soft", "  very   soft ")
    assert (new.name, new.config, new.created_at) == ("very soft", {"seed": 3}, old.created_at)
    assert rename_recipe(catalog, "very soft", "very soft") == new
    with pytest.raises(UnknownId, match="very soft"):
        catalog.get_recipe("very sft")
    assert delete_recipe(catalog, "very soft") == new
    assert catalog.list_recipes() == []
    assert catalog.get_run(run.id).recipe == "soft"


def test_no_recipe_takes_the_name_of_another(catalog: Catalog) -> None:
    for name in ("a", "b"):
        catalog.put_recipe(name, "preview", "transfer", {"seed": 1})
    with pytest.raises(StateError, match="'b' already"):
        rename_recipe(catalog, "a", "b")
    with pytest.raises(InputError, match="name"):
        rename_recipe(catalog, "a", " ")
    with pytest.raises(StateError, match="'a' already"):
        catalog.put_recipe("a", "preview", "transfer", {"seed": 2}, replace=False)
    assert [recipe.config for recipe in catalog.list_recipes()] == [{"seed": 1}] * 2


def test_of_threads_that_rename_recipes_to_one_name_exactly_one_does(catalog: Catalog) -> None:
    for number in range(6):
        catalog.put_recipe(f"r{number}", "preview", "transfer", {"seed": number})

    def rename(number: int) -> bool:
        try:
            rename_recipe(catalog, f"r{number}", "best")
        except CosmosError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(rename, range(6))).count(True) == 1
    assert len(catalog.list_recipes()) == 6
