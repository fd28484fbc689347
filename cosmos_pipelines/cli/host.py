"""`cosmos host`: set up a GPU host for an engine: code, image, checkpoints."""

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

app = new_app(help="Set up a GPU host for an engine.")

Engine = Annotated[
    str, typer.Argument(metavar="ENGINE", help="The model family, such as cosmos_transfer1.")
]


@app.command()
def setup(
    ctx: typer.Context,
    engine: Engine,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Copy the code from DIR instead of cloning."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Another base image, such as a mirror's.")
    ] = None,
    dockerfile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own Dockerfile.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An image that the host has already; builds nothing."),
    ] = None,
    build_arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="A build argument. No secrets: the image shows it."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Set up the GPU host for an engine: code at its commit, image, smoke test.

    A second set-up does only what is missing. The output of git, Docker and the test is shown and
    kept in outputs/host_setup. The record of the set-up is printed.
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
        bool, typer.Option("--verify", help="Check that the files exist with their sizes (usual).")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare the hashes, which reads every file.")
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Download missing files; continue where it stopped.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD", help="Operations and controls, such as transfer, edge; default: all."
        ),
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the active verify or download on the host.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Verify or download the checkpoints of an engine on the GPU host.

    The work continues on the host if the connection or this command ends: the same command shows
    its log again. The Hugging Face token comes from HF_TOKEN or from the file hf_token_file in
    [remote]. Exit code 4 if a checkpoint is missing or wrong.
    """
    if [stop, download, verify].count(True) > 1 or (stop and (deep or only)):
        raise InputError("Give one of --verify, --download and --stop.")
    action: Literal["verify", "download", "stop"] = (
        "stop" if stop else "download" if download else "verify"
    )
    words = [word for given in only or () for word in given.replace(",", " ").split()]
    with _shown() as on_line:
        result = open_api(ctx).host_checkpoints(
            engine, action, deep=deep, only=words, on_line=on_line
        )
    if as_json:
        write_json(result)
    elif stop:
        say("Stopped. The next download continues where this one stopped.")
    else:
        _print(result)
    return OK if result.get("well", True) else GPU_SIDE


def _print(result: dict[str, Any]) -> None:
    """Print the numbers, then each missing or wrong file."""
    shown = ("engine", "host", "action", "deep", "counts", "seconds", "log")
    write_record(
        {key: result[key] for key in shown} | {"gigabytes": round(result["bytes"] / 1e9, 1)}
    )
    for file in result["files"]:
        if file["state"] not in ("ok", "unverifiable"):
            why = "" if file["what"] == file["state"] else f": {file['what']}"
            write(one_line(f"{file['state']:<10}  {file['path']}{why}"))


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """Show lines on stderr; progress as a bar on a terminal, otherwise a line for each 10 %."""
    from cosmos_pipelines.hosts.orders import progress_of

    last_tenth = -1

    def on_line(line: str) -> None:
        nonlocal last_tenth
        step = progress_of(line)
        if step is None:
            say(one_line(line))
        elif step.percent // 10 > last_tenth or step.done == step.total:
            last_tenth = step.percent // 10
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
