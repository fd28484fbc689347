"""The player: every step shows exactly that frame, in every way that a browser can decode."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.page.site import version
from tests.support.browser import window
from tests.support.numbered import STEPS, numbered_video
from tests.support.project import make_project
from tests.support.review_page import review_page
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

JS = f"/cosmos/static/{version()}/js/player"
FRAMES = 30
MOUNT = """
async ([sources, js]) => {
  const href = js.replace("js/player", "css/player.css");
  const sheet = Object.assign(document.createElement("link"), {rel: "stylesheet", href});
  document.head.append(sheet);
  await new Promise((done) => { sheet.onload = done; });
  const player = document.createElement("div");
  player.id = "it";
  player.dataset.player = "";
  player.dataset.sources = sources;
  document.querySelector("#main").append(player);
  (await import(`${js}/mount.js`)).mount();
}
"""
SHOWN = "document.querySelector('#it').player.show.shown"
TROUBLE = "document.querySelector('#it .player-trouble').textContent"
NO_WEBCODECS = "delete window.VideoDecoder"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a project with a scene whose passes have numbered frames."""
    project = make_project(tmp_path_factory.mktemp("player") / "films")
    for shade, name in enumerate(("color", "depth", "segmentation")):
        path = project.settings.inputs / "count" / f"{name}.mp4"
        numbered_video(path, frames=FRAMES, shade=60 * shade)
    with CosmosAPI(settings=project.settings) as api:
        api.create_prompt("A count", project.settings.inputs / "count")
        with review_page(api) as found:
            yield found
    project.catalog.close()


def source(name: str, **other: Any) -> dict[str, Any]:
    return {"name": name, "label": name, "url": f"/cosmos/scene/count/{name}.mp4", **other}


def mount(tab: Page, url: str, *sources: dict[str, Any]) -> None:
    """Open a page and mount one player in it."""
    tab.goto(f"{url}/cosmos/new")
    tab.evaluate(MOUNT, [json.dumps(sources), JS])
    until(
        lambda: tab.evaluate(SHOWN) >= 0 or tab.evaluate(TROUBLE), "a frame, or why there is none"
    )


def steps(tab: Page, made: list[list[Any]]) -> list[list[int]]:
    """Make steps; of each the frame that is due, and the one that is seen."""
    return tab.evaluate(STEPS, {"player": "#it", "steps": made})


EVERY_WAY = [
    *(["step", 1] for _ in range(FRAMES + 3)),  # over the end: a loop
    *(["step", -1] for _ in range(FRAMES + 3)),
    *(["seek", n] for n in random.Random(1).choices(range(FRAMES), k=8)),
    ["seek", FRAMES - 1],
    ["seek", 10_000],
    ["step", -10],
    ["seek", 0],
]


def test_every_step_of_a_long_gop_shows_exactly_that_frame(url: str, tab: Page) -> None:
    mount(tab, url, source("color", fps="24", frames=FRAMES))
    seen = steps(tab, EVERY_WAY)
    assert [frame for frame, _ in seen] == [number for _, number in seen]
    assert [frame for frame, _ in seen[FRAMES - 2 : FRAMES + 1]] == [FRAMES - 1, 0, 1]
    assert seen[-4][0] == FRAMES - 1


def test_steps_are_exact_when_few_frames_fit_into_memory(url: str, tab: Page) -> None:
    mount(tab, url, source("color"))
    tab.evaluate("document.querySelector('#it').player.source.allow(0)")
    seen = steps(tab, EVERY_WAY[::2] + EVERY_WAY[-14:])
    assert [frame for frame, _ in seen] == [number for _, number in seen]
    assert tab.evaluate("document.querySelector('#it').player.source.kept") <= 9


HURRY = """
async (frames) => {
  const {clock, show} = document.querySelector("#it").player;
  for (const frame of frames) {
    clock.seek(frame);
    await new Promise((done) => setTimeout(done, frame % 7));
  }
}
"""


@pytest.mark.parametrize("room", [0, 1e9])
def test_after_hasty_jumps_the_last_one_is_shown(url: str, tab: Page, room: int) -> None:
    mount(tab, url, source("color"))
    for seed in range(4):
        tab.evaluate(f"document.querySelector('#it').player.source.allow({room})")
        jumps = random.Random(seed).choices(range(FRAMES), k=12)
        tab.evaluate(HURRY, jumps)
        until(lambda jumps=jumps: tab.evaluate(SHOWN) == jumps[-1], f"frame {jumps[-1]}")
        assert steps(tab, [["seek", jumps[-1]]]) == [[jumps[-1]] * 2]


def test_without_webcodecs_steps_are_exact_and_the_page_says_how_it_shows_them(
    url: str, tab: Page
) -> None:
    tab.add_init_script(NO_WEBCODECS)
    mount(tab, url, source("color", fps="24", frames=FRAMES))
    made = [["step", 1], ["step", 1], ["step", -1], ["seek", 30], ["seek", FRAMES - 1], ["seek", 0]]
    seen = steps(tab, made)
    assert [frame for frame, _ in seen] == [number for _, number in seen]
    tab.locator("#it .player-note", has_text="WebCodecs needs HTTPS").wait_for()
    tab.keyboard.press("l")
    until(lambda: tab.evaluate(SHOWN) > 5, "that it plays")


def test_keys_step_play_and_switch_the_source_at_the_same_frame(url: str, tab: Page) -> None:
    mount(tab, url, source("color"), source("depth"))
    for key, frame in ((".", 1), (".", 2), (",", 1), (">", 25), ("<", 1), ("End", 29), ("Home", 0)):
        tab.keyboard.press(key)
        until(lambda frame=frame: tab.evaluate(SHOWN) == frame, f"frame {frame} after {key}")
    tab.evaluate(
        "document.body.addEventListener('player:frame', (e) => { window.last = e.detail })"
    )
    tab.keyboard.press(".")
    tab.keyboard.press("]")
    until(lambda: tab.evaluate("window.last?.source") == "depth", "the depth pass")
    assert tab.evaluate("window.last") == {"frame": 1, "source": "depth"}
    tab.locator("#it [aria-pressed=true]", has_text="depth").wait_for()
    tab.keyboard.press(" ")
    until(lambda: tab.evaluate(SHOWN) > 4, "that it plays")
    tab.keyboard.press("k")
    button = tab.get_by_label("Play or pause (Space)")
    until(lambda: button.inner_text() == "Play", "that it stands")


def test_in_and_out_points_are_looped(url: str, tab: Page) -> None:
    mount(tab, url, source("color"))
    for key in ("Home", ">", "i", ".", ".", ".", "o", "l"):
        tab.keyboard.press(key)
    tab.evaluate(
        "window.seen = []; document.querySelector('#it')"
        ".addEventListener('player:frame', (e) => window.seen.push(e.detail.frame))"
    )
    until(lambda: tab.evaluate("window.seen.filter((f) => f === 24).length") >= 3, "three rounds")
    assert set(tab.evaluate("window.seen.slice(1)")) <= {24, 25, 26, 27}


def test_at_100_percent_a_pixel_is_one_of_a_high_density_screen(url: str, browser: Browser) -> None:
    shape = {"device_scale_factor": 2, "viewport": {"width": 900, "height": 700}}
    with window(browser, **shape) as tab:
        mount(tab, url, source("color"))
        tab.keyboard.press("z")
        placed = "document.querySelector('#it').player.view.placed"
        until(lambda: tab.evaluate(placed)["width"] == 160, "100 %")
        sizes = (
            "(({width, clientWidth}) => [width, clientWidth])(document.querySelector('#it canvas'))"
        )
        width, shown_width = tab.evaluate(sizes)
        assert width == 2 * shown_width


@pytest.mark.parametrize("script", ["", NO_WEBCODECS])
def test_a_video_that_cannot_be_decoded_is_said_with_its_poster(
    url: str, tab: Page, script: str, tmp_path: Path
) -> None:
    hevc = numbered_video(tmp_path / "hevc.mp4", codec="libx265", frames=4).read_bytes()
    if script:
        tab.add_init_script(script)
    tab.route("**/hevc.mp4", lambda route: route.fulfill(body=hevc, content_type="video/mp4"))
    poster = "/cosmos/preview/scene/count.webp"
    mount(tab, url, {**source("hevc"), "url": f"{url}/cosmos/video/hevc.mp4", "poster": poster})
    assert "cannot" in tab.evaluate(TROUBLE)
    tab.locator("#it .player-poster").wait_for()


def test_a_video_that_was_cut_off_says_how_many_frames_are_there(
    url: str, tab: Page, tmp_path: Path
) -> None:
    whole = numbered_video(tmp_path / "cut.mp4", frames=FRAMES, gop=3).read_bytes()
    part = whole[: len(whole) * 9 // 10]
    tab.route("**/cut.mp4", lambda route: route.fulfill(body=part, content_type="video/mp4"))
    mount(tab, url, {**source("cut"), "url": f"{url}/cosmos/video/cut.mp4", "frames": FRAMES})
    tab.keyboard.press("End")
    until(lambda: tab.evaluate(SHOWN) > 0, "its last frame")
    last = tab.evaluate(SHOWN)
    assert steps(tab, [["seek", last]]) == [[last, last]]
    assert tab.evaluate(TROUBLE) == f"only {last + 1} of {FRAMES} frames are there"


def test_a_video_that_is_gone_is_said_and_the_other_sources_go_on(url: str, tab: Page) -> None:
    mount(tab, url, {**source("gone"), "url": "/cosmos/video/rs_gone.mp4"}, source("color"))
    until(lambda: "is gone" in tab.evaluate(TROUBLE), "why there is none")
    tab.keyboard.press("]")
    until(lambda: tab.evaluate(SHOWN) == 0, "the other one")
    assert tab.evaluate(TROUBLE) == ""


CLOCK = """
async (js) => {
  const {Clock, commonTime, lineUp, rational, timecode} = await import(`${js}/clock.js`);
  let ms = 0;
  const clock = new Clock({frames: 1000, rate: [30000, 1001], now: () => ms});
  const found = {};
  clock.play();
  ms = 1001 * 10;
  found.ntsc = clock.frame;                       // 300 frames in 10.01 s, exactly
  clock.shuttle(1); clock.shuttle(1);
  found.fast = clock.speed;
  clock.shuttle(-1);
  found.back = clock.speed;
  ms += 1001;
  found.backwards = clock.frame;
  clock.pause();
  clock.seek(5); clock.setIn(); clock.seek(7); clock.setOut();
  clock.play();
  ms += 1034.4;
  found.looped = clock.frame;                     // 31 frames on, from the last of a loop of three
  clock.setLoop(false); clock.play();
  ms += 5000;
  found.ended = [clock.frame, clock.playing];
  found.rates = ["24", "30000/1001", 23.976, 29.97, 12.5, null, "x"].map(rational);
  const slow = {frames: 48, rate: [24, 1]}, fast = {frames: 40, rate: [30, 1]};
  const time = commonTime([slow, fast]);
  found.common = [time.frames, time.rate];
  const both = (n) => [slow, fast].map((video) => lineUp(n, time.rate, video));
  found.lines = [0, 1, 39, 40, 59].map((n) => both(n).map(({n, ended}) => [n, ended]));
  found.code = timecode(24 * 3661 + 5, [24, 1]);
  return found;
}
"""


def test_the_clock_counts_whole_frames_of_exact_rates(url: str, tab: Page) -> None:
    tab.goto(f"{url}/cosmos/new")
    found = tab.evaluate(CLOCK, JS)
    assert found["ntsc"] == 300
    assert (found["fast"], found["back"]) == (4, -1)
    assert found["backwards"] == 270
    assert found["looped"] == 5
    assert found["ended"] == [7, False]
    assert found["rates"][:5] == [
        [24, 1],
        [30000, 1001],
        [24000, 1001],
        [30000, 1001],
        [12500, 1000],
    ]
    assert found["rates"][5:] == [[24, 1], [24, 1]]
    assert found["common"] == [60, [30, 1]]
    assert found["lines"] == [
        [[0, False], [0, False]],
        [[0, False], [1, False]],
        [[31, False], [39, False]],
        [[32, False], [39, True]],
        [[47, False], [39, True]],
    ]
    assert found["code"] == "01:01:01:05"


WINDOW = """
async (js) => {
  const {wanted} = await import(`${js}/window.js`);
  const plan = (direction, playing, range, loop = true) => ({direction, playing, range, loop});
  return {
    all: wanted(3, 6, 100, plan(1, true, [0, 5])),
    few: wanted(50, 100, 9, plan(1, true, [0, 99])),
    back: wanted(50, 100, 9, plan(-1, true, [0, 99])),
    loop: wanted(11, 100, 5, plan(1, true, [10, 12])),
    stand: wanted(0, 100, 5, plan(1, false, [0, 99], false)),
  };
}
"""


def test_frames_are_kept_around_the_playhead_in_the_direction_of_play(url: str, tab: Page) -> None:
    tab.goto(f"{url}/cosmos/new")
    found = tab.evaluate(WINDOW, JS)
    assert found["all"][0] == 3 and sorted(found["all"]) == list(range(6))
    assert found["few"] == [50, 51, 52, 53, 54, 55, 56, 49, 48]
    assert found["back"] == [50, 49, 48, 47, 46, 45, 44, 51, 52]
    assert sorted(found["loop"]) == [10, 11, 12]
    assert found["stand"] == [0, 1, 2, 3, 4]
