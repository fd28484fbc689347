"""Recipes on the page: made, changed, renamed, deleted, brought back, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosmos_pipelines.operations import Transfer
from tests.page.conftest import Gallery
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = "<img src=x onerror='window.hacked=1'>"


def test_a_recipe_is_made_changed_and_says_what_a_replacement_loses(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/recipes")
    assert tab.locator("[data-setting]").count() == len(Transfer.model_fields)
    tab.fill("#name", "dusk")
    tab.fill("#set-num_steps", "900")
    tab.locator("#set-num_steps-problem", has_text="100").wait_for()
    tab.fill("#set-num_steps", "20")
    tab.fill("#set-weights [data-part=edge]", "0.5")
    tab.click("#save")
    tab.wait_for_url("**/recipes?recipe=dusk")
    tab.fill("#set-num_steps", "25")
    tab.locator("#changes", has_text="Num steps: 20 becomes 25").wait_for()
    tab.locator("#save", has_text="Replace dusk").wait_for()
    tab.click("#save")
    until(lambda: recipe(gallery, "dusk")["num_steps"] == 25, "the recipe")
    assert recipe(gallery, "dusk") == {"num_steps": 25, "weights": {"edge": 0.5}}


def recipe(gallery: Gallery, name: str) -> dict[str, object]:
    return {one["name"]: one["config"] for one in gallery.api.list_recipes()}[name]  # type: ignore[no-any-return]


def test_what_the_engine_refuses_is_said_before_it_is_saved(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/recipes")
    tab.fill("#name", "short")
    tab.fill("#set-max_frames", "12")
    tab.locator("#notes", has_text="does not use: max_frames").wait_for()
    tab.select_option("#engine", "cosmos_transfer1")
    tab.locator("#set-max_frames-problem", has_text="Cosmos-Transfer1 does not have it").wait_for()
    tab.click("#save")
    tab.locator("#set-max_frames-problem", has_text="does not have it").wait_for()
    assert "short" not in [one["name"] for one in gallery.api.list_recipes()]


def test_a_recipe_is_renamed_deleted_and_brought_back_and_runs_keep_its_name(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/recipes")
    tab.get_by_role("button", name="Rename soft").click()
    tab.fill("#new-name", "hard")
    tab.click("#rename button.main")
    tab.locator("#rename-problem", has_text="already").wait_for()
    tab.fill("#new-name", "softer")
    tab.click("#rename button.main")
    tab.wait_for_url("**/recipes?recipe=softer")
    tab.get_by_role("button", name="Delete softer").click()
    tab.locator(".toast", has_text="softer was deleted").wait_for()
    assert [one["name"] for one in gallery.api.list_recipes()] == ["hard"]
    tab.click(".toast >> text=Undo")
    until(lambda: len(gallery.api.list_recipes()) == 2, "the recipe")
    assert recipe(gallery, "softer") == {"weights": {"depth": 1.0}}
    assert gallery.api.get_run(gallery.videos["noon", "soft"])["recipe"] == "soft"


def test_a_way_back_stays_as_long_as_the_pointer_is_on_it(gallery: Gallery, tab: Page) -> None:
    tab.clock.install()
    tab.goto(f"{gallery.url}/cosmos/recipes")
    tab.get_by_role("button", name="Delete soft").click()
    toast = tab.locator(".toast", has_text="soft was deleted")
    toast.hover()
    tab.clock.run_for(60_000)
    assert toast.is_visible()
    tab.mouse.move(0, 0)
    tab.clock.run_for(60_000)
    toast.wait_for(state="detached")


def test_compared_recipes_show_only_what_differs_and_their_names_are_text(
    gallery: Gallery, tab: Page
) -> None:
    gallery.api.create_recipe(SCRIPT, seed=7, blur_strength="low")
    tab.goto(f"{gallery.url}/cosmos/recipes")
    tab.get_by_role("checkbox", name="Compare hard").check()
    tab.get_by_role("checkbox", name=f"Compare {SCRIPT}").check()
    rows = tab.locator("#compared tbody th")
    until(
        lambda: rows.all_inner_texts() == ["Weights", "Blur strength"], "the settings that differ"
    )
    assert tab.locator("main img").count() == 0
    assert tab.evaluate("window.hacked") is None
