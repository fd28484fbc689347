"""`cosmos list`: list prompts, runs, scenes, recipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmos_pipelines.catalog.records import MODEL_TYPES, STATUSES
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import (
    Columns,
    age,
    engine_label,
    write,
    write_json,
    write_table,
)
from cosmos_pipelines.cli.parameters import MOST, Json, complete_prompts, open_api, open_catalog
from cosmos_pipelines.errors import InputError, shown

if TYPE_CHECKING:
    from cosmos_pipelines.api import CosmosAPI

Limit = Annotated[int, typer.Option(min=1, max=MOST, help="Number of rows at most, newest first.")]
Offset = Annotated[
    int, typer.Option(min=0, max=MOST, help="Number of the newest rows to leave out.")
]
Ids = Annotated[bool, typer.Option("--ids", "-q", help="Print only ids, one a line.")]

PROMPTS: Columns = {
    "id": lambda p: p["id"],
    "name": lambda p: p["name"],
    "scene": lambda p: p["scene"],
    "age": lambda p: age(p["created_at"]),
    "text": lambda p: p["text"],
}
RUNS: Columns = {
    "id": lambda r: r["id"],
    "type": lambda r: r["model_type"],
    "status": lambda r: r["status"],
    "engine": lambda r: engine_label(r["engine"]),
    "age": lambda r: age(r["created_at"]),
    "by": lambda r: r["ordered_by"],
    "of": lambda r: r["parent_run_id"] or r["prompt_id"] or r["source"].get("video"),
}
OUTDATED: Columns = {
    "id": lambda r: r["id"],
    "type": lambda r: r["model_type"],
    "age": lambda r: age(r["created_at"]),
    "why": lambda r: " ".join(reason["said"] for reason in r["outdated"]),
    "replaced by": lambda r: r["replaced_by"],
}
SCENES: Columns = {
    "key": lambda s: s["key"],
    "passes": lambda s: sorted(s["facts"]),
    "size": lambda s: _size(s["facts"].get("color", {})),
    "age": lambda s: age(s["created_at"]),
    "state": lambda s: s["state"].replace("_", " "),
    "path": lambda s: s["path"],
}
RECIPES: Columns = {
    "name": lambda r: r["name"],
    "engine": lambda r: engine_label(r["engine"]),
    "age": lambda r: age(r["created_at"]),
    "settings": lambda r: r["config"],
}

app = new_app(help="List prompts, runs, scenes or recipes.")


@app.command()
def prompts(
    ctx: typer.Context,
    scene: Annotated[str | None, typer.Option(help="Only prompts of this scene.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    ids: Ids = False,
    as_json: Json = False,
) -> None:
    """List prompts, newest first."""
    found = open_catalog(ctx).list_prompts(scene=scene, limit=limit, offset=offset)
    _print([prompt.as_dict() for prompt in found], PROMPTS, "id", ids=ids, as_json=as_json)


@app.command()
def runs(
    ctx: typer.Context,
    status: Annotated[
        str | None, typer.Option(help=f"Only runs of this status: {', '.join(STATUSES)}.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Only runs of this prompt.", autocompletion=complete_prompts),
    ] = None,
    model_type: Annotated[
        str | None, typer.Option("--type", help=f"Only: {', '.join(MODEL_TYPES)}.")
    ] = None,
    rating: Annotated[
        int | None, typer.Option(min=1, max=5, help="Only runs that are rated so or better.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    words: Annotated[
        str | None, typer.Option(help="Only runs whose prompt has all these words.")
    ] = None,
    scene: Annotated[str | None, typer.Option(help="Only runs of prompts for this scene.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Only runs with this recipe.")] = None,
    engine: Annotated[str | None, typer.Option(help="Only runs on this engine.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only runs that were made since: an age as 12h, 30d, 8w, or a date."),
    ] = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Only runs whose result would be another now.")
    ] = False,
    because: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Of these only those for one reason: render (the scene was rendered again), gone, "
            "engine, checkpoints, parent.",
        ),
    ] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    ids: Ids = False,
    as_json: Json = False,
) -> None:
    """List runs, newest first.

    `cosmos run --again` makes those again that are out of date.
    """
    _one_of("--status", status, STATUSES)
    _one_of("--type", model_type, MODEL_TYPES)
    what: dict[str, Any] = {
        "status": status,
        "prompt_id": prompt or None,
        "model_type": model_type,
        "rating": rating,
        "tag": tag,
        "limit": limit,
        "offset": offset,
    }
    given = {"words": words, "scene": scene, "recipe": recipe, "engine": engine, "since": since}
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if found:
        rows = _found(open_api(ctx), what, found, outdated=outdated, because=because)
        of_outdated = OUTDATED if outdated or because else RUNS
        _print(rows, of_outdated, "id", ids=ids, as_json=as_json)
        return
    if outdated or because:
        rows = open_api(ctx).list_runs(**what, outdated=outdated, because=because)
        _print(rows, OUTDATED, "id", ids=ids, as_json=as_json)
        return
    catalog = open_catalog(ctx)
    if prompt:
        what["prompt_id"] = catalog.get_prompt(prompt).id
    rows = [run.as_dict() for run in catalog.list_runs(**what)]
    _print(rows, RUNS, "id", ids=ids, as_json=as_json)


def _found(
    api: CosmosAPI,
    what: dict[str, Any],
    filters: dict[str, Any],
    *,
    outdated: bool,
    because: str | None,
) -> list[dict[str, Any]]:
    """The runs that have all of these; `what`: the arguments of `list_runs`."""
    if what["prompt_id"]:
        what["prompt_id"] = api.get_prompt(what["prompt_id"])["id"]
    first, last = what["offset"], what["offset"] + what["limit"]
    if outdated or because:
        everything = {**what, "limit": None, "offset": 0}
        rows = api.list_runs(**everything, outdated=outdated, because=because)
        having = {*api.runs_among([row["id"] for row in rows], **filters)}
        return [row for row in rows if row["id"] in having][first:last]
    names = {"prompt_id": "prompt", "model_type": "type"}
    others = {k: what[k] for k in ("prompt_id", "status", "model_type", "rating", "tag")}
    others = {names.get(k, k): value for k, value in others.items() if value is not None}
    ids = api.find_run_ids(limit=last, **filters, **others)["ids"][first:]
    rows_of = api.catalog.find_runs(ids)
    return [rows_of[run_id].as_dict() for run_id in ids if run_id in rows_of]


@app.command()
def scenes(ctx: typer.Context, ids: Ids = False, as_json: Json = False) -> None:
    """List scenes."""
    _print(open_api(ctx).list_scenes(), SCENES, "key", ids=ids, as_json=as_json)


@app.command()
def recipes(ctx: typer.Context, ids: Ids = False, as_json: Json = False) -> None:
    """List recipes."""
    rows = [recipe.as_dict() for recipe in open_catalog(ctx).list_recipes()]
    _print(rows, RECIPES, "name", ids=ids, as_json=as_json)


def _print(
    rows: list[dict[str, Any]], columns: Columns, key: str, *, ids: bool, as_json: bool
) -> None:
    if as_json:
        write_json([row[key] for row in rows] if ids else rows)
    elif ids:
        for row in rows:
            write(row[key])
    else:
        write_table(rows, columns, cut=columns not in (RUNS, OUTDATED))


def _one_of(option: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise InputError(f"{option} {shown(value)} is not one of {', '.join(known)}.")


def _size(color: dict[str, Any]) -> str:
    if not color:
        return ""
    size = f"{color['width']}x{color['height']}"
    return f"{size}, {color['frames']} frames, {color['fps']} fps"
