from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos_pipelines import ids
from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.errors import InputError, UnknownId
from tests.catalog.rows import add_prompt, add_run


def test_a_prompt_comes_back_as_it_was_entered(catalog: Catalog) -> None:
    parameters = {"b": [1, 2.5, None], "a": {"ü": True}}
    prompt, created = catalog.add_prompt(" fog\r\n", " noise ", "shots/a", "low_fog", parameters)
    assert created
    assert prompt.id == ids.prompt_id("fog", "noise", "shots/a", parameters)
    assert (prompt.text, prompt.negative_prompt, prompt.name) == ("fog", "noise", "low_fog")
    assert prompt.parameters == parameters
    assert prompt.created_at.tzinfo is UTC
    assert catalog.get_prompt(prompt.id) == prompt == catalog.list_prompts()[0]
    assert json.loads(json.dumps(prompt.as_dict()))["created_at"].endswith("Z")


def test_the_same_content_again_is_the_same_prompt(catalog: Catalog) -> None:
    first, created = catalog.add_prompt("fog", None, "city", "one", {"a": 1})
    again, created_again = catalog.add_prompt("fog\n", "  ", "city", "two", {"a": 1})
    assert (created, created_again) == (True, False)
    assert again == first
    assert add_prompt(catalog, "fog", scene="park").id != first.id


def test_of_threads_that_enter_one_prompt_exactly_one_creates_it(catalog: Catalog) -> None:
    def enter(number: int) -> tuple[str, bool]:
        prompt, created = catalog.add_prompt("fog", None, "city", f"name_{number}", {})
        return prompt.id, created

    with ThreadPoolExecutor(8) as pool:
        entered = list(pool.map(enter, range(16)))
    assert len({prompt_id for prompt_id, _ in entered}) == 1
    assert [created for _, created in entered].count(True) == 1


def test_a_prompt_is_found_by_id_by_its_beginning_and_by_name(catalog: Catalog) -> None:
    prompt = add_prompt(catalog, name="low_lying_mist")
    for wanted in (prompt.id, prompt.id[:9], prompt.id[3:9], "low_lying_mist"):
        assert catalog.get_prompt(wanted) == prompt


def test_an_unknown_prompt_is_refused_with_the_nearest(catalog: Catalog) -> None:
    prompt = add_prompt(catalog, name="low_lying_mist")
    with pytest.raises(UnknownId, match="low_lying_mist"):
        catalog.get_prompt("low_lying_fist")
    with pytest.raises(UnknownId, match=prompt.id):
        catalog.get_prompt(prompt.id[:-1] + "x")
    for wanted in ("", "%", "_", "ps_%", "\x00", "\ud800", "' OR 1=1"):
        with pytest.raises(UnknownId):
            catalog.get_prompt(wanted)


def test_a_name_or_beginning_of_several_prompts_names_them(catalog: Catalog) -> None:
    one, two = add_prompt(catalog, "a", name="fog"), add_prompt(catalog, "b", name="fog")
    with pytest.raises(InputError, match="Several") as caught:
        catalog.get_prompt("fog")
    assert one.id in str(caught.value)
    assert two.id in str(caught.value)
    with pytest.raises(InputError, match="Several"):
        catalog.get_prompt("ps_")


def test_prompts_are_listed_newest_first_by_page_and_scene(catalog: Catalog) -> None:
    made = [add_prompt(catalog, f"text {n}", scene="ab"[n % 2]).id for n in range(5)]
    assert (
        [p.id for p in catalog.list_prompts()]
        == made[::-1]
        == [prompt.id for prompt in catalog.list_prompts()]
    )
    assert [p.id for p in catalog.list_prompts(limit=2, offset=1)] == made[3:1:-1]
    assert [p.id for p in catalog.list_prompts(scene="b")] == [made[3], made[1]]
    assert [p.id for p in catalog.list_prompts(limit=None)] == made[::-1]
    assert catalog.has_prompt_named("low_fog")
    assert not catalog.has_prompt_named("low")


def test_an_enhanced_prompt_knows_its_parent(catalog: Catalog) -> None:
    parent = add_prompt(catalog)
    child = add_prompt(catalog, "denser fog", parent_prompt_id=parent.id, source_run_id="rs_x")
    assert (child.parent_prompt_id, child.source_run_id) == (parent.id, "rs_x")
    with pytest.raises(UnknownId, match="ps_nothing"):
        add_prompt(catalog, "other", parent_prompt_id="ps_nothing")


@pytest.mark.parametrize("parameters", [{"a": float("nan")}, {"a": object()}])
def test_parameters_that_are_not_json_are_refused(catalog: Catalog, parameters: dict) -> None:
    with pytest.raises(InputError, match="JSON"):
        add_prompt(catalog, parameters=parameters)


def test_empty_and_too_long_texts_are_refused(catalog: Catalog) -> None:
    for fields in ({"text": " "}, {"text": "x" * 10_001}, {"negative_prompt": "x" * 10_001}):
        with pytest.raises(InputError):
            add_prompt(catalog, **fields)
    assert catalog.list_prompts() == []


# jsonb keeps numbers as decimals: it turns 1e16 into an integer and -0.0 into 0.0
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15).map(lambda x: x + 0.0)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ANY = st.text(st.characters(codec=None), max_size=30)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANY, ANY, st.dictionaries(ANY, JSON | ANY, max_size=3))
def test_any_text_and_parameters_are_stored_or_refused_but_never_break(
    catalog: Catalog, text: str, negative: str, parameters: dict
) -> None:
    try:
        prompt, _ = catalog.add_prompt(text, negative, "city", "name", parameters)
    except InputError:
        return
    assert catalog.get_prompt(prompt.id) == prompt
    assert prompt.id == ids.prompt_id(
        prompt.text, prompt.negative_prompt, prompt.scene, prompt.parameters
    )
    assert catalog.add_prompt(text, negative, "city", "name", parameters) == (prompt, False)


def test_times_are_read_back_to_the_microsecond(catalog: Catalog) -> None:
    before = datetime.now(UTC)
    prompt = add_prompt(catalog)
    assert before <= prompt.created_at <= prompt.updated_at <= datetime.now(UTC)


def test_prompts_that_no_enhancement_made_and_those_that_somebody_enhances_are_to_enhance(
    catalog: Catalog,
) -> None:
    first = add_prompt(catalog, "a street")
    made = {"parent_prompt_id": first.id, "source_run_id": add_run(catalog).id}
    better = add_prompt(catalog, "a better street", **made)
    best = add_prompt(catalog, "the best street", **made)
    edited = add_prompt(catalog, "an edited street", parent_prompt_id=first.id)
    add_run(catalog, prompt_id=best.id)
    assert catalog.ids_to_enhance() == [first.id, edited.id]
    add_run(catalog, model_type="enhance", prompt_id=better.id)
    assert catalog.ids_to_enhance() == [first.id, better.id, edited.id]
