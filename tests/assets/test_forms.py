"""The launchpad's forms come from the operations' fields."""

from typing import Any, ClassVar, Literal

import dagster as dg
import pytest
from pydantic import Field

from cosmos_pipelines.assets.forms import choice, config_of, given
from cosmos_pipelines.assets.jobs import create_runs
from cosmos_pipelines.assets.prompts import enhanced_prompts
from cosmos_pipelines.assets.videos import upscaled_videos
from cosmos_pipelines.definitions import build_definitions, recipe_names
from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.operations import OPERATIONS, Operation, Transfer
from cosmos_pipelines.operations.base import ModelType
from tests.support.dagster_project import QUIET
from tests.support.project import Project


def filled(form: type[dg.Config], values: dict[str, Any]) -> dict[str, Any]:
    """What a step gets when the form is filled like this in the launchpad."""
    got: dict[str, Any] = {}

    @dg.op
    def look(config: form) -> None:  # type: ignore[valid-type]
        got.update(given(config))

    @dg.job
    def launched() -> None:
        look()

    launched.execute_in_process(run_config=QUIET | {"ops": {"look": {"config": values}}})
    return got


class Lens(Frozen):
    focal_mm: float = 35.0


class Anything(Operation):
    """An operation with a field of every kind."""

    model_type: ClassVar[ModelType] = "transfer"
    number: int = Field(3, ge=1, description="How many.")
    share: float | None = None
    word: Literal["low", "high"] = "low"
    on: bool = True
    lens: Lens | None = Field(None, description="The lens.")
    seeds: tuple[int, ...] = ()


@pytest.mark.parametrize("operation", OPERATIONS.values())
def test_every_field_of_an_operation_is_in_its_form(operation: type[Operation]) -> None:
    assert list(config_of(operation).model_fields) == list(operation.model_fields)


def test_a_form_has_the_fields_descriptions_and_defaults() -> None:
    assert config_of(Anything).model_fields["number"].description == "How many. Default: 3."
    assert config_of(Anything).model_fields["lens"].description == "The lens."


def test_an_empty_form_gives_nothing_so_that_defaults_and_recipes_hold() -> None:
    assert filled(config_of(Anything), {}) == {}


def test_a_filled_form_gives_plain_values_that_the_operation_accepts() -> None:
    values = {
        "number": 7,
        "share": 0.25,
        "word": "high",
        "on": False,
        "lens": {"focal_mm": 50.0},
        "seeds": [1, 2],
    }
    assert filled(config_of(Anything), values) == values
    assert Anything.parse(values).lens == Lens(focal_mm=50.0)


def test_a_choice_that_there_is_not_is_refused_by_the_launchpad() -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        filled(config_of(Transfer), {"blur_strength": "extreme"})


def refused(job: dg.JobDefinition, op: str, **config: Any) -> str:
    """What is said of a form before there is a Dagster run of it; empty: it is accepted."""
    try:
        dg.validate_run_config(job, {"ops": {op: {"config": config}}})
    except dg.DagsterInvalidConfigError as e:
        return str(e)
    return ""


def test_a_sweep_with_a_mistyped_recipe_is_refused_before_there_is_a_run() -> None:
    job = create_runs(["soft", "hard look"])
    assert refused(job, "register_runs", recipes=["soft", "hard look"]) == ""
    said = refused(job, "register_runs", recipes=["sofft"])
    assert "recipe (soft, hard look) got sofft" in said
    assert "recipe (none) got soft" in refused(create_runs([]), "register_runs", recipes=["soft"])


@pytest.mark.parametrize("model_type", ["transfer", "upscale", "enhance"])
def test_a_form_with_a_mistyped_engine_is_refused_before_there_is_a_run(model_type: str) -> None:
    if model_type == "transfer":
        job, op = create_runs(), "register_runs"
    else:
        asset = upscaled_videos() if model_type == "upscale" else enhanced_prompts()
        op = asset.key.to_user_string()
        job = dg.Definitions(
            [asset], jobs=[dg.define_asset_job("one", [asset])],
            resources={"catalog": dg.ResourceDefinition.none_resource(),
                       "backend": dg.ResourceDefinition.none_resource()},
        ).resolve_job_def("one")  # fmt: skip
    assert refused(job, op, engine="preview") == ""
    said = refused(job, op, engine="previw")
    assert "preview" in said and "got previw" in said
    assert ("cosmos_transfer2_5" in said) == (model_type == "transfer")


def test_the_page_offers_the_recipes_of_transfers_that_are_there(staged: Project) -> None:
    assert recipe_names(staged.settings) == []
    staged.catalog.put_recipe("soft", "preview", "transfer", {})
    staged.catalog.put_recipe("large", "preview", "upscale", {})
    names = recipe_names(staged.settings)
    assert names == ["soft"]
    job = build_definitions(staged.settings, names).resolve_job_def("create_runs")
    assert "got large" in refused(job, "register_runs", recipes=["large"])


def test_a_catalog_that_cannot_be_read_does_not_stop_the_page(staged: Project) -> None:
    (staged.settings.outputs / "cosmos.db").write_bytes(b"this is no database")
    assert recipe_names(staged.settings) is None
    job = build_definitions(staged.settings, None).resolve_job_def("create_runs")
    assert refused(job, "register_runs", recipes=["any"]) == ""


@pytest.mark.parametrize("name", ["mro", "_sunder_"])
def test_a_word_that_python_refuses_as_a_choice_can_be_typed(name: str) -> None:
    assert choice("recipe", ["soft", name]) is str


def test_two_choices_of_other_words_are_two_types() -> None:
    words = [f"recipe number {n}" for n in range(100)]
    names = {choice("recipe", w).__name__ for w in (words, words[:-1], words[1:])}
    assert len(names) == 3
