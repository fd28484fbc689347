"""`cosmos prepare`: make a scene from rendered sequences or videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.cli.progress import shown_steps

app = new_app()

DepthValues = Literal["distance", "nearness"]
DepthHoles = Literal["far", "near", "none"]


@app.command()
def prepare(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The directory of the rendered passes.")
    ],
    name: Annotated[
        str | None, typer.Option(help="The scene's name; default: the directory's name.")
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Frames a second: 24, 23.976, 30000/1001. Videos play the same frames at it.",
        ),
    ] = None,
    step: Annotated[
        int,
        typer.Option(
            metavar="N", help="How far the frame numbers are apart: 2 for each second frame."
        ),
    ] = 1,
    description: Annotated[
        str | None, typer.Option(help="What the scene shows, in one line.")
    ] = None,
    depth: Annotated[
        DepthValues,
        typer.Option(help="What a value of the depth pass means: a point's distance or nearness."),
    ] = "distance",
    depth_holes: Annotated[
        DepthHoles | None,
        typer.Option(
            help="What a depth of 0 is: nothing measured, shown far or near; or (none) a depth. "
            "Default: far, where a gap parts it from all other depths."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a scene from rendered sequences or videos, and check that the passes fit together.

    The scene is written below the project's inputs; a directory that is below inputs already is
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
            depth_holes=depth_holes,
            step=step,
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
