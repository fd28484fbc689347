"""The order form: picked, told live, queued once, undone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import Transfer
from cosmos_pipelines.page.groups import grouped, seeds_of
from tests.media import renders
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = "<img src=x onerror='window.hacked=1'>"


def waiting(gallery: Gallery) -> list[dict[str, Any]]:
    return gallery.api.list_runs(status="pending", limit=None)


def post(tab: Page, path: str, data: dict[str, Any]) -> Any:
    """What a script of the page is answered."""
    return tab.evaluate(
        """async ([path, data]) => {
            const { ask } = await import(document.querySelector('script[src$="app.js"]').src
                .replace("app.js", "ask.js"));
            return ask(path, data);
        }""",
        [f"/cosmos/{path}", data],
    )


def test_a_sweep_is_picked_told_live_queued_under_a_name_and_undone(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/new?recipe=soft")
    tab.fill("#prompt-words", "neon")
    tab.locator("#prompts-found li:only-child", has_text="neon").get_by_role("checkbox").check()
    tab.check("[name=recipe][value=hard]")
    tab.fill("#seeds", "1-2, 9")
    tab.locator("#queue", has_text="Queue 6 runs").wait_for()
    tab.locator("#plan", has_text="6 runs in 1 load of a model").wait_for()
    tab.fill("#batch_name", "Night test")
    tab.click("#queue")
    tab.locator("#queued", has_text="6 runs queued.").wait_for()
    runs = waiting(gallery)
    cells = {(run["recipe"], run["execution_config"]["seed"]) for run in runs}
    assert cells == {(recipe, seed) for recipe in ("soft", "hard") for seed in (1, 2, 9)}
    assert all(run["tags"] == ["batch:night test"] and run["queued_at"] for run in runs)
    wall = tab.locator("#queued a", has_text="wall").get_attribute("href")
    assert wall == "/cosmos/?batch=night+test"
    tab.locator("#queued", has_text="cosmos ui").wait_for()  # here is no daemon, which is said
    tab.click("text=Undo")
    tab.locator("#queued", has_text="6 cancelled.").wait_for()
    assert waiting(gallery) == []


def test_the_4k_of_each_video_is_told_and_queued_behind_it_once(
    gallery: Gallery, tab: Page
) -> None:
    prompt = gallery.prompts["rain"]
    tab.goto(f"{gallery.url}/cosmos/new?prompt={prompt}&recipe=soft&seeds=51-52")
    tab.locator("#queue", has_text="Queue 2 runs").wait_for()
    tab.get_by_label("Also the 4K of each video").check()
    tab.locator("#queue", has_text="Queue 4 runs").wait_for()
    assert "4 runs (2 videos and their 4K) in 2 loads" in tab.inner_text("#plan .total")
    assert "then its 4K: PREVIEW" in tab.locator(".cells .cell").first.inner_text()
    tab.reload()  # the choice is in the address
    tab.locator("#queue:enabled", has_text="Queue 4 runs").click()
    tab.locator("#queued", has_text="4 runs queued.").wait_for()
    tab.reload()
    tab.locator("#queue:enabled", has_text="Queue 4 runs").click()
    tab.locator("#queued", has_text="before: 4 pending").wait_for()
    runs = waiting(gallery)
    videos = {run["id"] for run in runs if run["model_type"] == "transfer"}
    assert {run["parent_run_id"] for run in runs if run["model_type"] == "upscale"} == videos
    assert (len(videos), len(runs)) == (2, 4)
    tab.click("text=Undo")
    tab.locator("#queued", has_text="4 cancelled.").wait_for()


def test_a_video_whose_4k_is_refused_is_refused_with_the_reason(gallery: Gallery) -> None:
    prompt = gallery.prompts["noon"]
    file = gallery.api.settings.home / "cosmos.toml"
    file.write_text('[execution]\nupscale_engine = "cosmos3"\n')
    with CosmosAPI(gallery.api.settings.home) as api:
        plan = api.plan_order([prompt], upscale=True)
        assert (plan["runs"], plan["refused"], plan["loads"]) == (0, 1, [])
        assert plan["cells"][0]["refusal"].startswith("Its 4K is refused: ")
        assert api.plan_order([prompt])["runs"] == 1


def test_an_order_is_queued_once_by_clicks_a_reload_a_way_back_and_a_copied_tab(
    gallery: Gallery, tab: Page
) -> None:
    prompt = gallery.prompts["rain"]
    tab.goto(f"{gallery.url}/cosmos/new?prompt={prompt}&recipe=soft&seeds=41")
    tab.locator("#queue", has_text="Queue 1 run").wait_for()
    tab.evaluate("() => { const b = document.querySelector('#queue'); b.click(); b.click(); }")
    tab.locator("#queued", has_text="1 run queued.").wait_for()
    key = tab.evaluate("history.state['key-order']")
    tab.reload()
    tab.locator("#queue:enabled", has_text="Queue 1 run").click()
    tab.locator("#queued", has_text="Nothing new was queued").wait_for()
    tab.goto(f"{gallery.url}/cosmos/prompts")
    tab.go_back()
    tab.locator("#queue:enabled", has_text="Queue 1 run").click()
    tab.locator("#queued", has_text="Queued with this order before: 1 pending").wait_for()
    assert tab.evaluate("history.state['key-order']") == key
    assert len(waiting(gallery)) == 1
    tab.click("text=Order the same again")
    tab.locator("#queue:enabled", has_text="Queue 1 run").click()
    tab.locator("#queued", has_text="1 run queued.").wait_for()
    assert len(waiting(gallery)) == 2


def test_two_requests_with_one_key_at_once_order_once(gallery: Gallery) -> None:
    def queue(_: int) -> dict[str, Any]:
        return gallery.api.queue_order(
            list(gallery.prompts.values()), key="k" * 16, recipes=["soft"], seeds=range(10)
        )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(queue, range(8)))
    assert len(waiting(gallery)) == 20
    assert sorted(answer["new"] for answer in answers) == [0] * 7 + [20]
    assert len({tuple(answer["runs"]) for answer in answers}) == 1


def test_a_refused_cell_says_why_and_does_not_stop_the_others(gallery: Gallery, tab: Page) -> None:
    gallery.api.create_recipe("wrong", engine="cosmos3", sigma_max=3)
    prompt = gallery.prompts["noon"]
    tab.goto(f"{gallery.url}/cosmos/new?prompt={prompt}&recipe=soft&recipe=wrong&seeds=5")
    tab.locator("#queue", has_text="Queue 1 of 2 runs").wait_for()
    refused = tab.locator(".cell.is-refused")
    refused.get_by_text("Cosmos 3 has no sigma_max").wait_for()
    assert refused.count() == 1
    tab.click("#queue")
    tab.locator("#queued", has_text="1 run queued.").wait_for()
    assert [run["recipe"] for run in waiting(gallery)] == ["soft"]


def test_what_became_impossible_since_the_plan_queues_nothing(gallery: Gallery, tab: Page) -> None:
    prompt = gallery.prompts["noon"]
    tab.goto(f"{gallery.url}/cosmos/new?prompt={prompt}&recipe=soft&recipe=hard")
    tab.locator("#queue", has_text="Queue 2 runs").wait_for()
    gallery.api.delete_recipe("hard")
    tab.click("#queue")
    tab.locator("#order-problem", has_text="nothing was queued").wait_for()
    assert waiting(gallery) == []


def test_a_refused_value_is_said_beside_its_field_and_kept(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/new?prompt={gallery.prompts['noon']}")
    tab.locator("summary", has_text="Sampling").click()
    tab.fill("#set-num_steps", "many")
    tab.fill("#seeds", "4-1")
    tab.locator("#set-num_steps-problem", has_text="valid integer").wait_for()
    tab.locator("#seeds-problem", has_text="ends before it begins").wait_for()
    tab.locator("#queue:disabled").wait_for()
    tab.reload()
    assert tab.input_value("#set-num_steps") == "many"
    tab.select_option("#engine", "cosmos_transfer1")
    tab.locator("[data-setting=max_frames].is-refused").wait_for(state="attached")


def test_a_run_again_with_changes_fills_the_form(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/new?run={gallery.larger}")
    tab.locator("#queue", has_text="Queue 1 run").wait_for()
    assert tab.input_value("#set-weights [data-part=depth]") == "1"
    assert tab.input_value("#seeds") == "1"
    tab.fill("#seeds", "2")
    tab.locator("#queue:enabled", has_text="Queue 1 run").click()
    tab.locator("#queued", has_text="1 run queued.").wait_for()
    (run,) = waiting(gallery)
    old = gallery.api.get_run(gallery.videos["noon", "soft"])
    assert run["execution_config"] == {**old["execution_config"], "seed": 2}
    tab.goto(f"{gallery.url}/cosmos/new?run=rs_nothing")
    tab.locator(".refusal", has_text="There is no run").wait_for()


def test_a_scene_leads_to_its_own_prompts_and_to_a_new_one(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    gallery.api.prepare_scene(renders.render(tmp_path / "r", frames=2), name="bridge")
    tab.goto(f"{gallery.url}/cosmos/scene-page/street")
    tab.get_by_role("link", name="Order", exact=True).last.click()
    assert tab.get_by_label("Scene", exact=True).input_value() == "street"
    tab.locator("#prompts-found li").first.wait_for()
    tab.goto(f"{gallery.url}/cosmos/new?scene=bridge")
    tab.get_by_text("bridge has no prompt yet.").wait_for()
    assert tab.locator("#prompts-found li").count() == 0
    tab.get_by_role("link", name="Write one").click()
    chosen = tab.get_by_role("radio", name="bridge")
    until(chosen.is_checked, "the scene of the new prompt")
    tab.goto(f"{gallery.url}/cosmos/scene-page/bridge")
    tab.get_by_role("link", name="New prompt").click()
    until(chosen.is_checked, "the scene of the new prompt")


def test_names_of_prompts_and_recipes_are_text(gallery: Gallery, tab: Page) -> None:
    gallery.api.create_recipe(SCRIPT, engine="cosmos3", sigma_max=3)
    prompt = gallery.api.create_prompt(SCRIPT, "street", name=SCRIPT)["id"]
    query = httpx.QueryParams([("prompt", prompt), ("recipe", SCRIPT), ("recipe", "soft")])
    tab.goto(f"{gallery.url}/cosmos/new?{query}")
    tab.locator("#queue", has_text="Queue 1 of 2 runs").wait_for()
    tab.click("#queue")
    tab.locator("#queued", has_text="1 run queued.").wait_for()
    assert tab.locator("main img").count() == 0
    assert tab.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    "data",
    [{"prompts": "ps_1"}, {"filled": [1]}, {"seeds": [3]}, {"prompts": [1]}, {"engine": "nothing"}],
)
def test_a_request_of_another_form_is_refused_in_words(
    gallery: Gallery, tab: Page, data: dict[str, Any]
) -> None:
    tab.goto(f"{gallery.url}/cosmos/new")
    for path in ("order/plan", "order"):
        answer = post(tab, path, {"prompts": [gallery.prompts["noon"]], "key": "k" * 8, **data})
        body = answer.get("body", {})
        assert answer.get("error") or body.get("refused") or body.get("problems"), answer
    assert waiting(gallery) == []


def test_recipes_and_defaults_are_written_as_people_say_them(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/new")
    recipe = tab.locator("#pick-recipes li", has_text="soft")
    recipe.get_by_text("weights depth 1.0").wait_for()
    tab.locator("#set-use_distilled option", has_text="default (no)").wait_for(state="attached")


def test_every_field_of_a_transfer_stands_in_the_form_with_its_sentence(gallery: Gallery) -> None:
    text = web.get(f"{gallery.url}/cosmos/new").text
    for name, field in Transfer.model_fields.items():
        if name == "seed":  # the list of seeds takes its place
            continue
        assert f'data-setting="{name}"' in text
        assert str(field.description).split("'")[0] in text
    new = {"name": "brand_new", "kind": "whole"}
    assert grouped([*gallery.api.fields_of("transfer"), new])[-1][1][-1] == new


def test_seeds_are_numbers_and_ranges() -> None:
    assert seeds_of(" 1-4, 9 ,3; 7 ") == [1, 2, 3, 4, 9, 7]
    assert seeds_of("") == []
    for wrong in ("x", "4-1", "-1", "1.5", "1-99999", "99999999999", "2147483648", "٣"):
        with pytest.raises(InputError):
            seeds_of(wrong)
