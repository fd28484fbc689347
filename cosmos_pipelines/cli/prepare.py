"""`cosmos prepare`: rendered sequences or videos become a scene."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import typer

from cosmos_pipelines.cli.door import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.cli.progress import shown_steps
from cosmos_pipelines.errors import InputError, shown

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
    rate = _rate(fps) if fps is not None else None
    api = open_api(ctx)
    with shown_steps() as progress:
        made = api.prepare_scene(
            directory,
            name=name,
            fps=rate,
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


def _rate(text: str) -> Fraction:
    """A frame rate; 23.976, 29.97 and 59.94 mean the exact NTSC rates."""
    ntsc = {"23.976": 24, "23.98": 24, "29.97": 30, "59.94": 60}
    try:
        rate = Fraction(ntsc[text] * 1000, 1001) if text in ntsc else Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(
            f"--fps {shown(text)} is no frame rate.", hint="Give 24 or 30000/1001."
        ) from None
    if not 1 <= rate <= 240:
        raise InputError(f"--fps {text} is not between 1 and 240.")
    return rate
