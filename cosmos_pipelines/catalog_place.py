"""Where the catalog of a project is, without reading what else its settings say.

A command that lists what there is needs three settings of some forty. To check all of them, with
the tables of engines, takes longer than the listing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.settings_file import (
    FILE,
    TWO_CATALOGS,
    catalog_below,
    home_of,
    read_settings,
    with_driver,
)

_TABLES: Final = frozenset(
    {"dagster_home", "owner", "person", "scenes", "execution", "remote", "docker", "hosts"}
    | {"queue", "clean", "notify", "budget", "ui"}
    | {"cosmos_transfer1", "cosmos_transfer2_5", "cosmos3"}
)
"""Settings that say nothing of where the catalog is."""
_VARIABLE: Final = "cosmos_database_url"
_SHARED: Final = "cosmos_postgres__url"
_VARIABLES: Final = frozenset(
    {"cosmos_home", "cosmos_debug", "cosmos_person", "cosmos_notify_urls", _VARIABLE, _SHARED}
)


def catalog_place(given: Path | None) -> tuple[Path, str]:
    """Return a project's directory, absolute, and the SQLAlchemy URL of its catalog.

    Settings of another form than the usual, and variables, are read with all the others, and
    checked: a misspelt `database_url` must not lead to another catalog.

    Raises:
        SettingsError: no project, or settings that cannot be read.
    """
    home = home_of(given)
    values, _ = read_settings(home / FILE)
    variables = {name.lower(): value for name, value in os.environ.items()}
    paths = values.pop("paths", {})
    url = values.pop("database_url", None)
    shared = values.pop("postgres", {})
    plain = (
        values.keys() <= _TABLES
        and isinstance(paths, dict)
        and paths.keys() <= {"inputs", "outputs"}
        and all(isinstance(one, str) for one in paths.values())
        and (url is None or isinstance(url, str))
        and isinstance(shared, dict)
        and shared.keys() <= {"url"}
        and all(isinstance(one, str) for one in shared.values())
        and _VARIABLES.issuperset(name for name in variables if name.startswith("cosmos_"))
    )
    if not plain:
        from cosmos_pipelines.settings import load_settings

        return home, load_settings(home).catalog_url
    url = variables.get(_VARIABLE, url)
    if found := variables.get(_SHARED, shared.get("url")):
        if url:
            raise SettingsError(f"{TWO_CATALOGS}.")
        url = with_driver(found)
    return home, url or catalog_below(home / paths.get("outputs", "outputs"))
