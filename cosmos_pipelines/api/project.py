"""The project, shared by all parts of the API."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import InstanceOf

from cosmos_pipelines.api.arguments import Place
from cosmos_pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.store import Catalog


class Project:
    """Settings and catalog of one project."""

    def __init__(
        self, home: Place | None = None, *, settings: InstanceOf[Settings] | None = None
    ) -> None:
        self.settings = settings or load_settings(None if home is None else Path(home))

    @cached_property
    def catalog(self) -> Catalog:
        """The project's catalog, opened and migrated at its first use."""
        from cosmos_pipelines.catalog.store import Catalog

        return Catalog.open(self.settings.catalog_url, self.settings.home)
