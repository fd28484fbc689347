"""`cosmos show`: show a whole record, or how a video file was made."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.exit_codes import one_line
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import engine_label, write, write_json, write_record
from cosmos_pipelines.cli.parameters import Json, complete_prompts, complete_runs, open_api
from cosmos_pipelines.lines import percent

app = new_app()

_SEGMENTS = 20
"""Segments of a scene that are shown as text."""


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
        notes = shown.pop("notes") if shown["type"] == "scene" else {}
        write_record(_labelled(_with_legend_in_words(shown)))
        _write_notes(notes)


def _with_legend_in_words(thing: dict[str, Any]) -> dict[str, Any]:
    """Replace a scene's legend by a line for each of the largest segments."""
    if not (legend := thing.get("legend")):
        return thing
    lines = {
        one[
            "name"
        ]: f"{one['color']}  {percent(one['area'])} of all pixels, in {one['frames']} frames"
        for one in legend[:_SEGMENTS]
    }
    if len(legend) > _SEGMENTS:
        lines["..."] = f"{len(legend) - _SEGMENTS} more with --json"
    return thing | {"legend": lines}


def _write_notes(notes: dict[str, list[str]]) -> None:
    """A line for each note of a scene's preparation."""
    if notes:
        write("notes")
    for name, said in notes.items():
        for note in said:
            write(f"  {one_line(note if name == 'scene' else f'{name}: {note}')}")


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
