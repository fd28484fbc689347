"""Words as people paste them: what looks the same is the same, and nothing is too long to ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.search import search_prompts
from cosmos_pipelines.errors import InputError, UnknownId
from tests.catalog.rows import add_prompt, add_run

BOM, ZWSP = "\ufeff", "\u200b"


def test_what_nobody_sees_makes_no_other_prompt(catalog: Catalog) -> None:
    first, _ = catalog.add_prompt("A café", "noise", "city", "one", {"by": "Zoë"})
    again, created = catalog.add_prompt(
        f"{BOM}A ca{ZWSP}fe\u0301", f"no{ZWSP}ise", "city", "two", {f"b{BOM}y": "Zoe\u0308"}
    )
    assert not created
    assert again == first


def test_a_name_is_found_as_it_is_seen(catalog: Catalog) -> None:
    prompt = add_prompt(catalog, name=f"{BOM}wet {ZWSP} street")
    assert prompt.name == "wet street"
    assert catalog.get_prompt(f"wet{ZWSP}  street") == prompt
    recipe = catalog.put_recipe(f"so{ZWSP}ft", "preview", "transfer", {})
    assert recipe.name == "soft"
    assert catalog.get_recipe(f"{BOM}soft") == recipe
    run = add_run(catalog)
    assert catalog.tag(run.id, [f"go{ZWSP}od"]).tags == ["good"]
    assert [p.id for p in search_prompts(catalog, f"f{ZWSP}og")] == [prompt.id]


@pytest.mark.parametrize(
    "look",
    [Catalog.get_prompt, Catalog.get_run, Catalog.get_scene, Catalog.get_recipe],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("word", ["ps_", "x", "%", "\udcff", "é"])
def test_an_id_of_a_megabyte_is_unknown(
    catalog: Catalog, look: Callable[[Catalog, str], object], word: str
) -> None:
    add_prompt(catalog)
    with pytest.raises(UnknownId) as e:
        look(catalog, word * (1 << 20))
    assert len(str(e.value)) < 200


def test_a_search_for_a_megabyte_finds_nothing(catalog: Catalog) -> None:
    add_prompt(catalog)
    assert search_prompts(catalog, "ps_" + "x" * (1 << 20)) == []
    assert search_prompts(catalog, "fog " * (1 << 18)) == catalog.list_prompts()


@pytest.mark.parametrize("name", ["", ZWSP, "x" * 201, "\x1b"])
def test_a_name_that_is_none_is_refused(catalog: Catalog, name: str) -> None:
    with pytest.raises(InputError):
        add_prompt(catalog, name=name)
    with pytest.raises(InputError):
        catalog.put_recipe(name, "preview", "transfer", {})
    with pytest.raises(InputError):
        catalog.tag(add_run(catalog).id, [name])
    assert catalog.list_recipes() == []
