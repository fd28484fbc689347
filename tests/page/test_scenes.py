"""Scenes on the page: passes, what is of an older render, what was not taken, preparation."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from cosmos_pipelines.api import CosmosAPI, Record
from cosmos_pipelines.page.call_form import fields_of
from tests.page.conftest import Gallery
from tests.support.project import write_video
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page


def rendered_again(gallery: Gallery) -> None:
    """The scene's colour pass is another."""
    scene = Path(gallery.api.get_scene("street")["path"])
    write_video(scene / "color.mp4", seed=99, frames=12, width=160, height=96)


def ordered(gallery: Gallery) -> list[str]:
    """The runs that wait."""
    return [run["id"] for run in gallery.api.list_runs(status="pending", limit=None)]


def test_an_argument_of_the_preparation_is_a_field_of_its_form() -> None:
    fields = {field["name"]: field for field in fields_of(CosmosAPI.prepare_scene)}
    assert list(fields)[:2] == ["directory", "name"]
    assert fields["depth_holes"]["choices"] == ["far", "near", "none"]
    assert fields["directory"]["required"]
    assert fields["step"]["kind"] == "whole"
    assert "progress" not in fields
    assert all(field["sentence"] for field in fields.values())


def test_a_pass_that_cannot_be_read_leaves_the_others_on_the_screen(
    gallery: Gallery, tab: Page
) -> None:
    scene = Path(gallery.api.get_scene("street")["path"])
    (scene / "depth.mp4").write_bytes(b"<script>no video</script>")
    tab.goto(f"{gallery.url}/cosmos/scene-page/street")
    passes = tab.locator(".pass-grid li")
    assert passes.count() == 3
    passes.filter(has_text="depth").locator(".no-picture").get_by_text("depth.mp4").wait_for()
    color = passes.filter(has_text="color").locator("img")
    until(lambda: color.evaluate("image => image.naturalWidth") == 160, "the picture of colour")
    assert tab.get_by_text("160×96, 12 frames at 24").count() == 3
    tab.get_by_text("changed since", exact=True).wait_for()


def test_a_picture_of_a_pass_is_made_once_and_again_when_the_pass_has_changed(
    gallery: Gallery,
) -> None:
    first = gallery.api.picture_of_pass("street", "depth")
    assert first is not None
    stamp = first.stat().st_mtime_ns
    assert gallery.api.picture_of_pass("street", "depth") == first
    assert first.stat().st_mtime_ns == stamp
    rendered_again(gallery)
    gallery.api.create_prompt("A street in fog", "street")  # measures the scene again
    color = gallery.api.picture_of_pass("street", "color")
    assert color is not None
    assert sorted(p.name.split("-")[0] for p in color.parent.iterdir()) == ["color", "depth"]
    assert gallery.api.picture_of_pass("street", "vis") is None


def test_videos_of_an_older_render_are_made_again_with_one_button_and_once(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/scene-page/street")
    tab.locator("#older:not(.htmx-request)").wait_for(state="attached")
    assert tab.get_by_text("older render").count() == 0
    rendered_again(gallery)
    tab.reload()
    tab.get_by_text("4 videos of an older render").wait_for()
    tab.get_by_text("color of street was rendered again since.").first.wait_for()
    with tab.context.new_page() as other:
        other.goto(tab.url)
        button = other.get_by_role("button", name="Make the 4 again")
        button.wait_for()
        tab.get_by_role("button", name="Make the 4 again").click()
        tab.get_by_text("4 queued.").wait_for()
        other.get_by_text("All of them have been asked for again.").wait_for()  # pushed
    assert len(ordered(gallery)) == 4
    tab.goto(f"{gallery.url}/cosmos/scenes")
    tab.get_by_role("link", name="4 videos").wait_for()


def test_two_people_who_ask_at_the_same_moment_order_each_video_once(gallery: Gallery) -> None:
    rendered_again(gallery)
    ids = list(gallery.videos.values())
    both = threading.Barrier(2)

    def ask() -> list[Record]:
        both.wait()
        return gallery.api.make_older_again("street", ids)

    with ThreadPoolExecutor(2) as pool:
        first, second = (asked.result() for asked in [pool.submit(ask), pool.submit(ask)])
    made = {run["id"] for run in (*first, *second)}
    assert len(made) == len(ordered(gallery)) == 4
    assert gallery.api.make_older_again("street", ids) == []
    cancelled = gallery.api.kill(first[0]["id"] if first else second[0]["id"])[0]
    (again,) = gallery.api.make_older_again("street", ids)
    assert again["id"] not in made
    assert again["execution_config"] == cancelled["execution_config"]


def test_a_directory_is_prepared_from_the_page_and_a_refusal_is_one_line(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    source = tmp_path / "renders" / "bridge"
    shutil.copytree(gallery.api.get_scene("street")["path"], source)
    tab.goto(f"{gallery.url}/cosmos/scenes")
    tab.keyboard.press("n")
    tab.get_by_label("Directory").fill(str(source))
    tab.get_by_label("Description").fill("<b>A bridge</b>")
    tab.get_by_role("button", name="Prepare", exact=True).click()
    tab.get_by_role("link", name="bridge is a scene.").click()
    tab.get_by_role("heading", name="bridge").wait_for()
    assert gallery.api.get_scene("bridge")["description"] == "<b>A bridge</b>"
    tab.get_by_text("<b>A bridge</b>").wait_for()
    tab.goto(f"{gallery.url}/cosmos/scenes?prepare=/nowhere/at%20all")
    tab.get_by_role("button", name="Prepare", exact=True).click()
    refusal = tab.locator(".job .refusal", has_text="/nowhere/at all")
    refusal.wait_for()
    assert "\n" not in refusal.inner_text().strip()


def test_scenes_come_in_pages_with_the_numbers_of_their_prompts_and_videos(
    gallery: Gallery,
) -> None:
    catalog = gallery.api.catalog
    for number in range(70):
        catalog.put_scene(f"town/shot {number:02}", f"inputs/videos/town/{number}", "d", {})
    first = httpx.get(f"{gallery.url}/cosmos/scenes").text
    assert "4 videos" in first
    assert "3 prompts" in first  # one is enhanced
    assert "/cosmos/scenes?after=town/shot%2058" in first
    rest = httpx.get(f"{gallery.url}/cosmos/scenes", params={"after": "town/shot 58"}).text
    assert rest.count("scene-card") == 11
    assert httpx.get(f"{gallery.url}/cosmos/scene-page/town/shot 03").status_code == 200
    assert httpx.get(f"{gallery.url}/cosmos/scene-page/town/none").status_code == 404
