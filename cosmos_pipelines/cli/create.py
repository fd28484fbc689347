"""`cosmos create`: register a prompt, a run, a recipe."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.options import takes_fields
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import (
    BackendName,
    EngineName,
    Json,
    Priority,
    PromptId,
    RecipeName,
    open_api,
    pairs_of,
)
from cosmos_pipelines.operations import Transfer

app = new_app(help="Register a prompt, a run or a recipe.")


@app.command()
def prompt(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the video should show.")],
    scene: Annotated[
        str,
        typer.Argument(metavar="SCENE_DIR", help="A scene's directory, or its name below inputs."),
    ],
    negative: Annotated[str | None, typer.Option(metavar="TEXT", help="What to avoid.")] = None,
    name: Annotated[
        str | None, typer.Option(help="The prompt's name; default: made from the text.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A note to keep with the prompt."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Register a prompt for a scene and print its id. The same content is always one prompt."""
    made = open_api(ctx).create_prompt(
        text,
        scene,
        negative_prompt=negative,
        name=name,
        parameters=pairs_of(parameter or [], "--parameter"),
    )
    if not made["created"]:
        say(f"The prompt exists already, as {made['name']}.")
    _print(made, "id", as_json=as_json)


@app.command()
@takes_fields(Transfer)
def run(
    ctx: typer.Context,
    prompt: PromptId,
    *,
    recipe: RecipeName = None,
    engine: EngineName = None,
    backend: BackendName = None,
    queue: Annotated[bool, typer.Option("--queue", help="Let the daemon execute the run.")] = False,
    priority: Priority = 0,
    as_json: Json = False,
    fields: dict[str, Any],
) -> None:
    """Register a pending run of a prompt and print its id; `cosmos run` executes the run."""
    api = open_api(ctx)
    made = api.create_run(
        prompt,
        recipe=recipe,
        engine=engine,
        backend=backend,
        queue=queue,
        priority=priority,
        **fields,
    )
    for note in made["notes"]:
        say(f"note: {note}")
    _print(made, "id", as_json=as_json)


@app.command()
@takes_fields(Transfer)
def recipe(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The recipe's name.")],
    *,
    engine: EngineName = None,
    as_json: Json = False,
    fields: dict[str, Any],
) -> None:
    """Store settings under a name, for --recipe. A recipe of the same name is replaced."""
    _print(open_api(ctx).create_recipe(name, engine=engine, **fields), "name", as_json=as_json)


def _print(made: dict[str, Any], key: str, *, as_json: bool) -> None:
    if as_json:
        write_json(made)
    else:
        write(made[key])
