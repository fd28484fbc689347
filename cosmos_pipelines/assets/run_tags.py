"""Tags of Dagster runs, by which its own page finds the runs of a scene, prompt, recipe or batch.

`cosmos/scene`, `cosmos/prompt`, `cosmos/recipe` and `cosmos/batch` have the value of all runs that
a Dagster run executes. Where these differ, each value has a tag of its own, as
`cosmos.prompt/snow_square`: a Dagster run has one value of a key, and its filter compares whole
values. A user's tag is always one of its own: `cosmos.tag/NAME`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

import dagster as dg

from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.ids import content_hash

BATCH_NAME: Final = "batch:"
"""A run's tag that begins so has the name of the batch that it was ordered in."""
LONGEST: Final = 200
"""Characters of a value: PostgreSQL's index of Dagster's tags takes 2,704 bytes."""
LONGEST_KEY: Final = 63
"""Characters that Dagster allows on each side of the `/` of a key: A-Z a-z 0-9 _ . -"""
MOST: Final = 20
"""Values of one kind that have tags of their own, so that a big batch stays readable."""


def dagster_tags(catalog: Catalog, batches: Sequence[Sequence[Run]]) -> list[dict[str, str]]:
    """The tags of the Dagster runs that execute these batches of runs; asks the catalog once."""
    prompts = catalog.find_prompts(
        run.prompt_id for runs in batches for run in runs if run.prompt_id
    )
    return [
        tags_of(runs, [prompts[run.prompt_id] for run in runs if run.prompt_id in prompts])
        for runs in batches
    ]


def tags_of(runs: Sequence[Run], prompts: Sequence[Prompt]) -> dict[str, str]:
    """The tags of a Dagster run that executes these runs of these prompts."""
    written = [tag for run in runs for tag in run.tags]
    batches = [t.removeprefix(BATCH_NAME) for t in written if t.startswith(BATCH_NAME)]
    tags: dict[str, str] = {}
    for kind, values in (
        ("scene", [prompt.scene for prompt in prompts]),
        ("prompt", [prompt.name for prompt in prompts]),
        ("recipe", [run.recipe for run in runs if run.recipe]),
        ("batch", batches),
    ):
        different = _different(values)
        if len(different) == 1:
            tags[f"cosmos/{kind}"] = _short(different[0])
        else:
            _add_each(tags, kind, different)
    _add_each(tags, "tag", _different(t for t in written if not t.startswith(BATCH_NAME)))
    return tags


def tag_dagster_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, catalog: Catalog, runs: Sequence[Run]
) -> None:
    """Add the tags that a Dagster run lacks: one that was launched on the page has none."""
    (wanted,) = dagster_tags(catalog, [runs])
    missing = {key: value for key, value in wanted.items() if run.tags.get(key) != value}
    if missing:
        instance.add_run_tags(run.run_id, missing)


def _different(values: Iterable[str]) -> list[str]:
    return sorted(filter(None, {" ".join(value.split()) for value in values}))


def _add_each(tags: dict[str, str], kind: str, values: Sequence[str]) -> None:
    for value in values[:MOST]:
        key = _key(kind, value)
        if key in tags:  # two that differ in a character which no key can have
            key = _key(kind, value, sure=True)
        tags[key] = _short(value)


def _key(kind: str, value: str, *, sure: bool = False) -> str:
    """A key for a value; characters that Dagster does not allow there become `_`.

    With a part of the value's hash where nothing is left of it, or where it must be `sure`.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", value) if not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_")
    if sure or not name or len(name) > LONGEST_KEY:
        name = f"{name[: LONGEST_KEY - 7]}_{_digest(value)}".strip("_")
    return f"cosmos.{kind}/{name}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _digest(text: str) -> str:
    return content_hash({"text": text})[:6]
