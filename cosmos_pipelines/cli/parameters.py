"""Parameters that several commands share, and how a command reaches the project."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmos_pipelines.errors import CosmosError, InputError, shown

if TYPE_CHECKING:
    from cosmos_pipelines.api import CosmosAPI


def open_api(ctx: typer.Context) -> CosmosAPI:
    """The project that the root's options and the environment name."""
    from cosmos_pipelines.api import CosmosAPI

    return CosmosAPI(ctx.obj.home if ctx.obj else None)


def pairs_of(words: Iterable[str], option: str) -> dict[str, str]:
    """What an option that may be given often says, each time as KEY=VALUE.

    Raises:
        InputError: a word is not of that form.
    """
    pairs = [word.partition("=") for word in words]
    for key, sign, _ in pairs:
        if not key or not sign:
            raise InputError(f"{option} {shown(key)} is not of the form KEY=VALUE.")
    return {key: value for key, _, value in pairs}


def complete_prompts(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids and names of the newest prompts, for the shell."""
    with suppress(CosmosError, OSError):
        prompts = open_api(ctx).list_prompts(limit=200)
        by_name = incomplete and not "ps_".startswith(incomplete[:3])
        return [
            (p["name"], p["id"]) if by_name else (p["id"], p["name"])
            for p in prompts
            if p["name" if by_name else "id"].startswith(incomplete)
        ]
    return []


def complete_runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest runs, for the shell."""
    with suppress(CosmosError, OSError):
        runs = open_api(ctx).list_runs(limit=200)
        return [
            (r["id"], f"{r['model_type']}, {r['status']}")
            for r in runs
            if r["id"].startswith(incomplete)
        ]
    return []


def complete_recipes(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of recipes, for the shell."""
    with suppress(CosmosError, OSError):
        recipes = open_api(ctx).list_recipes()
        return [(r["name"], r["engine"]) for r in recipes if r["name"].startswith(incomplete)]
    return []


Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Do not ask.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done; nothing is done or written.")
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Queue it for the daemon (`cosmos ui`) and return at once.")
]
EngineName = Annotated[
    str | None, typer.Option("--engine", help="The model family; default: that of cosmos.toml.")
]
BackendName = Annotated[
    str | None, typer.Option("--backend", help="Where it runs; default: that of cosmos.toml.")
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="A recipe's settings; options given here override them.",
        autocompletion=complete_recipes,
    ),
]
PromptId = Annotated[
    str,
    typer.Argument(
        metavar="PS_ID", help="A prompt's id, the beginning of it, or its name.",
        autocompletion=complete_prompts,
    ),
]  # fmt: skip
RunId = Annotated[
    str,
    typer.Argument(
        metavar="RS_ID", help="A run's id or the beginning of it.", autocompletion=complete_runs
    ),
]
RunIds = Annotated[
    list[str],
    typer.Argument(
        metavar="RS_ID...", help="Ids of runs, or the beginnings of them.",
        autocompletion=complete_runs,
    ),
]  # fmt: skip
OptionalPath = Annotated[Path | None, typer.Argument(metavar="[DIR]")]
