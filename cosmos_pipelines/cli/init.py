"""`cosmos init`: start a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.files import write_text
from cosmos_pipelines.foreign import absolute
from cosmos_pipelines.settings import Settings, tables_of
from cosmos_pipelines.settings_file import FILE

app = new_app()

HEAD = """\
# Settings of this project. An environment variable overrides each value:
# COSMOS_EXECUTION__ENGINE=preview sets engine in [execution]. The values below are the defaults.
"""


@app.command()
def init(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The project's directory; default: here.")
    ] = Path(),
) -> None:
    """Start a project: write a commented cosmos.toml."""
    directory = absolute(directory)
    file = directory / FILE
    if file.exists():
        raise _exists(file)
    (directory / "inputs" / "videos").mkdir(parents=True, exist_ok=True)
    try:
        write_text(file, settings_file(), new=True, durable=True)
    except FileExistsError:  # another process made the file at the same time
        raise _exists(file) from None
    write(str(file))
    say("Next: `cosmos demo`, or `cosmos prepare DIR` with your renders.")


def _exists(file: Path) -> StateError:
    return StateError(f"{file} exists already.", hint="Edit the file, or use another directory.")


HOSTS = """\
# More GPU hosts, each a table [hosts.NAME] with the settings of [remote] and these; runs name it as
# their backend, or `auto` for any. `cosmos doctor` checks all of them.
# [hosts.big]
# host = "gpu2.example.org"
# gpus = [0, 1]  # "all", or ids
# image = "..."  # instead of [docker] image
# price_per_gpu_hour = 2.5  # in [queue] currency
# labels = ["h100"]  # words for [queue] labels
# [hosts.big.docker]  # what differs from [docker]
# [hosts.big.slurm]  # if the host is the login node of a Slurm cluster: see docs/slurm.md
"""


def settings_file() -> str:
    """Return a cosmos.toml with every setting, its default and its description."""
    parts = [HEAD]
    engines = tables_of(ENGINES.tables(ENGINES))
    for name, field in {**Settings.model_fields, **engines.model_fields}.items():
        table = field.default
        if name == "hosts":
            parts.append(HOSTS)
        if not hasattr(type(table), "model_fields"):
            continue
        parts += [f"# {type(table).__doc__}", f"[{name}]"]
        for key, info in type(table).model_fields.items():
            comment = f"  # {info.description}" if info.description else ""
            value = getattr(table, key)
            # TOML has no word for "not given"
            parts.append(
                f"# {key} ={comment}" if value is None else f"{key} = {_toml(value)}{comment}"
            )
        parts.append("")
    return "\n".join(parts)


def _toml(value: Any) -> str:
    """Return a plain value in TOML, which writes text, numbers and booleans as JSON does."""
    return json.dumps(str(value) if isinstance(value, Path) else value)
