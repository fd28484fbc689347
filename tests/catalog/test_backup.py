from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.backup import backup
from cosmos_pipelines.catalog.search import search_prompts
from cosmos_pipelines.errors import InputError
from tests.catalog.rows import add_prompt, add_run


def test_a_backup_is_a_whole_catalog(tmp_path: Path) -> None:
    with Catalog.open(f"sqlite:///{tmp_path / 'cosmos.db'}") as catalog:
        prompt = add_prompt(catalog)
        run = add_run(catalog, prompt_id=prompt.id)
        copy = tmp_path / "copy.db"
        assert backup(catalog, copy) == copy.stat().st_size > 0
        add_run(catalog)
        with pytest.raises(InputError, match="exists already"):
            backup(catalog, copy)
        with pytest.raises(InputError, match="no directory"):
            backup(catalog, tmp_path / "nothing" / "copy.db")
    with Catalog.open(f"sqlite:///{copy}") as restored:
        assert restored.list_runs() == [run]
        assert search_prompts(restored, "fog") == [prompt]
    assert not list(tmp_path.glob("*.part"))


def test_a_catalog_in_postgresql_is_left_to_pg_dump(postgres_url: str, tmp_path: Path) -> None:
    with Catalog.open(postgres_url) as catalog, pytest.raises(InputError, match="pg_dump"):
        backup(catalog, tmp_path / "copy.db")
