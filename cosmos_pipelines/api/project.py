"""The project, shared by all parts of the API."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import InstanceOf

from cosmos_pipelines.api.arguments import Place
from cosmos_pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.store import Catalog


class Project:
    """Settings and catalog of one project; a context manager, which closes the catalog."""

    def __init__(
        self, home: Place | None = None, *, settings: InstanceOf[Settings] | None = None
    ) -> None:
        self.settings = settings or load_settings(None if home is None else Path(home))
        self._catalog: Catalog | None = None
        self._opening = threading.Lock()

    @property
    def catalog(self) -> Catalog:
        """The project's catalog, opened and migrated at its first use; all threads share it."""
        from cosmos_pipelines.catalog.store import Catalog

        with self._opening:
            if self._catalog is None:
                self._catalog = Catalog.open(self.settings.catalog_url, self.settings.home)
            return self._catalog

    def close(self) -> None:
        """Close the connections to the catalog; the next call of a method opens it again."""
        with self._opening:
            opened, self._catalog = self._catalog, None
        if opened is not None:
            opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
