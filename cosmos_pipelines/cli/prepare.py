"""`cosmos prepare`: rendered sequences or videos become a scene."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cosmos_pipelines.cli.door import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.cli.progress import shown_steps

app = new_app()

DepthValues = Literal["distance", "nearness"]


@app.command()
def prepare(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the rendered passes are.")
    ],
    name: Annotated[
        str | None, typer.Option(help="The scene's name; default: the directory's.")
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="Frames a second of the sequences: 24, 23.976, 30000/1001."
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it shows, in a line.")] = None,
    depth: Annotated[
        DepthValues,
        typer.Option(help="What the depth pass says: how far a point is, or how near."),
    ] = "distance",
    as_json: Json = False,
) -> None:
    """Make a scene of rendered sequences or videos, checked against each other.

    The scene is written below the project's inputs; a directory that lies there already is
    prepared in place.
    """
    api = open_api(ctx)
    with shown_steps() as progress:
        made = api.prepare_scene(
            directory,
            name=name,
            fps=fps,
            description=description,
            depth_values=depth,
            progress=progress,
        )
    if as_json:
        write_json(made)
        return
    write(made["path"])
    for note in made["notes"]:
        say(note)
    for ignored in made["ignored"]:
        say(f"ignored: {ignored}")
