"""What Dagster's page shows leads on: ids are links, and rating and tags are those of now."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import dagster as dg
import pytest

from cosmos_pipelines.assets.links import Links
from cosmos_pipelines.assets.metadata import described, prompt_content, run_content
from cosmos_pipelines.assets.partitions import (
    ENHANCED,
    PARTITIONS,
    PROMPTS,
    SCENES,
    UPSCALED,
    VIDEOS,
)
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_enhance, plan_transfer, plan_upscale
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_tables import Ui
from tests.support.dagster_project import add_prompt, add_run, failure_of, materialize, synced
from tests.support.dagster_project import metadata_of as made_of
from tests.support.project import Project

LINK = re.compile(r"\]\(([^)\s]+)\)")


def urls(metadata: dict[str, Any]) -> list[str]:
    """The URLs of all links in Markdown."""
    found = [url for v in metadata.values() if isinstance(v, str) for url in LINK.findall(v)]
    return [url for url in found if not url.startswith("/cosmos/preview/")]


def observed(instance: dg.DagsterInstance, partition: str) -> list[dict[str, Any]]:
    """What was observed of a video, newest first."""
    wanted = dg.AssetRecordsFilter(asset_key=VIDEOS, asset_partitions=[partition])
    events = [r.asset_observation for r in instance.fetch_observations(wanted, limit=9).records]
    return [{k: v.value for k, v in event.metadata.items()} for event in events if event]


def made_story(project: Project) -> dict[str, str]:
    """A prompt with its enhancement, a video and its 4K, as ids."""
    run = add_run(project)
    prompt = str(run.prompt_id)
    parts = project.catalog, project.settings
    better = enter(*parts, plan_enhance(*parts, prompt, {}, engine="stand_in"))
    materialize_runs(*parts, [run.id, better.id])
    larger = enter(*parts, plan_upscale(*parts, run.id, {}, engine="stand_in"))
    materialize_runs(*parts, [larger.id])
    new = str(project.catalog.get_run(better.id).outputs["enhanced_prompt_id"])
    return {"run": run.id, "prompt": prompt, "better": better.id, "new": new, "larger": larger.id}


def test_each_link_of_the_metadata_leads_to_a_partition_or_run_that_there_is(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    story = made_story(staged)
    synced(staged, instance)
    places = [
        (SCENES, "city"),
        (PROMPTS, story["prompt"]),
        (PROMPTS, story["new"]),
        (ENHANCED, story["prompt"]),
        (VIDEOS, story["run"]),
        (UPSCALED, story["run"]),
    ]
    found = [url for place in places for url in urls(made_of(instance, *place))]
    led: set[str] = set()
    for url in found:
        parts = urlsplit(url)
        if parts.path.startswith("/assets/"):
            key = dg.AssetKey(parts.path.removeprefix("/assets/").split("/"))
            partition = parse_qs(parts.query)["partition"][0]
            assert instance.has_dynamic_partition(str(PARTITIONS[key].name), partition), url
            led.add(partition)
        elif parts.path.startswith("/cosmos/run/"):
            led.add(staged.catalog.get_run(unquote(parts.path.rpartition("/")[2])).id)
        else:
            assert parts.path == "/cosmos/" or parts.path.startswith("/cosmos/prompt/ps_"), url
    assert led == {*story.values(), "city"}


def test_a_video_says_prompt_recipe_rating_and_tags(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    parts = staged.catalog, staged.settings
    staged.catalog.put_recipe("golden hour", "stand_in", "transfer", {"guidance": 3.0})
    planned = plan_transfer(*parts, add_prompt(staged).id, {}, recipe="golden hour")
    run = enter(*parts, planned)
    staged.catalog.tag(run.id, add=["night", "batch:first"])
    staged.catalog.rate(run.id, 4)
    materialize_runs(staged.catalog, staged.settings, [run.id])
    shown = made_of(instance, VIDEOS, run.id)
    prompt = staged.catalog.get_prompt(str(run.prompt_id))
    assert (shown["prompt"], shown["prompt name"]) == (prompt.text, prompt.name)
    assert shown["recipe"] == "[golden hour](/cosmos/?recipe=golden+hour)"
    assert (shown["rating"], shown["tags"]) == (4, "batch:first, night")


def test_a_rating_after_the_video_is_observed_once_and_what_made_the_video_stays(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    run = add_run(staged)
    materialize_runs(staged.catalog, staged.settings, [run.id])
    cursor = synced(staged, instance)
    assert observed(instance, run.id) == []
    staged.catalog.rate(run.id, 5)
    cursor = synced(staged, instance, cursor)
    staged.catalog.tag(run.id, add=["hero"])
    cursor = synced(staged, instance, cursor)
    staged.catalog.note(run.id, "Nothing that people think of it.")
    cursor = synced(staged, instance, cursor)
    staged.catalog.rate(run.id, None)
    synced(staged, instance, synced(staged, instance, cursor))
    assert observed(instance, run.id) == [
        {"rating": "none", "tags": "hero"},
        {"rating": 5, "tags": "hero"},
        {"rating": 5, "tags": "none"},
    ]
    assert len(instance.fetch_materializations(VIDEOS, limit=9).records) == 1


def test_a_failed_run_leads_to_its_log(staged: Project, instance: dg.DagsterInstance) -> None:
    run = add_run(staged, "crash")
    synced(staged, instance)
    failed = failure_of(materialize(staged, instance, VIDEOS, run.id))
    assert failed is not None
    shown = {name: value.value for name, value in failed.metadata.items()}
    assert shown["log on the page"] == f"[log](/cosmos/run/{run.id}#log)"


def test_names_of_scenes_cannot_write_markdown(staged: Project) -> None:
    links = Links("")
    key = "a](http://evil) ![x](y)\n<img> *b* _c_ snow_square"
    made = links.scene(key, (SCENES, key)).md_str
    assert LINK.findall(made) == [
        "/cosmos/?scene=a%5D%28http%3A%2F%2Fevil%29+%21%5Bx%5D%28y%29%0A%3Cimg%3E+%2Ab%2A+_c_+"
        "snow_square",
        "/assets/scenes?view=partitions&partition=a%5D%28http%3A%2F%2Fevil%29+%21%5Bx%5D%28y%29"
        "%0A%3Cimg%3E+%2Ab%2A+_c_+snow_square",
    ]
    assert r"snow_square](" in made
    assert r"\<img\> \*b\* \_c\_" in made
    assert links.scene("x" * 900, (SCENES, "x")).value == "x" * 900, "folded Markdown"


@pytest.mark.parametrize("address", [None, "https://studio:3000"])
def test_beside_another_page_links_are_absolute_or_left_out(
    staged: Project, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    story = made_story(staged)
    run = staged.catalog.get_run(story["run"])
    prompt = staged.catalog.get_prompt(story["prompt"])
    monkeypatch.delenv("COSMOS_PAGE", raising=False)
    monkeypatch.setattr("sys.argv", ["dagster", "api", "grpc"])
    settings = _with_address(staged.settings, address)
    contents = [run_content(settings, run, prompt), prompt_content(settings, prompt)]
    shown = {
        f"{n} {name}": getattr(value, "value", value)
        for n, content in enumerate(contents)
        for name, value in content.metadata.items()
    }
    assert not any("preview" in name or "picture" in name for name in shown)
    elsewhere = [url for url in urls(shown) if not url.startswith("/assets/")]
    assert all(url.startswith(f"{address}/cosmos/") for url in elsewhere)
    assert bool(elsewhere) == bool(address)
    said = described(Links.of(settings), VIDEOS, "Videos.")
    url = f"{address}/cosmos/?type=transfer"
    assert said == (
        "Videos." if address is None else f"Videos.\n\n[See them on the review page]({url})."
    )


def _with_address(settings: Settings, address: str | None) -> Settings:
    return settings.model_copy(update={"ui": Ui(address=address)})


def test_the_description_of_each_asset_leads_to_the_review_page(staged: Project) -> None:
    graph = build_definitions(staged.settings).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        assert LINK.findall(graph.get(key).description or "")[-1].startswith("/cosmos/")


@pytest.mark.parametrize("wrong", ["studio:3000", "http://studio/x", "ftp://a", "http://a b"])
def test_an_address_that_is_no_page_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="http://studio:3000"):
        Ui(address=wrong)


def test_a_prompt_leads_to_its_screen_and_its_partition(staged: Project) -> None:
    prompt = add_prompt(staged)
    assert urls({"id": Links("").prompt(prompt.id, (PROMPTS, prompt.id)).value}) == [
        f"/cosmos/prompt/{prompt.id}",
        f"/assets/prompts?view=partitions&partition={prompt.id}",
    ]
