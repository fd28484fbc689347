"""`cosmos list runs` finds runs by what they were made of."""

from __future__ import annotations

from cosmos_pipelines.api import CosmosAPI
from tests.cli.conftest import Cosmos
from tests.support.project import Project


def test_runs_are_listed_by_words_scene_recipe_engine_and_age(
    project: Project, cosmos: Cosmos
) -> None:
    project.scene("city")
    project.scene("wood")
    with CosmosAPI(settings=project.settings) as api:
        api.create_recipe("soft", weights=[0.5, 0, 0, 0.5])
        rain = api.create_prompt("a rainy night", "city", name="rain")["id"]
        fog = api.create_prompt("fog in the wood", "wood", name="fog")["id"]
        wet, soft = (api.create_run(rain, recipe=r)["id"] for r in (None, "soft"))
        foggy = api.create_run(fog, tags=["keep"])["id"]

    def listed(*words: str) -> list[str]:
        said = cosmos("list", "runs", "--ids", *words)
        assert said.code == 0, said.err
        return said.out.split()

    assert listed("--words", "rain") == [soft, wet]
    assert listed("--words", "rain", "--limit", "1", "--offset", "1") == [wet]
    assert listed("--words", "night", "--recipe", "soft") == [soft]
    assert listed("--scene", "wood", "--tag", "keep", "--status", "pending") == [foggy]
    assert listed("--engine", "preview", "--since", "1h", "--prompt", "fog") == [foggy]
    assert listed("--scene", "wood", "--outdated") == []
    assert listed("--since", "2999-01-01") == []
    wrong = cosmos("list", "runs", "--since", "soon")
    assert (wrong.code, "neither an age nor a date" in wrong.error) == (2, True)
