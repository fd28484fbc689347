"""The part of the API that finds runs: by filters, in an order, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cosmos_pipelines.api.arguments import Count, Fields, Limit, Record, Words
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.catalog.run_filter import RunFilter

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.finding import Wanted

Filters = Annotated[Any, Fields(RunFilter)]

FILTERS: Final[dict[str, Record]] = {
    name: {"what": str(field.description), "several": field.get_default() == ()}
    for name, field in RunFilter.model_fields.items()
}
"""The filters of runs: `what` each is in words, and whether it takes several values."""


class Finding(Project):
    """Find runs of one project.

    `filters` of all methods: words, scene, prompt, recipe, engine, status, type, rating (at least),
    tag, without (a tag), batch, since (an age as 12h, 30d, 8w, or a date), of (a run and what was
    made of it). Of several values one is enough; of tags it needs all.

    `sort`: newest, oldest, rating (best first), or a number of `recorded_numbers`: the smallest
    first, with `-` before its name the largest; runs without that number come last.

    `grouped`: without the runs whose parent is found too: a 4K belongs to its video.
    """

    def find_runs(
        self,
        *,
        sort: str = "newest",
        after: str | None = None,
        limit: Count = 50,
        grouped: bool = False,
        **filters: Filters,
    ) -> Record:
        """Return a page of runs: `runs` (as `tiles`), and `next`: `after` of the next page.

        Raises InputError: a filter, `sort` or `after` is wrong.
        """
        found = self.find_run_ids(sort=sort, after=after, limit=limit, grouped=grouped, **filters)
        return {"runs": self.tiles(found["ids"]), "next": found["next"]}

    def find_run_ids(
        self,
        *,
        sort: str = "newest",
        after: str | None = None,
        limit: Limit = None,
        grouped: bool = False,
        **filters: Filters,
    ) -> Record:
        """Return `ids` and `next` of the runs that `find_runs` returns; None: all of them."""
        from cosmos_pipelines.catalog.finding import find_ids

        wanted = _wanted(filters, sort, grouped=grouped)
        ids, place = find_ids(self.catalog, wanted, after=after, limit=limit)
        return {"ids": ids, "next": place}

    def count_runs(self, *, grouped: bool = False, **filters: Filters) -> int:
        """Return the number of runs with these filters."""
        from cosmos_pipelines.catalog.finding import count

        return count(self.catalog, _wanted(filters, grouped=grouped))

    def runs_among(self, run_ids: Words, *, grouped: bool = False, **filters: Filters) -> list[str]:
        """Return which of these runs have the filters."""
        from cosmos_pipelines.catalog.finding import among

        return among(self.catalog, _wanted(filters, grouped=grouped), run_ids)

    def tiles(self, run_ids: Words) -> list[Record]:
        """Return the cards of runs, each with `made_of_it`: the cards of what was made of it.

        In this order; unknown ids are left out. `position`: of a waiting run in the queue, from 1;
        `expected_s`: seconds that a waiting one will take; both None where nothing is known.
        """
        from cosmos_pipelines.runs.tiles import tiles_of

        found = self.catalog.find_runs(run_ids)
        return tiles_of(
            self.catalog, self.settings, [found[i] for i in dict.fromkeys(run_ids) if i in found]
        )

    def filter_values(self, name: str, beginning: str = "", limit: Count = 50) -> list[Record]:
        """Return what a filter can be: `value` and `number` of runs (of words: of prompts)."""
        from cosmos_pipelines.catalog.completing import values_of

        found = values_of(self.catalog, name, beginning, limit)
        return [{"value": value, "number": number} for value, number in found]

    def recorded_numbers(self) -> list[str]:
        """Return the names of numbers that runs record, by which `find_runs` can sort."""
        from cosmos_pipelines.catalog.numbers import recorded_numbers

        return recorded_numbers(self.catalog)

    def sweep_grid(
        self,
        *,
        across: Literal["recipe", "seed"] = "recipe",
        first: Count = 0,
        limit: Count = 50,
        **filters: Filters,
    ) -> Record:
        """Return transfers as a grid: prompts down, recipes or seeds across.

        `across`: the names of the columns; `rows`: `prompt` (id, name, text, scene) and `cells`,
        for each column the ids of its runs, the best rated and newest first; from row `first` on,
        at most `limit` rows; `prompts`: the number of rows in all.
        """
        from cosmos_pipelines.runs.sweep_grid import sweep_grid

        return sweep_grid(self.catalog, _wanted(filters).filters, across, first, limit)


def _wanted(filters: dict[str, Any], sort: str = "newest", *, grouped: bool = False) -> Wanted:
    from cosmos_pipelines.catalog.finding import Wanted
    from cosmos_pipelines.runs.filters import run_filter

    return Wanted(run_filter(filters), sort, grouped)
