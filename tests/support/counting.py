"""Count the queries of the catalog, the reads of videos and of settings in a block of a test.

    with counting(project.settings) as counts:
        ...
    assert counts["probe"] <= 4

The functions are the real ones, watched with `sys.setprofile`. SQL statements are counted where
SQLAlchemy gives them to the database's driver (BEGIN counts, COMMIT does not): `statement` are the
catalog's, `dagster statement` those of every other database.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import CO_GENERATOR
from types import CodeType, FrameType
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine import Engine as Database

from cosmos_pipelines import settings as settings_module
from cosmos_pipelines.catalog.records import Run, SceneRow
from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.media.decode import frames_of
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.runs.locations import is_there
from cosmos_pipelines.settings import Settings

WATCHED: dict[CodeType, str] = {
    function.__code__: name
    for name, function in {
        "probe": probe,
        "decode": frames_of,
        "load settings": settings_module.load_settings,
        "compile": Preview.compile,
        "scene row": SceneRow.__init__,
        "run row": Run.__init__,
        "look for a scene": is_there,
    }.items()
}
"""Functions that are counted, besides `statement` and `deep probe`; `decode`: whole videos."""


@contextmanager
def counting(settings: Settings) -> Iterator[Counter[str]]:
    """Yield the block's counts by name, of this process and of threads started in the block."""
    counts: Counter[str] = Counter()
    catalog = make_url(settings.catalog_url)

    def statement(connection: Connection, *_: Any) -> None:
        ours = connection.engine.url == catalog
        counts["statement" if ours else "dagster statement"] += 1

    watch = _watching(counts)
    before = sys.getprofile()
    event.listen(Database, "before_cursor_execute", statement)
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield counts
    finally:
        sys.setprofile(before)
        threading.setprofile(None)  # type: ignore[arg-type]
        event.remove(Database, "before_cursor_execute", statement)


def _watching(counts: Counter[str]) -> Callable[[FrameType, str, Any], None]:
    begun: list[FrameType] = []  # kept: no later frame may get the same identity

    def watch(frame: FrameType, what: str, _: Any) -> None:
        if what != "call" or frame.f_code not in WATCHED:
            return
        name = WATCHED[frame.f_code]
        if frame.f_code.co_flags & CO_GENERATOR:  # called again for each picture
            if any(known is frame for known in begun):
                return
            begun.append(frame)
        counts[name] += 1
        counts["deep probe"] += name == "probe" and bool(frame.f_locals["deep"])

    return watch
