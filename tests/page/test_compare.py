"""Compare: two to nine videos show the same frame, in every mode, and the address is the state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import InputError, UnknownId
from cosmos_pipelines.page.site import version
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.numbered import READ, numbered_video
from tests.support.project import make_project
from tests.support.review_page import review_page
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRAMES = 24
PASSES = ("color", "depth", "segmentation")
NINE = [f"scene:{scene}/{name}" for scene in ("one", "two", "shots/three") for name in PASSES]
SHADE = {name: 25 * i for i, name in enumerate(NINE)}
IT = "document.querySelector('#compare').comparison"


@dataclass(frozen=True)
class Scenes:
    """Nine passes with numbered frames, each of another grey; `fast` has 30 frames a second."""

    api: CosmosAPI
    url: str


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    project = make_project(tmp_path_factory.mktemp("compare") / "films")
    inputs = project.settings.inputs
    for name, shade in SHADE.items():
        path = inputs / f"{name.removeprefix('scene:')}.mp4"
        numbered_video(path, frames=FRAMES, shade=shade, width=160, height=96)
    for name in PASSES:
        numbered_video(inputs / "fast" / f"{name}.mp4", frames=20, fps=30)
    with CosmosAPI(settings=project.settings) as api:
        for key in ("one", "two", "shots/three", "fast"):
            api.create_prompt("A count", inputs / key)
        with review_page(api) as url:
            yield Scenes(api, url)
    project.catalog.close()


def address(url: str, *names: str, **query: Any) -> str:
    return f"{url}/cosmos/compare?" + str(httpx.QueryParams({"v": list(names), **query}))


def shown(tab: Page) -> int | None:
    """The frame that is shown; None while the page is loaded."""
    return tab.evaluate("document.querySelector('#compare')?.comparison?.show.shown ?? null")


def opened(tab: Page, url: str, *names: str, **query: Any) -> None:
    """Open a comparison and wait until it shows the frame of its address."""
    tab.goto(address(url, *names, **query))
    frame = query.get("frame", 0)
    until(lambda: shown(tab) == frame and tab.evaluate(f"{IT}.show.complete"), f"frame {frame}")


def query(tab: Page) -> str:
    return tab.evaluate("location.search.slice(1)")


def numbers(tab: Page) -> list[int]:
    """The numbers that the visible tiles show."""
    return tab.evaluate(
        f"""() => {{
          const read = {READ};
          const {{tiles, views}} = {IT};
          const visible = views.filter((_, i) => tiles[i].classList.contains("is-shown"));
          return visible.map((view) => read(view.canvas, view.placed));
        }}"""
    )


def pixel(tab: Page, x: float, y: float = 0.75) -> int:
    """The grey of the stage at a share of the picture's width and height."""
    return tab.evaluate(
        f"""([x, y]) => {{
          const {{canvas, placed}} = {IT}.stage.view;
          const at = [placed.x + x * placed.width, placed.y + y * placed.height];
          return canvas.getContext("2d").getImageData(...at, 1, 1).data[1];
        }}""",
        [x, y],
    )


def near(value: float) -> Any:
    return pytest.approx(value, abs=4)


def test_nine_videos_show_the_same_frame_at_every_step(scenes: Scenes, tab: Page) -> None:
    opened(tab, scenes.url, *NINE)
    assert numbers(tab) == [0] * 9
    for key, frame in ((".", 1), (".", 2), ("End", 23), (".", 0), (",", 23), (",", 22)):
        tab.keyboard.press(key)
        until(lambda frame=frame: shown(tab) == frame, f"frame {frame}")
        assert numbers(tab) == [frame] * 9
    tab.keyboard.press("l")
    until(lambda: shown(tab) not in (22, 23), "that it plays")
    tab.keyboard.press("k")
    until(lambda: shown(tab) == tab.evaluate(f"{IT}.clock.frame"), "that it stands")
    assert numbers(tab) == [shown(tab)] * 9


def test_other_rates_and_lengths_are_lined_up_by_time_and_said(scenes: Scenes, tab: Page) -> None:
    opened(tab, scenes.url, "scene:one/color", "scene:fast/color", frame=15)
    assert numbers(tab) == [12, 15]
    tab.keyboard.press("End")
    until(lambda: shown(tab) == 29, "the last frame")  # 24 frames of 24 a second last one second
    assert numbers(tab) == [23, 19]
    marks = tab.locator(".tile-mark").all_inner_texts()
    assert marks == ["frame 23", "ended at frame 19"]
    said = tab.locator("#lined-up").inner_text()
    assert "24 and 30 frames a second: lined up by time" in said
    assert "20 and 24 frames" in said


def test_the_wipe_shows_a_before_its_line_and_b_behind_it(scenes: Scenes, tab: Page) -> None:
    a, b = NINE[2], NINE[8]
    opened(tab, scenes.url, a, b, mode="wipe", wipe="0.3")
    assert (pixel(tab, 0.2), pixel(tab, 0.4)) == (near(SHADE[a]), near(SHADE[b]))
    for _ in range(2):
        tab.locator("#wipe").press("Shift+ArrowRight")
    assert (pixel(tab, 0.4), pixel(tab, 0.6)) == (near(SHADE[a]), near(SHADE[b]))
    tab.locator("#angle").select_option("90")
    assert (pixel(tab, 0.1, 0.9), pixel(tab, 0.9, 0.9)) == (near(SHADE[b]), near(SHADE[b]))
    line = tab.locator("#wipe").bounding_box()
    stage = tab.locator("#stage canvas").bounding_box()
    assert line and stage
    middle = stage["x"] + stage["width"] / 2
    tab.mouse.move(middle, line["y"] + line["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(middle, stage["y"] + stage["height"] * 0.95)
    tab.mouse.up()
    assert pixel(tab, 0.1, 0.85) == near(SHADE[a])
    until(lambda: "angle=90" in query(tab) and "wipe=0.9" in query(tab), "the address")


@pytest.mark.parametrize("way", ["webgl", "canvas"])
def test_the_difference_is_a_minus_b_times_the_gain(scenes: Scenes, tab: Page, way: str) -> None:
    opened(tab, scenes.url, NINE[1], NINE[3], mode="difference", gain=1)
    tab.evaluate(
        f"""async ([path, way]) => {{
          const {{Difference}} = await import(path);
          {IT}.stage.difference = new Difference(way);
          {IT}.set({{}});
        }}""",
        [f"/cosmos/static/{version()}/js/compare_difference.js", way],
    )
    assert tab.evaluate(f"{IT}.stage.difference.by") == way
    assert pixel(tab, 0.5) == near(50)
    assert pixel(tab, 0.05, 0.25) <= 4  # both are black or white there
    for gain, grey in ((3, 150), (4, 200), (16, 255)):
        tab.evaluate(f"{IT}.set({{gain: {gain}}})")
        assert pixel(tab, 0.5) == pytest.approx(grey, abs=4 * gain)


def test_the_a_b_toggle_never_shows_an_empty_picture(scenes: Scenes, tab: Page) -> None:
    opened(tab, scenes.url, NINE[4], NINE[8], frame=7)
    greys = []
    for key in ("b", "b", "b", ".", "b", "m", "M", "b"):
        tab.keyboard.press(key)
        if tab.evaluate(f"{IT}.onStage"):
            greys.append(pixel(tab, 0.5))
    a, b = SHADE[NINE[4]], SHADE[NINE[8]]
    assert all(grey in (near(a), near(b)) for grey in greys)
    assert greys[:3] == [near(b), near(a), near(b)]


def test_a_comparison_is_a_link(scenes: Scenes, tab: Page) -> None:
    state = {
        "mode": "toggle",
        "a": 2,
        "b": 7,
        "shown": "b",
        "frame": 9,
        "zoom": 2,
        "x": 0.3,
        "y": 0.6,
    }
    opened(tab, scenes.url, *NINE, **state, gain=3, wipe=0.25, angle=45)
    for key in (".", "i", ".", ".", "o", ","):
        tab.keyboard.press(key)
    wanted = ("in=10", "out=12", "frame=11")
    until(lambda: all(word in query(tab) for word in wanted), "the address")
    kept = httpx.QueryParams(query(tab))
    assert {key: kept[key] for key in state if key != "frame"} == {
        key: str(value) for key, value in state.items() if key != "frame"
    }
    assert (kept["gain"], kept["wipe"], kept["angle"]) == ("3", "0.25", "45")
    assert kept.get_list("v") == NINE
    tab.reload()
    until(lambda: shown(tab) == 11, "the same frame")
    assert tab.evaluate(f"{IT}.clock.range") == [10, 12]
    assert pixel(tab, 0.5) == near(SHADE[NINE[7]])
    for key in ("\\", ",", ","):
        tab.keyboard.press(key)
    until(lambda: shown(tab) == 9, "the first frame again")
    assert tab.evaluate(f"{IT}.stage.view.placed.width") == 320


def test_at_100_percent_a_pixel_is_a_pixel_and_all_pictures_move_together(
    scenes: Scenes, tab: Page
) -> None:
    opened(tab, scenes.url, *NINE[:2], mode="side")
    tab.keyboard.press("z")
    sizes = f"{IT}.views.slice(0, 2).map(({{placed: p}}) => [p.x, p.y, p.width, p.height])"
    until(lambda: tab.evaluate(sizes)[0][2:] == [160, 96], "100 %")
    for _ in range(12):
        tab.keyboard.press("+")
    until(lambda: tab.evaluate(sizes)[0][2] > 1500, "that it is enlarged")
    canvas = tab.locator(".tile.is-shown canvas").first.bounding_box()
    assert canvas
    before = tab.evaluate(sizes)
    tab.mouse.move(canvas["x"] + 300, canvas["y"] + 200)
    tab.mouse.down()
    tab.mouse.move(canvas["x"] + 250, canvas["y"] + 180)
    tab.mouse.up()
    until(lambda: tab.evaluate(sizes) != before, "that both are moved")
    first, second = tab.evaluate(sizes)
    assert first == second
    assert first[0] == pytest.approx(before[0][0] - 50, abs=2)


def test_without_webcodecs_videos_show_the_same_frame_and_the_page_says_how(
    scenes: Scenes, tab: Page
) -> None:
    tab.add_init_script("delete window.VideoDecoder")
    opened(tab, scenes.url, *NINE[:3], frame=9)
    for key, frame in ((".", 10), (",", 9), ("End", 23)):
        tab.keyboard.press(key)
        until(lambda frame=frame: shown(tab) == frame, f"frame {frame}")
        assert numbers(tab) == [frame] * 3
    tab.locator("#inexact", has_text="WebCodecs needs HTTPS").wait_for()


def test_a_video_is_added_and_taken_out_by_links_that_keep_the_view(
    scenes: Scenes, tab: Page
) -> None:
    opened(tab, scenes.url, *NINE[:3], mode="side", frame=5)
    tab.locator(".tile-remove").nth(1).click()
    until(lambda: shown(tab) == 5, "the same frame")
    kept = httpx.QueryParams(query(tab))
    assert (kept.get_list("v"), kept.get("mode", "side")) == ([NINE[0], NINE[2]], "side")
    tab.locator(".offered summary").click()
    tab.get_by_role("link", name="one · depth").click()
    until(lambda: tab.locator(".tile").count() == 3 and shown(tab) == 5, "a third video")


def test_a_run_whose_file_was_deleted_is_said_in_its_tile_and_the_others_go_on(
    gallery: Gallery, tab: Page
) -> None:
    names = list(gallery.videos.values())
    tab.goto(address(gallery.url, *names, gallery.enhanced, "rs_nope"))
    path = gallery.api.file_of_run(names[1], "video")
    assert path
    path.unlink()
    tab.reload()
    until(lambda: shown(tab) == 0, "a frame of the others")
    said = tab.locator(".tile .player-trouble")
    bad = [False, True, False, False, True, True]
    until(lambda: [bool(text) for text in said.all_inner_texts()] == bad, "three troubles")
    troubles = said.all_inner_texts()
    assert "is gone" in troubles[1] and "made a prompt" in troubles[4]
    assert "There is no run" in troubles[5]
    tab.locator(".tile").nth(1).locator(".player-poster").wait_for()
    tab.keyboard.press(".")
    until(lambda: shown(tab) == 1, "a step")


def test_a_file_that_goes_while_it_is_watched_or_cannot_be_decoded_is_said(
    gallery: Gallery, tab: Page
) -> None:
    names = list(gallery.videos.values())[:3]
    paths = [gallery.api.file_of_run(name, "video") for name in names]
    assert paths[0] and paths[1]
    numbered_video(paths[0], codec="libx265", frames=4)
    tab.route(
        f"**/video/{names[1]}.mp4",
        lambda route: (paths[1].unlink(missing_ok=True), route.continue_()),
    )
    tab.goto(address(gallery.url, *names, mode="wipe"))
    texts = "[...document.querySelectorAll('.tile .player-trouble')].map((one) => one.textContent)"
    until(lambda: all(tab.evaluate(texts)[:2]), "why both are not shown")
    assert "cannot decode" in tab.evaluate(texts)[0]
    assert "is gone" in tab.evaluate(texts)[1]
    tab.keyboard.press("]")
    until(lambda: shown(tab) >= 0, "the third one")


def test_only_settings_that_differ_are_listed_and_keys_act_on_the_marked_run(
    gallery: Gallery, tab: Page
) -> None:
    a, b = gallery.videos["noon", "soft"], gallery.videos["noon", "hard"]
    opened(tab, gallery.url, a, b, mode="toggle")
    rows = tab.locator(".differences tbody th").all_inner_texts()
    assert {"recipe", "weights", "seed"} == set(rows)
    current = "document.querySelector('[data-run][aria-current=true]').dataset.run"
    assert tab.evaluate(current) == a
    tab.keyboard.press("b")
    assert tab.evaluate(current) == b
    found = gallery.api.comparison([a, gallery.larger])
    assert {row["name"] for row in found["differences"]} >= {"operation", "num_steps"}
    assert all(len(row["values"]) == 2 for row in found["differences"])


@pytest.mark.parametrize(
    ("count", "said"), [(0, "none is chosen"), (1, "one is chosen"), (10, "the first 9 are shown")]
)
def test_too_few_and_too_many_videos_are_said(scenes: Scenes, count: int, said: str) -> None:
    names = [*NINE, "scene:fast/color"][:count]
    answer = web.get(address(scenes.url, *names))
    assert answer.status_code == 200
    assert said in " ".join(answer.text.split())
    assert answer.text.count('class="tile"') == min(count, 9)


def test_a_pass_is_served_in_ranges_and_only_as_it_was_measured(
    scenes: Scenes, tmp_path: Path
) -> None:
    url = f"{scenes.url}/cosmos/scene/shots/three/depth.mp4"
    part = web.get(url, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    for wrong in (
        "shots/three/edge",
        "nope/color",
        "color",
        "shots/three/%2e%2e/three/depth",
        "x/%00",
    ):
        assert web.get(f"{scenes.url}/cosmos/scene/{wrong}.mp4").status_code == 404
    with pytest.raises(UnknownId, match="edge"):
        scenes.api.video_of_pass("one/edge")
    path = scenes.api.video_of_pass("one/segmentation")
    assert path
    kept = path.rename(tmp_path / "kept")
    path.symlink_to("/etc/hostname")
    try:
        assert scenes.api.video_of_pass("one/segmentation") is None
        (found,) = scenes.api.comparison(["scene:one/segmentation"])["videos"]
        assert "cannot be shown" in found["trouble"]
    finally:
        path.unlink()
        kept.rename(path)


def test_hostile_names_are_text(scenes: Scenes, tab: Page) -> None:
    name = "scene:<img src=x onerror=alert(1)>'\"/x"
    tab.goto(address(scenes.url, name, NINE[0], "../../etc/passwd"))
    until(lambda: shown(tab) == 0, "the good one")
    assert tab.locator(".tile img[src=x]").count() == 0
    with pytest.raises(InputError, match="too long"):
        scenes.api.comparison(["x" * 3000])
