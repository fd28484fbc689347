"""What only those who write Python call."""

from __future__ import annotations

import inspect

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.backends.owner import owner_name
from tests.support.dagster_project import add_run
from tests.support.project import Project


def test_a_prompt_and_its_video_are_one_call(staged: Project) -> None:
    with CosmosAPI(settings=staged.settings) as api:
        run = api.create_and_run("works", "city", engine="stand_in", negative_prompt="fog")
        prompt = api.get_prompt(run["prompt_id"])
    assert (run["status"], run["outputs"]["frames"]) == ("completed", 6)
    assert (prompt["text"], prompt["negative_prompt"]) == ("works", "fog")


def test_runs_in_work_are_told(staged: Project) -> None:
    add_run(staged)
    claimed = add_run(staged)
    staged.catalog.claim(claimed.id, owner_name())
    with CosmosAPI(settings=staged.settings) as api:
        assert [run["id"] for run in api.get_active_operations()] == [claimed.id]


def test_every_public_method_says_what_it_does() -> None:
    public = {n: m for n, m in inspect.getmembers(CosmosAPI) if not n.startswith("_")}
    assert len(public) > 30
    assert [name for name, member in public.items() if not inspect.getdoc(member)] == []
