"""Catalog and backend as Dagster resources, which the page shows with their settings.

A resource holds the project's directory and values that may be shown. The process that uses the
resource reads the settings from that directory: no password enters Dagster's records.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import Field

from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import Settings, load_settings


class CatalogResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The catalog of scenes, prompts, recipes and runs."""

    home: str = Field(description="The project's directory.")
    database: str = Field(description="Where the catalog is (a password is not shown).")

    @property
    def settings(self) -> Settings:
        """The project's settings, read now."""
        return load_settings(Path(self.home))

    @contextmanager
    def open(self) -> Iterator[tuple[Catalog, Settings]]:
        """Yield the catalog and the project's settings, which are read once.

        Raises:
            InputError: the catalog cannot be used.
            SettingsError: the settings are wrong.
        """
        settings = self.settings
        with Catalog.open(settings.catalog_url, settings.home) as catalog:
            yield catalog, settings


class BackendResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The place where runs are executed."""

    home: str = Field(description="The project's directory.")
    backend: str = Field(description="The backend of new runs; a run keeps its backend.")
    engine: str = Field(description="The model family of new runs.")
    upscale_engine: str = Field(description="The model family of new upscales.")
    enhance_engine: str = Field(description="The model family of new enhancements of prompts.")

    def open(self, settings: Settings, name: str | None = None) -> Backend:
        """Return the backend called `name` (default: that of new runs); the caller closes it.

        Raises:
            SettingsError: there is no such backend, or no host is set for it.
        """
        return backend_for(settings, name)


def resources_of(settings: Settings) -> dict[str, dg.ConfigurableResource]:  # type: ignore[type-arg]
    """Return the resources of a project, by the names that assets and sensors use."""
    from sqlalchemy.engine import make_url

    home, execution = str(settings.home), settings.execution
    database = make_url(settings.catalog_url).render_as_string(hide_password=True)
    return {
        "catalog": CatalogResource(home=home, database=database),
        "backend": BackendResource(
            home=home,
            backend=execution.backend,
            engine=execution.engine,
            upscale_engine=execution.engine_for("upscale"),
            enhance_engine=execution.engine_for("enhance"),
        ),
    }
