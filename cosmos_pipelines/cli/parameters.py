"""Parameters that several commands share, and how a command opens the project."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cosmos_pipelines.errors import CosmosError, InputError, shown

if TYPE_CHECKING:
    from cosmos_pipelines.api import CosmosAPI
    from cosmos_pipelines.catalog.store import Catalog


MOST: Final = 2**31 - 1
"""The largest number of rows."""


def open_api(ctx: typer.Context) -> CosmosAPI:
    """Return the API of the project that the root's options or the environment name.

    It is closed when the command ends.
    """
    from cosmos_pipelines.api import CosmosAPI

    api = CosmosAPI(ctx.obj.home if ctx.obj else None)
    ctx.call_on_close(api.close)
    return api


def open_catalog(ctx: typer.Context) -> Catalog:
    """Return the catalog of that project, to read it; no other setting is looked at.

    It is closed when the command ends.
    """
    from cosmos_pipelines.catalog.store import Catalog
    from cosmos_pipelines.catalog_place import catalog_place

    home, url = catalog_place(ctx.obj.home if ctx.obj else None)
    catalog = Catalog.open(url, home)
    ctx.call_on_close(catalog.close)
    return catalog


def hosts_of(names: list[str] | None, every: bool) -> list[str]:
    """Return the hosts that were named. Raises InputError if all are asked for as well."""
    if names and every:
        raise InputError("--host cannot be combined with --all: give one of them.")
    return names or []


def pairs_of(words: Iterable[str], option: str) -> dict[str, str]:
    """Return the values of a repeated option, each given as KEY=VALUE.

    Raises:
        InputError: a word has another form.
    """
    pairs = [word.partition("=") for word in words]
    for key, sign, _ in pairs:
        if not key or not sign:
            raise InputError(f"{option} {shown(key)} is not of the form KEY=VALUE.")
    return {key: value for key, _, value in pairs}


def complete_prompts(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return ids and names of the newest prompts, for completion in the shell."""
    with suppress(CosmosError, OSError), open_catalog(ctx) as catalog:
        prompts = catalog.list_prompts(limit=200)
        by_name = incomplete and not "ps_".startswith(incomplete[:3])
        return [
            (p.name, p.id) if by_name else (p.id, p.name)
            for p in prompts
            if (p.name if by_name else p.id).startswith(incomplete)
        ]
    return []


def complete_runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return ids of the newest runs, for completion in the shell."""
    with suppress(CosmosError, OSError), open_catalog(ctx) as catalog:
        runs = catalog.list_runs(limit=200)
        return [
            (run.id, f"{run.model_type}, {run.status}")
            for run in runs
            if run.id.startswith(incomplete)
        ]
    return []


def complete_recipes(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return names of recipes, for completion in the shell."""
    with suppress(CosmosError, OSError), open_catalog(ctx) as catalog:
        recipes = catalog.list_recipes()
        return [(r.name, r.engine) for r in recipes if r.name.startswith(incomplete)]
    return []


Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Put the run into the queue (`cosmos queue`); return at once."),
]
Priority = Annotated[
    int,
    typer.Option(
        "--priority",
        min=-100,
        max=100,
        help="-100 to 100; in the queue each step is worth an hour of waiting.",
    ),
]
EngineName = Annotated[
    str | None, typer.Option("--engine", help="The model family; default: as in cosmos.toml.")
]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        help="The place to run, or auto: the queue chooses it; default: as in cosmos.toml.",
    ),
]
HostNames = Annotated[
    list[str] | None,
    typer.Option(
        "--host", metavar="NAME", help="Only this host: NAME of [hosts.NAME]; may be repeated."
    ),
]
AllHosts = Annotated[bool, typer.Option("--all", help="All hosts (usual).")]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="A recipe; options of this command override its settings.",
        autocompletion=complete_recipes,
    ),
]
PromptId = Annotated[
    str,
    typer.Argument(
        metavar="PS_ID", help="A prompt: id, beginning of its id, or name.",
        autocompletion=complete_prompts,
    ),
]  # fmt: skip
RunId = Annotated[
    str,
    typer.Argument(
        metavar="RS_ID", help="A run: id, or beginning of its id.", autocompletion=complete_runs
    ),
]
RunIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RS_ID...]", help="Runs: ids, or beginnings of ids.",
        autocompletion=complete_runs,
    ),
]  # fmt: skip
