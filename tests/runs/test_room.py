"""How many loads a place may be given at once."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.room import room_of
from tests.support.project import settings_in


def test_a_cluster_gets_as_many_loads_as_its_table_says(tmp_path: Path) -> None:
    text = '[hosts.big]\nhost = "login1"\n[hosts.big.slurm]\nmost_gpus = 7\n'
    settings = settings_in(tmp_path, text)
    with Catalog.open(settings.catalog_url) as catalog:
        slots = room_of(catalog, settings).slots
        assert len([slot for slot in slots if slot.place == "big"]) == 7
