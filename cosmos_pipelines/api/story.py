"""The part of the API for one run: what it was made of, what was made of it, and all its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cosmos_pipelines.api.arguments import Id, Record
from cosmos_pipelines.api.project import Project

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow
    from cosmos_pipelines.operate.family import Relative

MOST_MATES: Final = 100


class Story(Project):
    """Tell everything about one run."""

    def story(self, run_id: Id) -> Record:
        """Return what a run was made of (`above`) and what was made of it (`below`), in order.

        Each has kind (scene, prompt, run), id, title, depth, `asset` and `partition` of Dagster's
        page, and `text` (a prompt) or `card` (a run, as in `cards`). `mates`: the other runs of its
        order, which shared its model load, its log and its time, the newest `MOST_MATES`;
        `mate_ids`: all of them. `most`: how many of one kind, the newest, are told of one thing.
        """
        from cosmos_pipelines.operate.family import MOST, ancestors, descendants
        from cosmos_pipelines.runs.cards import cards_of

        run = self.catalog.get_run(run_id)
        order = self.catalog.runs_of_orders([run.batch_id]) if run.batch_id else []
        mates = [mate for mate in order if mate.id != run.id]
        return {
            "above": self._relatives(ancestors(self.catalog, run)),
            "below": self._relatives(descendants(self.catalog, run)),
            "mates": cards_of(self.catalog, mates[:MOST_MATES]),
            "mate_ids": [mate.id for mate in mates],
            "most": MOST,
        }

    def run_sheet(self, run_id: Id) -> Record:
        """Return the facts of a run: `settings`, `numbers`, `files`, `cost`, `inputs`, `remake`.

        `remake`: the command and the Python lines that make its result again. `asset` and
        `partition`: where Dagster's page shows it.
        """
        from cosmos_pipelines.operate import sheet
        from cosmos_pipelines.operate.remake import remade

        run = self.catalog.get_run(run_id)
        return {
            **self._place(run),
            "settings": sheet.settings_of(self.settings, run),
            "numbers": sheet.numbers_of(run),
            "files": sheet.files_of(self.settings, run),
            "cost": sheet.cost_of(self.catalog, self.settings, run),
            "inputs": sheet.made_of(run),
            "remake": remade(self.catalog, self.settings, run),
        }

    def out_of_date(self, run_id: Id) -> list[Record]:
        """Return why a result would be another now: kind and a sentence each; [] if it would not.

        The kinds are those of `list_runs(because=...)`.
        """
        from cosmos_pipelines.runs.outdated import Now

        run = self.catalog.get_run(run_id)
        return [reason.as_dict() for reason in Now(self.catalog, self.settings).reasons(run)]

    def _relatives(self, found: list[Relative]) -> list[Record]:
        from cosmos_pipelines.catalog.records import Prompt, Run
        from cosmos_pipelines.runs.cards import cards_of

        runs = [one.row for one in found if isinstance(one.row, Run)]
        cards = {card["id"]: card for card in cards_of(self.catalog, runs)}
        told = []
        for one in found:
            row = one.row
            facts: Record = {"depth": one.depth, **self._place(row)}
            if isinstance(row, Run):
                card = cards[row.id]
                facts |= {"kind": "run", "id": row.id, "title": card["title"], "card": card}
            elif isinstance(row, Prompt):
                facts |= {"kind": "prompt", "id": row.id, "title": row.name, "text": row.text}
            else:
                facts |= {"kind": "scene", "id": row.key, "title": row.key}
            told.append(facts)
        return told

    def _place(self, row: Prompt | Run | SceneRow) -> Record:
        """Where Dagster's page shows a row: its own partition is the first of those it makes."""
        from cosmos_pipelines.assets.partition_names import partition_names

        asset, partition = partition_names(row)[0]
        return {"asset": asset, "partition": partition}
