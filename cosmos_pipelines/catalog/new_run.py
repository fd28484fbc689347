"""The columns of a run before it is in the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

from cosmos_pipelines import ids
from cosmos_pipelines.catalog.records import MODEL_TYPES, Status
from cosmos_pipelines.errors import InputError, shown

AUTO: Final = "auto"
"""The backend of a run for which the queue chooses the place."""
MOST_PRIORITY: Final = 100
VERDICTS: Final = frozenset({"picked", "rejected"})
"""Tags that say what a reviewer decided; a run has at most one of them."""


class NewRun(TypedDict):
    """The columns of a run that is not in the catalog yet; `new_run` makes them."""

    id: str
    model_type: str
    status: Status
    engine: str
    backend: str
    execution_config: dict[str, Any]
    prompt_id: str | None
    recipe: str | None
    parent_run_id: str | None
    source: dict[str, Any]
    priority: int
    attempt: int
    outputs: dict[str, Any]
    tags: list[str]
    notes: list[str]
    request_key: str | None
    ordered_by: str | None
    any_place: int


def new_run(
    model_type: str,
    engine: str,
    backend: str,
    execution_config: Mapping[str, Any],
    prompt_id: str | None = None,
    recipe: str | None = None,
    parent_run_id: str | None = None,
    source: Mapping[str, Any] | None = None,
    priority: int = 0,
    tags: Iterable[str] = (),
    notes: Iterable[str] = (),
    run_id: str | None = None,
    request_key: str | None = None,
    ordered_by: str | None = None,
) -> NewRun:
    """The columns of a new run.

    `request_key`: by which whoever asks for this run a second time is given the same run.
    `ordered_by`: the person, `name@machine`.

    Raises:
        InputError: an unknown operation, a run id of the wrong form, a priority out of range.
    """
    if model_type not in MODEL_TYPES:
        raise InputError(f"An operation is one of {', '.join(MODEL_TYPES)}, not {model_type}.")
    run_id = run_id or ids.new_run_id()
    if not ids.is_run_id(run_id):
        raise InputError(f"{shown(run_id)} is not a run id (rs_ and 32 hex digits).")
    check_priority(priority)
    return NewRun(
        id=run_id,
        model_type=model_type,
        status="pending",
        engine=engine,
        backend=backend,
        execution_config=dict(execution_config),
        prompt_id=prompt_id,
        recipe=recipe,
        parent_run_id=parent_run_id,
        source=dict(source or {}),
        priority=priority,
        attempt=1,
        outputs={},
        tags=tags_after((), clean_tags(tags), ()),
        notes=list(notes),
        request_key=request_key,
        ordered_by=ordered_by,
        any_place=int(backend == AUTO),
    )


def check_priority(priority: int) -> int:
    """The same number. Raises InputError if it is no priority."""
    if isinstance(priority, bool) or not -MOST_PRIORITY <= priority <= MOST_PRIORITY:
        raise InputError(
            f"A priority is {-MOST_PRIORITY} to {MOST_PRIORITY}, not {shown(priority)}.",
            hint="0 is the usual one; a higher one is started earlier.",
        )
    return priority


def clean_tags(tags: Iterable[str]) -> set[str]:
    """Tags as they are stored: lower case, no spaces at the ends. Raises InputError."""
    from cosmos_pipelines.operations.text import clean_name

    return {clean_name(tag, "tag").lower() for tag in tags}


def without_verdict(tags: Iterable[str]) -> list[str]:
    """The tags that another run may have too."""
    return [tag for tag in tags if tag not in VERDICTS]


def tags_after(now: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """The tags of a run that had `now`: a verdict takes the place of the other.

    Raises:
        InputError: both verdicts are to be added.
    """
    given = VERDICTS & set(add)
    if given == VERDICTS:
        raise InputError("A run is picked or rejected, not both.", hint="Add one of the two tags.")
    replaced = VERDICTS - given if given else frozenset[str]()
    return sorted({*now, *add} - {*remove, *replaced})
