"""`cosmos demo`: render a small scene and run all three operations on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmos_pipelines.cli.ending import finish
from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.cli.progress import shown_lines, shown_steps

app = new_app()


@app.command()
def demo(
    ctx: typer.Context,
    render_only: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Only render the scene's PNG sequences into DIR."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Render a scene and run all three operations on it. Existing results are not made again."""
    from cosmos_pipelines import demo as demonstration

    if render_only is not None:
        with shown_steps() as progress:
            demonstration.render(render_only, progress)
        write(str(render_only))
        return 0
    api = open_api(ctx)
    with shown_steps() as progress, shown_lines(ctx, api) as on_line:
        made = demonstration.demo(api, progress=progress, on_line=on_line)
    say(
        f"The scene {made['scene']} and its videos are in {api.settings.home}. "
        "`cosmos ui` shows them."
    )
    return finish(made["runs"], as_json=as_json)
