"""The statuses of Dagster runs: those that are ended, and all others."""

from __future__ import annotations

from typing import Final

import dagster as dg

DAGSTER_ENDED: Final = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)
DAGSTER_OPEN: Final = tuple(s for s in dg.DagsterRunStatus if s not in DAGSTER_ENDED)
