"""Filters as people write them: `since` is an age or a date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cosmos_pipelines.catalog.records import utc_now
from cosmos_pipelines.catalog.run_filter import RunFilter
from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.settings_tables import seconds_of


def run_filter(fields: Mapping[str, Any], now: datetime | None = None) -> RunFilter:
    """Return a filter of these fields; `since` may also be an age (12h, 30d, 8w) or a date.

    Raises:
        InputError: a field is unknown or wrong; names it.
    """
    since = fields.get("since")
    if isinstance(since, str):
        fields = {**fields, "since": _moment(since, now or utc_now()) if since.strip() else None}
    return RunFilter.parse(fields, what="filter")


def _moment(text: str, now: datetime) -> datetime:
    try:
        return now - timedelta(seconds=seconds_of(text))
    except (ValueError, OverflowError):
        pass  # a date, then
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC)  # without a zone: this machine's
    except (ValueError, OverflowError, OSError):
        raise InputError(
            f"since: {shown(text)} is neither an age nor a date.",
            hint="Write 12h, 30d, 8w or 2026-05-31.",
        ) from None
