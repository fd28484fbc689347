"""A sweep as a grid: prompts down, recipes or seeds across, the runs of each cell."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from cosmos_pipelines.catalog.finding import Wanted, find_cells
from cosmos_pipelines.catalog.run_filter import RunFilter
from cosmos_pipelines.catalog.store import Catalog

MOST_COLUMNS: Final = 60
NO_RECIPE: Final = ""
"""The column of runs without a recipe."""


def sweep_grid(
    catalog: Catalog, filters: RunFilter, across: str, first: int, limit: int
) -> dict[str, Any]:
    """See `CosmosAPI.sweep_grid`. Of more than `MOST_COLUMNS` columns those with most runs."""
    if not filters.type:
        filters = filters.model_copy(update={"type": ("transfer",)})
    cells: dict[str, dict[str, list[Any]]] = {}
    columns: Counter[str] = Counter()
    for row in find_cells(catalog, Wanted(filters), across):
        column = NO_RECIPE if row.across is None else str(row.across)
        columns[column] += 1
        cells.setdefault(row.prompt_id, {}).setdefault(column, []).append(row)
    names = [name for name, _ in columns.most_common(MOST_COLUMNS)]
    names.sort(key=lambda name: (name == NO_RECIPE, _as_number(name), name))
    shown = list(cells)[first : first + limit]
    prompts = catalog.find_prompts(shown)
    rows = [
        {
            "prompt": prompts[prompt_id].as_dict(),
            "cells": [_best_first(cells[prompt_id].get(name, [])) for name in names],
        }
        for prompt_id in shown
        if prompt_id in prompts
    ]
    return {"across": names, "columns": len(columns), "rows": rows, "prompts": len(cells)}


def _best_first(runs: list[Any]) -> list[str]:
    """The ids of the runs of a cell; they come newest first."""
    done = sorted(runs, key=lambda run: (run.status != "completed", -(run.rating or 0)))
    return [run.id for run in done]


def _as_number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return float("inf")
