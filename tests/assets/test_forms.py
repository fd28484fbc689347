"""The launchpad's forms come from the operations' fields."""

from typing import Any, ClassVar, Literal

import dagster as dg
import pytest
from pydantic import Field

from cosmos_pipelines.assets.forms import config_of, given
from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.operations import OPERATIONS, Operation, Transfer
from cosmos_pipelines.operations.base import ModelType
from tests.support.dagster_project import QUIET


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
