"""The page of one run: what it shows, what it says where something is missing, how to repeat it."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import closing
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.cli import main
from cosmos_pipelines.runs.execute import execute_runs
from tests.page.conftest import Gallery
from tests.page.run_at_work import AtWork
from tests.support import web
from tests.support.dagster_project import add_run
from tests.support.many_runs import copy_run
from tests.support.project import Project, write_video
from tests.support.review_page import review_page
from tests.support.waiting import LONG_S, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = "<script>alert(1)</script>"


def page_of(gallery: Gallery, run_id: str, part: str = "") -> str:
    """The page of a run, as it is sent."""
    answer = web.get(f"{gallery.url}/cosmos/run/{run_id}{part}")
    assert answer.status_code == 200, answer.text
    return answer.text


def sources_of(text: str) -> list[dict[str, Any]]:
    """What the player of a page can show."""
    found = re.search(r"data-sources='([^']*)'", text)
    return json.loads(unescape(found[1])) if found else []


def test_what_users_and_models_wrote_is_text(gallery: Gallery) -> None:
    api = gallery.api
    prompt = api.create_prompt(f"A {SCRIPT} city", "inputs/videos/street", name=f"'{SCRIPT}'")
    run = api.create_run(prompt["id"], tags=[SCRIPT], negative_prompt=f'"{SCRIPT}')
    text = page_of(gallery, run["id"])
    assert SCRIPT not in text
    assert text.count("&lt;script&gt;alert(1)") >= 5  # title, name, prompt, tag, setting, command


def test_the_page_has_the_video_its_prompt_and_its_engine(gallery: Gallery) -> None:
    run_id = gallery.videos["noon", "soft"]
    text = page_of(gallery, run_id)
    assert f'src="/cosmos/video/{run_id}.mp4"' in text
    assert "A quiet city street at noon, clear sky" in text
    assert "PREVIEW" in text
    names = [(source["name"], source["frames"], source["fps"]) for source in sources_of(text)]
    assert names == [(n, 12, "24") for n in ("result", "color", "depth", "segmentation")]


def test_a_4k_is_compared_with_the_video_that_it_was_made_of(gallery: Gallery) -> None:
    parent = gallery.videos["noon", "soft"]
    found = {source["name"]: source for source in sources_of(page_of(gallery, gallery.larger))}
    assert found["source"]["url"] == f"/cosmos/video/{parent}.mp4"
    assert found["result"]["width"] == 4 * 960


def test_an_old_link_to_the_player_leads_to_the_run(gallery: Gallery) -> None:
    answer = web.get(f"{gallery.url}/cosmos/player/{gallery.larger}")
    assert answer.headers["location"] == f"/cosmos/run/{gallery.larger}"
    unknown = web.get(f"{gallery.url}/cosmos/player/%3Cscript%3E")
    assert (unknown.status_code, "<script>" in unknown.text.split("<main")[1]) == (404, False)


def test_a_video_of_an_older_render_is_said_to_be_out_of_date(gallery: Gallery) -> None:
    run_id = gallery.videos["rain", "soft"]
    assert "Out of date" not in page_of(gallery, run_id)
    color = gallery.api.settings.inputs / "street" / "color.mp4"
    before = color.read_bytes()
    write_video(color, frames=12, width=160, height=96, seed=9)
    assert "color of street was rendered again" in page_of(gallery, run_id)
    color.write_bytes(before)
    assert "Out of date" not in page_of(gallery, run_id)


def test_a_video_that_is_gone_is_said_and_its_picture_stays(gallery: Gallery) -> None:
    run_id = gallery.videos["noon", "hard"]
    gallery.api.settings.outputs.joinpath(f"run_{run_id}", "video.mp4").unlink()
    text = page_of(gallery, run_id)
    assert "The video is not there any more" in text
    assert f"cosmos run --again {run_id}" in text
    assert (f"/cosmos/still/run/{run_id}.jpg" in text, sources_of(text)) == (True, [])


def story_of(api: CosmosAPI, run_id: str) -> tuple[list[str], list[str]]:
    """The kinds of what is above and below a run."""
    story = api.story(run_id)
    return tuple(  # type: ignore[return-value]
        [one["card"]["model_type"] if one["kind"] == "run" else one["kind"] for one in side]
        for side in (story["above"], story["below"])
    )


def test_the_story_goes_up_to_the_scene_and_down_to_the_last_4k(gallery: Gallery) -> None:
    api = gallery.api
    new = api.get_run(gallery.enhanced)["outputs"]["enhanced_prompt_id"]
    video = api.create_run(new)
    with closing(backend_for(api.settings)) as backend:
        project = {"catalog": api.catalog, "settings": api.settings, "backend": backend}
        execute_runs([video["id"]], **project)
    larger = api.create_upscale(video["id"])["id"]
    assert story_of(api, gallery.enhanced) == (
        ["scene", "prompt"],
        ["prompt", "transfer", "upscale"],
    )
    assert story_of(api, larger) == (["scene", "prompt", "enhance", "prompt", "transfer"], [])
    assert story_of(api, video["id"])[1] == ["upscale"]
    text = page_of(gallery, larger)
    for asset, key in (
        ("scenes", "street"),
        ("prompts", new),
        ("enhanced_prompts", gallery.prompts["noon"]),
        ("inference_videos", video["id"]),
    ):
        assert f"/assets/{asset}?view=partitions&amp;partition={key}" in text
    made_by = api.get_run(gallery.larger)["dagster_run_id"]
    assert f"/runs/{made_by}" in page_of(gallery, gallery.videos["noon", "soft"])


def test_settings_say_which_are_defaults_and_which_the_engine_does_not_use(
    gallery: Gallery,
) -> None:
    run = gallery.api.create_run(gallery.prompts["noon"], seed=9, sigma_max=70)
    rows = {row["name"]: row for row in gallery.api.run_sheet(run["id"])["settings"]}
    facts = {name: (rows[name]["value"], rows[name]["default"], rows[name]["use"]) for name in rows}
    assert facts["seed"] == ("9", False, "used")
    assert facts["num_steps"] == ("35", True, "used")  # the engine's own
    assert facts["sigma_max"] == ("70", False, "ignored")
    assert facts["mask_prompt"] == ("", True, "ignored")
    text = page_of(gallery, run["id"])
    assert "(simulated on the CPU) does not use it" in text
    assert "does not use: sigma_max" in text  # the note of the run


def test_files_have_sizes_and_hashes_and_a_lost_one_is_said(gallery: Gallery) -> None:
    run_id = gallery.videos["noon", "soft"]
    files = {f["path"]: f for f in gallery.api.run_sheet(run_id)["files"]}
    record = gallery.api.get_run(run_id)["outputs"]
    assert (files["video.mp4"]["sha256"], files["video.mp4"]["size"]) == (
        record["sha256"],
        record["size"],
    )
    assert len(files["logs/run.log"]["sha256"]) == 64
    gallery.api.settings.outputs.joinpath(f"run_{run_id}", "thumbnail.jpg").unlink()
    files = {f["path"]: f for f in gallery.api.run_sheet(run_id)["files"]}
    assert files["thumbnail.jpg"]["size"] is None


AWKWARD = {
    "negative_prompt": '-- it\'s "$HOME" `id` \\ !\nnext line',
    "weights": {"edge": 0.5, "depth": 0.25},
    "seed": 11,
    "use_distilled": False,
    "regional_prompts": [{"prompt": "a 'red' car", "box": [0, 0, 0.5, 1]}],
}


def typed(command: str) -> list[str]:
    """The words that a shell makes of a command."""
    said = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True
    )
    return said.stdout.decode().split("\0")[:-1]


def registering(lines: str) -> str:
    """The same lines, for a run that is only queued: a 4K takes seconds."""
    for executes, registers in (
        ("quick_inference", "create_run"),
        ("upscale_run", "create_upscale"),
    ):
        lines = lines.replace(f"{executes}(", f"{registers}(")
    return lines.replace("\n    )\n", "\n        queue=True,\n    )\n")


@pytest.mark.parametrize("kind", ["transfer", "enhance", "upscale", "recipe"])
def test_the_command_and_the_python_lines_make_the_same_run_again(
    gallery: Gallery, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = gallery.api
    old = {
        "transfer": lambda: api.create_run(gallery.prompts["rain"], **AWKWARD)["id"],
        "enhance": lambda: gallery.enhanced,
        "upscale": lambda: gallery.larger,
        "recipe": lambda: gallery.videos["rain", "hard"],
    }[kind]()
    remake = api.run_sheet(old)["remake"]
    monkeypatch.chdir(api.settings.home)
    monkeypatch.delenv("COSMOS_HOME", raising=False)
    said = ("engine", "recipe", "model_type", "prompt_id", "parent_run_id", "execution_config")
    wanted = {name: api.get_run(old)[name] for name in said}
    program, *words = typed(remake["command"])
    assert (program, main([*words, "--detach"])) == ("cosmos", 0)
    queued = api.list_runs(limit=1)[0]
    assert (queued["id"] != old, {name: queued[name] for name in said}) == (True, wanted)
    made: dict[str, Any] = {}
    exec(remake["python"] if kind == "transfer" else registering(remake["python"]), made)
    assert made["run"]["id"] not in (old, queued["id"])
    assert {name: made["run"][name] for name in said} == wanted


def test_an_open_page_follows_its_run_from_the_order_to_the_video(
    at_work: AtWork, tab: Page
) -> None:
    tab.goto(f"{at_work.url}/cosmos/run/{at_work.run_id}")
    tab.get_by_text("There is no video yet").wait_for()
    tab.get_by_text("it has not been started").wait_for()
    assert tab.locator(".run-head a[href='/cosmos/queue']").count() == 1
    at_work.thread.start()
    tab.locator(".run-head progress[value]").wait_for(timeout=LONG_S * 1000)
    tab.locator(".badge.is-running").wait_for()
    at_work.let_go()
    tab.locator(".run-head .badge.is-completed").wait_for(timeout=LONG_S * 1000)
    tab.locator(f"[data-player][data-sources*='/cosmos/video/{at_work.run_id}.mp4']").wait_for()
    left = tab.locator(".run-head progress, .run-head a[href='/cosmos/queue']")
    until(lambda: left.count() == 0, "a head without progress")


def test_a_failed_run_says_why_with_its_evidence_and_what_to_do(staged: Project) -> None:
    run = add_run(staged, "paint")
    execute_runs([run.id], catalog=staged.catalog, settings=staged.settings, backend=staged.backend)
    with CosmosAPI(settings=staged.settings) as api, review_page(api) as url:
        text = web.get(f"{url}/cosmos/run/{run.id}").text
    assert "run-box is-failed" in text
    assert "painted red" in text
    assert f"cosmos logs {run.id}" in text
    assert 'href="#L' in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_what_is_made_of_a_run_appears_in_its_story(gallery: Gallery, tab: Page) -> None:
    run_id = gallery.videos["rain", "soft"]
    tab.goto(f"{gallery.url}/cosmos/run/{run_id}")
    tab.get_by_role("heading", name="Story").wait_for()
    larger = gallery.api.create_upscale(run_id)["id"]
    tab.locator(f"#run-story a[href='/cosmos/run/{larger}']").wait_for()
    gallery.api.rate(run_id, 4)
    tab.get_by_role("img", name="Rated 4 of 5").first.wait_for()
    assert tab.locator("[data-run]").evaluate_all("all => all.map(e => e.dataset.run)") == [run_id]


def test_an_enhance_run_shows_both_texts_and_a_narrow_screen_is_enough(
    gallery: Gallery, tab: Page
) -> None:
    tab.set_viewport_size({"width": 400, "height": 800})
    for run_id in (gallery.enhanced, gallery.larger):
        tab.goto(f"{gallery.url}/cosmos/run/{run_id}#log")
        tab.locator(".log-row").first.wait_for()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    tab.goto(f"{gallery.url}/cosmos/run/{gallery.enhanced}")
    old, new = tab.locator(".run-texts blockquote").all_text_contents()
    assert (old, new != old) == ("A quiet city street at noon, clear sky", True)


def test_a_run_of_a_large_order_tells_of_some_of_the_others_and_counts_the_rest(
    gallery: Gallery,
) -> None:
    run = gallery.api.catalog.get_run(gallery.videos["noon", "soft"])
    copy_run(gallery.api.catalog, run, 150, request_key=None)
    page = page_of(gallery, run.id)
    told = gallery.api.story(run.id)
    assert (len(told["mates"]), len(told["mate_ids"])) == (100, 153)
    assert "and 53 more" in page
    assert len(page) < 150_000
