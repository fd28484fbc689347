"""`cosmos host`: set up GPU hosts for an engine: code, image, checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cosmos_pipelines.backends.at_once import at_once
from cosmos_pipelines.cli.exit_codes import GPU_SIDE, OK, one_line, say, tell
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import Columns, write, write_json, write_record, write_table
from cosmos_pipelines.cli.parameters import (
    EngineName,
    HostNames,
    Json,
    hosts_of,
    open_api,
    pairs_of,
)
from cosmos_pipelines.errors import CosmosError, InputError

app = new_app(help="Set up a GPU host for an engine.")

Engine = Annotated[
    str, typer.Argument(metavar="ENGINE", help="The model family, such as cosmos_transfer1.")
]
PLACES: Columns = {
    "name": lambda p: p["name"],
    "host": lambda p: p["host"] or "this machine",
    "state": lambda p: "?" if p["up"] is None else "up" if p["up"] else "away",
    "gpus": lambda p: _gpus(p["gpus"]) if p["sees_gpus"] else "a cluster's",
    "free": lambda p: "?" if p["free_bytes"] is None else f"{p['free_bytes'] / 2**30:.0f} GiB",
    "gpu hour": lambda p: p["gpu_hour"],
    "labels": lambda p: ", ".join(p["labels"]),
    "for any place": lambda p: p["refused"] or "yes",
}
AllGpuHosts = Annotated[bool, typer.Option("--all", help="All hosts of cosmos.toml.")]


@app.command("list")
def list_hosts(ctx: typer.Context, engine: EngineName = None, as_json: Json = False) -> None:
    """Look at all places where runs may be executed; show their GPUs, disks, prices and labels.

    "for any place": whether runs whose backend is `auto` may go there, for the engine of new videos
    or that of --engine; else the reason.
    """
    places = open_api(ctx).list_places(engine)
    if as_json:
        write_json(places)
    else:
        write_table(places, PLACES, cut=False)


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
    host: HostNames = None,
    every: AllGpuHosts = False,
    as_json: Json = False,
) -> int:
    """Set up a GPU host for an engine: code at its commit, image, smoke test.

    Without --host and --all: the host of new runs. Several hosts are set up at the same time; one
    that fails leaves the others alone. A second set-up does only what is missing. The output of
    git, Docker and the test is shown and kept in outputs/host_setup. The record of the set-up is
    printed.
    """
    if image is not None and (base or dockerfile or build_arg):
        raise InputError("--image builds nothing: leave out --base, --dockerfile and --build-arg.")
    api, given = open_api(ctx), pairs_of(build_arg or [], "--build-arg")
    names = api.hosts_meant(hosts_of(host, every), every=every)

    def work(name: str) -> dict[str, Any]:
        return api.host_setup(
            engine,
            host=name,
            on_line=_named(lambda line: say(one_line(line)), name, names),
            source=source,
            base=base,
            dockerfile=dockerfile,
            image=image,
            arguments=given,
        )

    return _on_each(names, work, write_record, as_json=as_json)


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
    host: HostNames = None,
    every: AllGpuHosts = False,
    as_json: Json = False,
) -> int:
    """Verify or download the checkpoints of an engine on a GPU host.

    Without --host and --all: on the host of new runs. Several hosts work at the same time. The
    work continues on the host if the connection or this command ends: the same command shows its
    log again. The Hugging Face token comes from HF_TOKEN or from the file hf_token_file in
    [remote] or the host's table. Exit code 4 if a checkpoint is missing or wrong.
    """
    if [stop, download, verify].count(True) > 1 or (stop and (deep or only)):
        raise InputError("Give one of --verify, --download and --stop.")
    action: Literal["verify", "download", "stop"] = (
        "stop" if stop else "download" if download else "verify"
    )
    words = [word for given in only or () for word in given.replace(",", " ").split()]
    api = open_api(ctx)
    names = api.hosts_meant(hosts_of(host, every), every=every)

    def stopped(_: dict[str, Any]) -> None:
        say("Stopped. The next download continues where this one stopped.")

    with _shown(names) as on_line:

        def work(name: str) -> dict[str, Any]:
            told = _named(on_line, name, names)
            return api.host_checkpoints(
                engine, action, deep=deep, only=words, host=name, on_line=told
            )

        return _on_each(names, work, stopped if stop else _print, as_json=as_json)


def _on_each(
    names: list[str],
    work: Callable[[str], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    *,
    as_json: bool,
) -> int:
    """Do the work for each host at the same time and show the results; return the exit code.

    JSON is an object of one host, and of several a list, in which a failure is an `error`.
    """
    found = at_once(names, work)
    errors = {name: made for name, made in found.items() if isinstance(made, CosmosError)}
    results = {name: made for name, made in found.items() if not isinstance(made, CosmosError)}
    if len(names) == 1 and errors:
        raise errors[names[0]]
    failed = {name: {"place": name, "error": str(error)} for name, error in errors.items()}
    rows = [failed.get(name) or {"place": name, **results[name]} for name in names]
    if as_json:
        write_json(results[names[0]] if len(names) == 1 else rows)
    else:
        for made in results.values():
            show(made)
    for name, error in errors.items():
        tell(f"{name}: {error}")
    well = all(made.get("well", True) for made in results.values())
    return next((error.exit_code for error in errors.values()), OK if well else GPU_SIDE)


def _named(on_line: Callable[[str], None], name: str, names: list[str]) -> Callable[[str], None]:
    """Return what shows a line, with the host's name before it if there are several."""
    return on_line if len(names) == 1 else lambda line: on_line(f"{name}: {line}")


def _gpus(gpus: list[dict[str, Any]]) -> str:
    """Return how many GPUs of each kind there are: `2 x H100`."""
    names = [gpu["name"] for gpu in gpus]
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


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
def _shown(names: list[str]) -> Iterator[Callable[[str], None]]:
    """Show lines on stderr; progress as a bar on a terminal, otherwise a line for each 10 %.

    The progress of several hosts is shown in lines.
    """
    if len(names) > 1:
        yield lambda line: say(one_line(line))
        return
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
