"""The table of commands, and the options that all commands share."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.exit_codes import INTERRUPTED, exit_code, say
from cosmos_pipelines.cli.lazy import Entry, LazyGroup, new_app

_MAKE, _LOOK, _OPERATE, _KEEP, _SET_UP = "Make", "Look", "Operate", "Keep", "Set up"

COMMANDS: dict[str, Entry] = {
    "prepare": Entry("prepare", _MAKE, "Make a scene from rendered sequences or videos."),
    "create": Entry("create", _MAKE, "Register a prompt, a run or a recipe."),
    "inference": Entry("inference", _MAKE, "Make videos from prompts."),
    "upscale": Entry("upscale", _MAKE, "Make a 4K video from a run's video or from a file."),
    "prompt-enhance": Entry("enhance", _MAKE, "Make better prompts from prompts."),
    "run": Entry("run", _MAKE, "Execute runs that exist: pending, failed or lost."),
    "list": Entry("listing", _LOOK, "List prompts, runs, scenes or recipes."),
    "search": Entry("search", _LOOK, "Find prompts by words."),
    "show": Entry(
        "show", _LOOK, "Show a prompt, run, scene or recipe, or how a video file was made."
    ),
    "status": Entry(
        "status", _OPERATE, "Show active and queued runs, GPUs, and what was left behind."
    ),
    "queue": Entry("queue", _OPERATE, "Show, plan, pause and change the queue, or work on it."),
    "logs": Entry("logs", _OPERATE, "Print a run's log."),
    "kill": Entry("kill", _OPERATE, "Stop one run, or all runs."),
    "why": Entry("why", _OPERATE, "Say why a run failed, with the evidence, and what to do."),
    "recover": Entry("recover", _OPERATE, "Adopt and finish the runs whose process died."),
    "notify": Entry("notify", _OPERATE, "Show who is told of what has happened; send a test."),
    "rate": Entry("rate", _KEEP, "Rate a run's result from 1 to 5."),
    "tag": Entry("tag", _KEEP, "Add and remove tags of a run."),
    "delete": Entry("delete", _KEEP, "Delete a prompt or a run with its files."),
    "verify": Entry("verify", _KEEP, "Compare the catalog with the files."),
    "clean": Entry("clean", _KEEP, "Remove what no run needs any more."),
    "export": Entry("export", _KEEP, "Write all runs or prompts to a .csv or .json file."),
    "backup": Entry("backup", _KEEP, "Copy the catalog to one file."),
    "init": Entry("init", _SET_UP, "Start a project: write a commented cosmos.toml."),
    "doctor": Entry("doctor", _SET_UP, "Check what runs need, here and on the GPU hosts."),
    "host": Entry("host", _SET_UP, "Set up a GPU host for an engine."),
    "demo": Entry("demo", _SET_UP, "Render a scene and run all three operations on it."),
    "ui": Entry("ui", _SET_UP, "Serve the review page and Dagster's."),
}


class Root(LazyGroup):
    """The command `cosmos`."""

    entries = COMMANDS


@dataclass
class State:
    """The root's options, kept where the command's context and `run` both see them."""

    home: Path | None = None
    debug: bool = False


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"cosmos {version('cosmos-pipelines')}\n")
        raise typer.Exit


app = new_app(
    cls=Root, add_completion=True, context_settings={"help_option_names": ["-h", "--help"]}
)


@app.callback()
def cosmos(
    ctx: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The project's directory; default: COSMOS_HOME, else the nearest cosmos.toml "
            "upwards.",
        ),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="COSMOS_DEBUG", help="Show tracebacks and debug messages."),
    ] = False,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """Turn rendered scenes into photoreal video.

    Data is printed on stdout, messages on stderr. Exit codes: 0 done, 1 failed, 2 bad input,
    3 wrong state, 4 the GPU side failed, 130 interrupted.
    """
    ctx.obj.home, ctx.obj.debug = home, debug


def root_command() -> Any:
    """Return `cosmos` as a command object, for `run` and for the reference."""
    command = typer.main.get_command(app)
    command.name = "cosmos"
    return command


def run(argv: Sequence[str]) -> int:
    """Run `cosmos` with these words; see `cosmos_pipelines.cli.main`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names need not be valid UTF-8
            stream.reconfigure(errors="backslashreplace")
    state = State(debug="--debug" in argv)
    try:
        code = root_command().main(
            args=list(argv), prog_name="cosmos", standalone_mode=False, obj=state
        )
        sys.stdout.flush()
    except SystemExit as e:
        code = e.code
    except BaseException as e:  # noqa: BLE001  every error becomes an exit code
        return exit_code(e, debug=state.debug)
    if code == INTERRUPTED:
        say("Interrupted.")
    return code if isinstance(code, int) else 0
