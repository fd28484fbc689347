from __future__ import annotations

import json
from pathlib import Path

import pandas as pd  # noqa: TID253
import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.export import export
from cosmos_pipelines.errors import InputError
from tests.catalog.rows import add_prompt, add_run, complete


def test_json_holds_the_records_as_they_are(catalog: Catalog, tmp_path: Path) -> None:
    add_prompt(catalog, 'fog, "dense"\n日没', parameters={"a": [0.1, None]})
    prompt = add_prompt(catalog, "sun")
    complete(catalog, add_run(catalog, prompt_id=prompt.id, tags=["b"]))
    add_run(catalog)
    for what, records in (("runs", catalog.list_runs()), ("prompts", catalog.list_prompts())):
        path = tmp_path / f"{what}.json"
        assert export(catalog, what, path) == 2
        assert json.loads(path.read_text("utf-8")) == [r.as_dict() for r in records]
    assert sorted(p.name for p in tmp_path.glob("*.part")) == []


def test_csv_keeps_whole_numbers_and_texts_with_line_ends(catalog: Catalog, tmp_path: Path) -> None:
    text = 'fog, "dense"\n日没'
    add_prompt(catalog, text, parameters={"a": 1})
    complete(catalog, add_run(catalog, tags=["b"]))
    add_run(catalog)
    assert export(catalog, "runs", tmp_path / "runs.CSV") == 2
    runs = pd.read_csv(tmp_path / "runs.CSV", dtype=str, keep_default_na=False)
    assert list(runs["exit_code"]) == ["", "0"]
    assert [json.loads(tags) for tags in runs["tags"]] == [[], ["b"]]
    export(catalog, "prompts", tmp_path / "prompts.csv")
    prompts = pd.read_csv(tmp_path / "prompts.csv")
    assert list(prompts["text"]) == [text]


def test_an_empty_catalog_gives_the_names_of_the_columns(catalog: Catalog, tmp_path: Path) -> None:
    assert export(catalog, "prompts", tmp_path / "p.csv") == 0
    assert (tmp_path / "p.csv").read_text().startswith("id,text,")
    assert export(catalog, "runs", tmp_path / "r.json") == 0
    assert json.loads((tmp_path / "r.json").read_text()) == []


def test_another_format_and_an_unwritable_place_are_refused(
    catalog: Catalog, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="neither"):
        export(catalog, "runs", tmp_path / "runs.xlsx")
    with pytest.raises(InputError, match="cannot be written"):
        export(catalog, "runs", tmp_path / "nothing" / "runs.csv")
