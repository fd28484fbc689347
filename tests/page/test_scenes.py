"""Scenes on the page: passes, what is of an older render, depths, segments."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cosmos_pipelines.api import Record
from tests.media import renders
from tests.media.test_blender import BLENDER
from tests.page.conftest import Gallery
from tests.support import web
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


def test_a_pass_that_cannot_be_read_leaves_the_others_on_the_screen(
    gallery: Gallery, tab: Page
) -> None:
    scene = Path(gallery.api.get_scene("street")["path"])
    (scene / "depth.mp4").write_bytes(b"<script>no video</script>")
    tab.goto(f"{gallery.url}/cosmos/scene-page/street")
    passes = tab.locator(".pass-grid li")
    until(lambda: passes.count() == 3, "the passes")
    passes.filter(has_text="depth").locator(".no-picture").get_by_text("depth.mp4").wait_for()
    color = passes.filter(has_text="color").locator("img")
    until(lambda: color.evaluate("image => image.naturalWidth") == 160, "the picture of colour")
    until(lambda: tab.get_by_text("160×96, 12 frames at 24").count() == 3, "their facts")
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
        with tab.expect_response(lambda answer: answer.request.method == "POST") as answered:
            tab.get_by_role("button", name="Make the 4 again").click()
        assert "4 queued." in answered.value.text()  # the push may replace it at once
        tab.get_by_text("All of them have been asked for again.").wait_for()
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


def test_the_depths_of_a_scene_are_a_picture_that_can_be_read_without_seeing(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    shapes = renders.render(tmp_path / "renders", frames=2)
    gallery.api.prepare_scene(shapes, name="shapes", near=1200, far=1600)
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        tab.goto(f"{gallery.url}/cosmos/scene-page/shapes")
        picture = tab.locator(".pass-grid li", has_text="depth").get_by_role(
            "img", name="How many pixels lie at which depth: white (near) is 1200, black (far) is"
        )
        assert picture.locator(".depth-bar").count() > 30
        assert picture.locator(".depth-bar.is-cut").count() > 5
        assert picture.locator(".depth-mark").count() == 2
        said = picture.get_attribute("aria-label")
        assert said is not None
        assert "8.33 % of all pixels hit nothing" in said
        seen = picture.locator(".depth-bar").first.evaluate("bar => getComputedStyle(bar).fill")
        ground = picture.evaluate("svg => getComputedStyle(svg).backgroundColor")
        assert seen != ground
    tab.get_by_text("near 1200", exact=True).wait_for()
    tab.goto(f"{gallery.url}/cosmos/scene-page/street")  # its depth is a video: nothing was counted
    tab.get_by_role("heading", name="street").wait_for()
    assert tab.locator(".depth-figure").count() == 0


def test_a_multilayer_render_of_blender_shows_its_passes_depths_and_segments(
    gallery: Gallery, tab: Page
) -> None:
    gallery.api.prepare_scene(BLENDER / "exr", name="blender")
    tab.goto(f"{gallery.url}/cosmos/scene-page/blender")
    tab.get_by_role("heading", name="blender").wait_for()
    for name in ("color", "depth", "segmentation"):
        tab.get_by_role("img", name=f"A frame of the {name} pass").wait_for()
    tab.get_by_role("img", name="How many pixels lie at which depth").wait_for()
    names = tab.locator(".segments tbody th").all_inner_texts()
    assert set(names) >= {"Floor", "Red Cube", "Ball", "Ring"}
    color = tab.locator(".pass-grid li", has_text="color")
    color.get_by_text("taken for Linear Rec.709 (sRGB), since its attribute").wait_for()
    depth = tab.locator(".pass-grid li", has_text="depth")
    depth.get_by_text("7.3 % of its pixels are 1e10, which stands for nothing hit").wait_for()
    tab.get_by_text("no rate was given: 24 frames a second").wait_for()
    tab.get_by_text("shot.####.exr (ViewLayer.Object Index)").wait_for()  # ignored


def test_the_segments_of_a_scene_are_listed_with_their_colours_and_found_by_name(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    def ids(i: int, width: int = 64, height: int = 48) -> renders.Array:
        picture = np.zeros((height, width), np.uint16)
        picture[:, : width // 2] = 300
        picture[0, 32:52] = np.arange(1, 21) + i
        return picture

    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour, range(2))
    renders.sequence(tmp_path / "r", "segmentation.%04d.png", ids, range(2))
    made = gallery.api.prepare_scene(tmp_path / "r", name="parts")
    scene = gallery.api.look_at_scene("parts")
    assert scene["legend"] == made["passes"]["segmentation"]["legend"]
    assert gallery.api.show("parts")["legend"] == scene["legend"]
    assert [one["name"] for one in scene["legend"][:2]] == ["300", "0"]
    assert scene["legend"][0]["area"] == 0.5
    tab.goto(f"{gallery.url}/cosmos/scene-page/parts")
    rows = tab.locator(".segments tbody tr")
    assert rows.count() == 23
    first = rows.first
    assert "50.0 %" in first.inner_text()
    assert first.locator("rect").get_attribute("fill") == scene["legend"][0]["color"]
    painted = first.locator("rect").evaluate("box => getComputedStyle(box).fill")
    wanted = ", ".join(str(c) for c in bytes.fromhex(scene["legend"][0]["color"][1:]))
    assert painted == f"rgb({wanted})"
    tab.get_by_label("Only segments with these words").fill("300")
    assert [row.inner_text().split()[0] for row in rows.all() if row.is_visible()] == ["300"]
    tab.goto(f"{gallery.url}/cosmos/scene-page/street")
    assert tab.locator(".segments").count() == 0


def test_scenes_come_in_pages_with_the_numbers_of_their_prompts_and_videos(
    gallery: Gallery,
) -> None:
    catalog = gallery.api.catalog
    for number in range(70):
        catalog.put_scene(f"town/shot {number:02}", f"inputs/videos/town/{number}", "d", {})
    first = web.get(f"{gallery.url}/cosmos/scenes").text
    assert "4 videos" in first
    assert "3 prompts" in first  # one is enhanced
    assert "/cosmos/scenes?after=town/shot%2058" in first
    rest = web.get(f"{gallery.url}/cosmos/scenes", params={"after": "town/shot 58"}).text
    assert rest.count("scene-card") == 11
    assert web.get(f"{gallery.url}/cosmos/scene-page/town/shot 03").status_code == 200
    assert web.get(f"{gallery.url}/cosmos/scene-page/town/none").status_code == 404
