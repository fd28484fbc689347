"""`cosmos show`: show a whole record, or how a video file was made."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import engine_label, write_json, write_record
from cosmos_pipelines.cli.parameters import Json, complete_prompts, complete_runs, open_api

app = new_app()


def _complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    return [*complete_prompts(ctx, incomplete), *complete_runs(ctx, incomplete)]


@app.command()
def show(
    ctx: typer.Context,
    thing: Annotated[
        str,
        typer.Argument(
            metavar="ID|FILE",
            help="A prompt, run, scene or recipe by id or name; or a video file.",
            autocompletion=_complete,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show a prompt, run, scene or recipe, or how a video file was made."""
    shown = open_api(ctx).show(thing)
    if as_json:
        write_json(shown)
    else:
        write_record(_labelled(shown))


def _labelled(thing: dict[str, Any]) -> dict[str, Any]:
    """Replace every engine's name by its label, which marks simulated engines."""
    return {
        key: engine_label(value)
        if key == "engine" and isinstance(value, str)
        else _labelled(value)
        if isinstance(value, dict)
        else value
        for key, value in thing.items()
    }
