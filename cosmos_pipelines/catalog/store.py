"""The catalog: one object with everything that is known about prompts, scenes, recipes and runs.

No Dagster, no files but the database's own. Its parts are in prompts.py, scenes.py, runs.py,
lifecycle.py and changes.py; searching, deleting and verifying are functions in files of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from cosmos_pipelines.catalog.changes import Changes
from cosmos_pipelines.catalog.lifecycle import Lifecycle
from cosmos_pipelines.catalog.prompts import Prompts
from cosmos_pipelines.catalog.scenes import Scenes


class Catalog(Prompts, Scenes, Lifecycle, Changes):
    """The catalog in one database. Safe for many processes and threads at once."""

    @classmethod
    def open(cls, url: str, home: Path | None = None) -> Self:
        """The catalog at an SQLAlchemy URL, made or brought up to date if necessary.

        `home`: the project's directory, which an update of an older catalog needs.

        Raises:
            InputError: the database cannot be reached or used; says where and why.
            StateError: it was written by a newer version of this program.
        """
        from cosmos_pipelines.catalog.migrate import bring_up_to_date

        catalog = cls(url)
        bring_up_to_date(catalog, home)
        return catalog
