"""A project with ten thousand runs for benchmarks: the records are many, the pictures a few."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, update

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog.tables import recipes, revisions, runs
from tests.support.project import make_project

PLACES = ("street", "harbour", "forest road", "warehouse", "bridge", "desert track", "campus")
TIMES = ("at noon", "at golden hour", "on a rainy night", "in thick fog", "at dawn", "in snow")
LOOKS = ("photoreal", "neon reflections", "soft light", "long shadows", "wet asphalt", "dust")
RECIPES = ("soft", "hard", "balanced", "depth_only", "structure")
AT_ONCE = 5_000


def make(home: Path, count: int) -> Path:
    """Make a project with so many runs, of which three are real; return its home."""
    project = make_project(home)
    directory = project.scene("street", frames=12, width=320, height=176)
    project.catalog.close()
    with CosmosAPI(project.settings.home) as api:
        for recipe in RECIPES:
            api.create_recipe(recipe, weights={"depth": 1.0})
        texts = [f"A {p} {t}, {k}" for p in PLACES for t in TIMES for k in LOOKS]
        ids = [api.create_prompt(text, directory)["id"] for text in texts]
        real = [api.create_run(ids[n])["id"] for n in range(3)]
        api.execute_runs(real)
        larger = api.upscale_run(real[0])["id"]
        _copy(api, [*real], larger, ids, count - 4)
    return project.settings.home


def _copy(api: CosmosAPI, real: list[str], larger: str, prompts: list[str], count: int) -> None:
    with api.catalog.write() as tx:
        known = {
            row["id"]: dict(row)
            for row in tx.connection.execute(
                select(runs).where(runs.c.id.in_([*real, larger]))
            ).mappings()
        }
        last = tx.connection.execute(select(func.max(runs.c.revision))).scalar_one()
        rows = list(_rows(known, real, larger, prompts, range(last + 1, last + 1 + count)))
        for start in range(0, len(rows), AT_ONCE):
            tx.connection.execute(insert(runs), rows[start : start + AT_ONCE])
        tx.connection.execute(update(revisions).values(value=last + count + 1))
        assert tx.connection.execute(select(func.count()).select_from(recipes)).scalar_one()


def _rows(
    known: dict[str, dict[str, Any]],
    real: list[str],
    larger: str,
    prompts: list[str],
    numbers: range,
) -> Iterator[dict[str, Any]]:
    """Yield rows: each twentieth is the 4K of the one before."""
    before = real[0]
    for n in numbers:
        upscale = n % 20 == 0
        row = dict(known[larger if upscale else real[n % len(real)]])
        at = row["created_at"] + timedelta(seconds=n)
        config = {**row["execution_config"], "seed": n // 1260}
        row |= {
            "id": f"rs_{uuid.uuid5(uuid.NAMESPACE_OID, str(n)).hex}",
            "revision": n,
            "created_at": at,
            "updated_at": at,
            "request_key": None,
            "rating": None if n % 7 else n % 5 + 1,
            "tags": ["keep"] if n % 11 == 0 else [],
            "execution_config": row["execution_config"] if upscale else config,
            "parent_run_id": before if upscale else None,
            "prompt_id": prompts[n % len(prompts)] if not upscale else row["prompt_id"],
            "recipe": None if upscale else RECIPES[n // 252 % len(RECIPES)],
        }
        if not upscale:
            before = row["id"]
        yield row
