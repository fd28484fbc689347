"""`cosmos demo`: everything once, on a scene of our own."""

from __future__ import annotations

import typer

from cosmos_pipelines.cli.door import say
from cosmos_pipelines.cli.ending import finish
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.cli.progress import shown_lines, shown_steps

app = new_app()


@app.command()
def demo(ctx: typer.Context, as_json: Json = False) -> int:
    """Render a scene and run all three operations on it. What is there is not made again."""
    api = open_api(ctx)
    with shown_steps() as progress, shown_lines(ctx, api) as on_line:
        made = api.demo(progress=progress, on_line=on_line)
    say(
        f"The scene {made['scene']} and its videos are in {api.settings.home}. "
        "`cosmos ui` shows them."
    )
    return finish(made["runs"], as_json=as_json)
