"""The catalog: one object for all records of prompts, scenes, recipes and runs.

The parts of the catalog are in prompts.py, scenes.py, runs.py, add_runs.py, review.py,
lifecycle.py, queue.py, loads.py, pauses.py, changes.py, counts.py, notices.py, gpu_times.py and
workers.py; search, deletion and integrity checks are functions in separate files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from cosmos_pipelines.catalog.add_runs import AddRuns
from cosmos_pipelines.catalog.changes import Changes
from cosmos_pipelines.catalog.counts import Counts
from cosmos_pipelines.catalog.gpu_times import GpuTimes
from cosmos_pipelines.catalog.notices import Notices
from cosmos_pipelines.catalog.prompts import Prompts
from cosmos_pipelines.catalog.queue import Queue
from cosmos_pipelines.catalog.review import Review
from cosmos_pipelines.catalog.scenes import Scenes
from cosmos_pipelines.catalog.workers import Workers


class Catalog(Prompts, Scenes, AddRuns, Queue, Review, Changes, Counts, Notices, GpuTimes, Workers):
    """The catalog in one database. Safe for many processes and threads at once."""

    @classmethod
    def open(cls, url: str, home: Path | None = None) -> Self:
        """Open the catalog at an SQLAlchemy URL; make it or migrate it if necessary.

        `home`: the project's directory, which the migration of an old catalog needs.

        Raises:
            InputError: the database cannot be reached or used; the message says where and why.
            StateError: a newer version of this program wrote the database.
        """
        from cosmos_pipelines.catalog.migrate import bring_up_to_date

        catalog = cls(url)
        bring_up_to_date(catalog, home)
        return catalog
