"""Which runs are wanted: the filters of the page, of the API and of `cosmos list runs`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Field

from cosmos_pipelines.catalog.columns import LONGEST_ID
from cosmos_pipelines.catalog.records import Status
from cosmos_pipelines.frozen import Frozen
from cosmos_pipelines.operations import ModelType

MOST_VALUES: Final = 100
"""Values of one filter; also what a URL may hold."""


def _several(value: object) -> object:
    """One word stands for a list of one."""
    if isinstance(value, str):
        return [value]
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


_Word = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
_Words = Annotated[tuple[_Word, ...], BeforeValidator(_several), Field(max_length=MOST_VALUES)]


class RunFilter(Frozen):
    """What a run must have. Of several values of a field one is enough; of tags it needs all."""

    words: str = Field("", max_length=LONGEST_ID, description="words")
    scene: _Words = Field((), description="scene")
    prompt: _Words = Field((), description="prompt, by its id")
    recipe: _Words = Field((), description="recipe")
    engine: _Words = Field((), description="engine")
    status: Annotated[tuple[Status, ...], BeforeValidator(_several)] = Field(
        (), description="status"
    )
    type: Annotated[tuple[ModelType, ...], BeforeValidator(_several)] = Field(
        (), description="type"
    )
    rating: int | None = Field(None, ge=1, le=5, description="rated at least")
    tag: _Words = Field((), description="tag")
    without: _Words = Field((), description="without tag")
    batch: _Words = Field((), description="batch")
    since: AwareDatetime | None = Field(None, strict=True, description="made since")
    of: str | None = Field(
        None, min_length=1, max_length=LONGEST_ID, description="a run and what was made of it"
    )

    def given(self) -> dict[str, object]:
        """The filters that are set, by name."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value not in ((), "", None)}
