"""Options come from an operation's fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import typer
from pydantic import Field

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.options import parameter_of, takes_fields
from cosmos_pipelines.operations import OPERATIONS, Transfer
from cosmos_pipelines.operations.base import ModelType, Operation


class Wide(Operation):
    """An operation with a field of every kind."""

    model_type: ClassVar[ModelType] = "transfer"

    steps: int = Field(3, ge=1, le=9, description="How many.")
    strength: float | None = Field(None, description="How much; default: it depends.")
    word: str = "x"
    level: Literal["low", "high"] = "low"
    keep: bool = Field(True, description="Keep it.")
    renamed: int = Field(1, json_schema_extra={"cli": ["--other", "-o"]})


def command_of(operation: type[Operation]) -> tuple[Any, list[dict[str, Any]]]:
    """A command with the operation's options, and what it was called with."""
    calls: list[dict[str, Any]] = []
    app = new_app()

    @app.command()
    @takes_fields(operation)
    def go(word: str = "own", *, fields: dict[str, Any]) -> None:
        """Go."""
        calls.append({"own": word, **fields})

    return typer.main.get_command(app), calls


def given(operation: type[Operation], *words: str) -> dict[str, Any]:
    """The fields that reach a command called with these words."""
    command, calls = command_of(operation)
    command.main(list(words), prog_name="go", standalone_mode=False)
    return calls[0]


def help_of(operation: type[Operation]) -> str:
    command, _ = command_of(operation)
    context = command.context_class(command, info_name="go", terminal_width=200)
    return " ".join(command.get_help(context).split())


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_field_of_every_operation_is_an_option(operation: type[Operation]) -> None:
    for name, field in operation.model_fields.items():
        assert parameter_of(name, field).default is None
        assert (field.description or "").split(";")[0].rstrip(".") in help_of(operation)


def test_options_that_were_not_given_are_not_passed_on() -> None:
    assert given(Transfer) == {"own": "own"}


def test_each_kind_of_field_arrives_as_its_type() -> None:
    words = ["--steps", "5", "--strength", "0.5", "--level", "high", "--no-keep", "-o", "7"]
    assert given(Wide, *words) == {
        "own": "own",
        "steps": 5,
        "strength": 0.5,
        "level": "high",
        "keep": False,
        "renamed": 7,
    }


def test_a_parameter_of_the_command_wins_over_a_field_of_the_same_name() -> None:
    assert given(Wide, "--word", "mine") == {"own": "mine"}


def test_weights_are_four_numbers_in_the_standard_order() -> None:
    weights = given(Transfer, "--weights", "0.3", "0.4", "0.2", "0.1")["weights"]
    assert weights == {"vis": 0.3, "edge": 0.4, "depth": 0.2, "seg": 0.1}
    assert "--weights VIS EDGE DEPTH SEG" in help_of(Transfer)


def test_guidance_has_both_of_its_names() -> None:
    assert given(Transfer, "--guidance", "2") == given(Transfer, "--guidance-scale", "2")


def test_a_default_and_a_range_are_told_in_the_help() -> None:
    assert "How many; default: 3. [1<=x<=9]" in help_of(Wide)
    assert "--keep/--no-keep" in help_of(Wide).replace(" / ", "/")
    assert "default: it depends." in help_of(Wide)


def test_a_type_without_a_form_on_a_command_line_is_refused_by_name() -> None:
    class Odd(Operation):
        model_type: ClassVar[ModelType] = "transfer"
        where: Path = Path()

    with pytest.raises(TypeError, match="'where'"):
        command_of(Odd)
