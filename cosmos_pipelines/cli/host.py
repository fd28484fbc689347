"""`cosmos host`: make a GPU host ready for an engine: code, image, checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cosmos_pipelines.cli.exit_codes import GPU_SIDE, OK, one_line, say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json, write_record
from cosmos_pipelines.cli.parameters import Json, open_api, pairs_of
from cosmos_pipelines.errors import InputError

app = new_app(help="Make a GPU host ready for an engine.")

Engine = Annotated[
    str, typer.Argument(metavar="ENGINE", help="The model family, as cosmos_transfer1.")
]


@app.command()
def setup(
    ctx: typer.Context,
    engine: Engine,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Copy the code from here instead of cloning."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Another base image, as a mirror has it.")
    ] = None,
    dockerfile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Dockerfile of your own.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An image that is there already; nothing is built."),
    ] = None,
    build_arg: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A build argument. No secrets: the image tells."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the GPU host ready for an engine: code at its commit, image, test of imports.

    What is there already is kept. What git, Docker and the test say is shown as they say it, and
    kept in outputs/host_setup. The record of what was set up is printed.
    """
    if image is not None and (base or dockerfile or build_arg):
        raise InputError("--image builds nothing: leave out --base, --dockerfile and --build-arg.")
    made = open_api(ctx).host_setup(
        engine,
        on_line=lambda line: say(one_line(line)),
        source=source,
        base=base,
        dockerfile=dockerfile,
        image=image,
        arguments=pairs_of(build_arg or [], "--build-arg"),
    )
    if as_json:
        write_json(made)
    else:
        write_record(made)


@app.command()
def checkpoints(
    ctx: typer.Context,
    engine: Engine,
    verify: Annotated[
        bool, typer.Option("--verify", help="See whether they are there, with their sizes: usual.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compare their hashes, which reads all of them.")
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Bring what is missing; goes on where it stopped.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD", help="Operations and controls, as transfer, edge; default: all."
        ),
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End what verifies or downloads there.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Verify or download the checkpoints of an engine on the GPU host.

    It goes on there when the connection or this command ends: the same command shows it again. A
    Hugging Face token is taken from HF_TOKEN or from the file hf_token_file in [remote]. Exit code
    4 if a checkpoint is missing or not what it should be.
    """
    if [stop, download, verify].count(True) > 1 or (stop and (deep or only)):
        raise InputError("Give one of --verify, --download and --stop.")
    action: Literal["verify", "download", "stop"] = (
        "stop" if stop else "download" if download else "verify"
    )
    words = [word for given in only or () for word in given.replace(",", " ").split()]
    with _shown() as on_line:
        told = open_api(ctx).host_checkpoints(
            engine, action, deep=deep, only=words, on_line=on_line
        )
    if as_json:
        write_json(told)
    elif stop:
        say("Stopped. A download goes on where it was, when it is started again.")
    else:
        _print(told)
    return OK if told.get("well", True) else GPU_SIDE


def _print(told: dict[str, Any]) -> None:
    """The numbers, then each file that is not well."""
    shown = ("engine", "host", "action", "deep", "counts", "seconds", "log")
    write_record({key: told[key] for key in shown} | {"gigabytes": round(told["bytes"] / 1e9, 1)})
    for file in told["files"]:
        if file["state"] not in ("ok", "unverifiable"):
            why = "" if file["what"] == file["state"] else f": {file['what']}"
            write(one_line(f"{file['state']:<10}  {file['path']}{why}"))


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """Lines on stderr; progress as a bar on a terminal, without one a line each tenth."""
    from cosmos_pipelines.hosts.orders import progress_of

    told = -1

    def on_line(line: str) -> None:
        nonlocal told
        step = progress_of(line)
        if step is None:
            say(one_line(line))
        elif step.percent // 10 > told or step.done == step.total:
            told = step.percent // 10
            say(one_line(line))

    if not sys.stderr.isatty():
        yield on_line
        return
    from cosmos_pipelines.cli.progress import shown_bar

    with shown_bar() as (bar, above):

        def on_terminal(line: str) -> None:
            if step := progress_of(line):
                bar(f"{step.done}/{step.total} files", step.percent, 100, step.text)
            else:
                above(one_line(line))

        yield on_terminal
