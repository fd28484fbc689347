"""The project that all parts of the front door belong to."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos_pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.store import Catalog

Record = dict[str, Any]


class Project:
    """Settings and catalog of one project."""

    def __init__(self, home: Path | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings(home)

    @cached_property
    def catalog(self) -> Catalog:
        """The project's catalog, opened and migrated at its first use."""
        from cosmos_pipelines.catalog.store import Catalog

        return Catalog.open(self.settings.catalog_url, self.settings.home)
