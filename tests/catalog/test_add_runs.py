"""Runs that are added: several at once, all or none, each once however often it is asked for."""

from __future__ import annotations

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.new_run import new_run
from cosmos_pipelines.errors import InputError, UnknownId
from cosmos_pipelines.ids import new_run_id
from tests.catalog.rows import OWNER, add_prompt, add_run


def test_runs_that_were_asked_for_before_are_those_that_are_there(catalog: Catalog) -> None:
    rows = [new_run("transfer", "preview", "local", {"seed": n}, request_key=f"k{n}") for n in "12"]
    first = catalog.add_runs(rows, queued=True)
    rows[0] |= {"id": new_run_id()}
    rows[1] |= {"id": new_run_id(), "request_key": "k3"}
    again = catalog.add_runs(rows, queued=True)
    assert again[0] == first[0]
    assert again[1] not in first
    assert len(catalog.list_runs()) == 3
    assert add_run(catalog) != add_run(catalog)  # no key: nobody asks for it again


def test_runs_that_are_added_together_keep_their_order(catalog: Catalog) -> None:
    rows = [new_run("transfer", "preview", "local", {"seed": n}) for n in range(50)]
    made = catalog.add_runs(rows, queued=True)
    assert [run.execution_config["seed"] for run in made] == [*range(50)]
    assert catalog.queued_runs() == made
    assert catalog.list_runs(limit=None) == made[::-1]


def test_of_several_runs_all_are_added_or_none(catalog: Catalog) -> None:
    rows = [new_run("transfer", "preview", "local", {}) for _ in range(3)]
    rows[2]["prompt_id"] = "ps_unknown"
    with pytest.raises(UnknownId, match="ps_unknown"):
        catalog.add_runs(rows)
    assert catalog.list_runs() == []


def test_a_run_comes_back_as_it_was_entered(catalog: Catalog) -> None:
    prompt = add_prompt(catalog)
    run = add_run(
        catalog,
        prompt_id=prompt.id,
        recipe="soft",
        source={"video": "/a.mp4"},
        queued=True,
        priority=3,
        tags=["Night ", "city"],
        notes=["a note"],
        lease=OWNER,
        run_id="rs_" + "0" * 32,
    )
    assert run.status == "pending"
    assert (run.id, run.prompt_id, run.recipe) == ("rs_" + "0" * 32, prompt.id, "soft")
    assert (run.execution_config, run.source) == ({"seed": 1}, {"video": "/a.mp4"})
    assert (run.tags, run.notes, run.priority) == (["city", "night"], ["a note"], 3)
    assert (run.attempt, run.leased_by, run.outputs) == (1, OWNER, {})
    assert run.queued_at == run.created_at
    assert catalog.get_run(run.id) == run
    assert catalog.find_run("rs_") is None


def test_a_run_of_unknown_things_is_refused_by_their_name(catalog: Catalog) -> None:
    with pytest.raises(UnknownId, match="no prompt 'ps_x'"):
        add_run(catalog, prompt_id="ps_x")
    with pytest.raises(UnknownId, match="no run 'rs_x'"):
        add_run(catalog, parent_run_id="rs_x")
    with pytest.raises(InputError, match="not dance"):
        add_run(catalog, model_type="dance")
    with pytest.raises(InputError, match="not a run id"):
        add_run(catalog, run_id="../x")
    known = add_run(catalog)
    with pytest.raises(InputError, match="already"):
        add_run(catalog, run_id=known.id)
    assert len(catalog.list_runs()) == 1
