"""Forms are the fields of an operation: a new field is in them without a change anywhere."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from cosmos_pipelines.operations import OPERATIONS, ModelType, Transfer
from cosmos_pipelines.operations.difference import word_difference
from cosmos_pipelines.operations.forms import fields_of, values_from

KINDS = {"whole", "number", "switch", "choice", "text", "parts", "json"}


class Newer(Transfer):
    """A transfer of a later version."""

    brand_new: int | None = Field(None, ge=2, le=9, description="What nobody knows yet.")
    mood: Literal["calm", "wild"] = Field("calm", description="How it feels.")


@pytest.mark.parametrize("model_type", list(OPERATIONS))
def test_each_field_of_an_operation_has_a_form_and_takes_its_own_default(
    model_type: ModelType,
) -> None:
    operation = OPERATIONS[model_type]
    described = fields_of(operation)
    assert [one["name"] for one in described] == list(operation.model_fields)
    for one in described:
        assert one["kind"] in KINDS
        assert one["sentence"]
        filled = "" if one["default"] is None else str(one["default"])
        assert values_from(operation, {one["name"]: filled})[1] == {}


def test_a_new_field_is_in_the_form_with_its_limits_and_choices() -> None:
    found = {one["name"]: one for one in fields_of(Newer)}
    new = found["brand_new"]
    assert (new["kind"], new["least"], new["most"]) == ("whole", 2, 9)
    assert new["sentence"] == "What nobody knows yet."
    assert found["mood"]["choices"] == ["calm", "wild"]
    _, problems = values_from(Newer, {"brand_new": "10", "mood": "odd"})
    assert set(problems) == {"brand_new", "mood"}


def test_what_is_wrong_is_said_of_its_own_field() -> None:
    filled = {
        "num_steps": "many", "weights": {"edge": "2", "vis": ""}, "regional_prompts": "[{",
        "fps": " ", "nonsense": "1", "seed": "3",
    }  # fmt: skip
    values, problems = values_from(Transfer, filled)
    assert set(problems) == {"num_steps", "weights", "regional_prompts", "nonsense"}
    assert "fps" not in values
    assert values_from(Transfer, {"weights": {"edge": "0"}})[1].keys() == {"weights"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "a b"),
        ("a b", ""),
        ("a  b\nc", "a b\nd c"),
        ("x" * 9000, "y " * 4000),
        ("a " * 5000,) * 2,
    ],
)
def test_a_difference_has_both_texts_to_the_last_blank(before: str, after: str) -> None:
    parts = word_difference(before, after)
    assert "".join(part.text for part in parts if part.kind != "inserted") == before
    assert "".join(part.text for part in parts if part.kind != "deleted") == after
