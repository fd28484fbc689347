"""How fast the screen "Compare" shows, steps, plays and subtracts videos, in real Chromium.

    python benchmarks/bench_page_compare.py [--frames 121] [--width 1280] [--height 704]

The videos have one key frame and B-frames, as NVIDIA's writer makes them. One JSON object a line:
name, value, unit, and what a plain <video> element needs for the same (`against`, `ratio`): a step
by `currentTime` until the new frame is presented; a wall that plays by itself.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from statistics import quantiles
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.api import CosmosAPI
from tests.support.browser import WORDS
from tests.support.project import make_project
from tests.support.review_page import review_page
from tests.support.waiting import until

PASSES = ("color", "depth", "segmentation", "edge")
IT = "document.querySelector('#compare').comparison"
SECONDS = 5.0
"""How long a wall is played."""

FIRST = """
async () => {
  while (!document.querySelector("#compare")?.comparison?.show.complete) {
    await new Promise(requestAnimationFrame);
  }
  return performance.timeOrigin + performance.now() - Number(sessionStorage.clicked);
}
"""
STEPS = f"""
async ({{from, by, count}}) => {{
  const {{clock, show}} = {IT};
  const shown = async () => {{
    while (show.shown !== clock.frame) await new Promise(requestAnimationFrame);
  }};
  clock.seek(from);
  await shown();
  const times = [];
  for (let k = 0; k < count; k += 1) {{
    const begin = performance.now();
    clock.step(by);
    await shown();
    times.push(performance.now() - begin);
  }}
  return times;
}}
"""
ELEMENT_STEPS = """
async ({url, from, by, count, fps}) => {
  const video = Object.assign(document.createElement("video"), {src: url, muted: true});
  document.body.append(video);
  await new Promise((done) => { video.onloadeddata = done; });
  const go = (n) => new Promise((done) => {
    video.requestVideoFrameCallback(done);
    video.currentTime = (n + 0.5) / fps;
  });
  await go(from);
  const times = [];
  for (let k = 1; k <= count; k += 1) {
    const begin = performance.now();
    await go(from + k * by);
    times.push(performance.now() - begin);
  }
  video.remove();
  return times;
}
"""
PLAY = f"""
async (seconds) => {{
  const {{clock, show}} = {IT};
  const frames = [];
  show.dropped = 0;
  const draw = show.draw;
  show.draw = (frame, reels) => {{ draw(frame, reels); frames.push(frame); }};
  clock.play();
  const begin = performance.now();
  await new Promise((done) => setTimeout(done, 1000 * seconds));
  const took = (performance.now() - begin) / 1000;
  clock.pause();
  show.draw = draw;
  return {{shown: new Set(frames).size, drawn: frames.length / took, dropped: show.dropped}};
}}
"""
ELEMENTS_PLAY = """
async ({urls, seconds}) => {
  const box = document.createElement("div");
  const grid = {display: "grid", gridTemplateColumns: "1fr 1fr"};
  Object.assign(box.style, {position: "fixed", inset: 0, zIndex: 9, ...grid});
  document.body.append(box);
  const facts = {muted: true, loop: true};
  const video = (src) => Object.assign(document.createElement("video"), {src, ...facts});
  const videos = urls.map(video);
  box.append(...videos);
  const ready = (video) => new Promise((done) => { video.oncanplaythrough = done; });
  await Promise.all(videos.map(ready));
  await Promise.all(videos.map((video) => video.play()));
  await new Promise((done) => setTimeout(done, 1000 * seconds));
  const told = videos.map((video) => video.getVideoPlaybackQuality().droppedVideoFrames);
  box.remove();
  return told.reduce((a, b) => a + b, 0);
}
"""
DIFFERENCE = f"""
async (count) => {{
  const {{clock, show, stage}} = {IT};
  const begin = performance.now();
  for (let k = 0; k < count; k += 1) {{
    clock.step(1);
    while (show.shown !== clock.frame) await new Promise(requestAnimationFrame);
  }}
  return {{fps: (1000 * count) / (performance.now() - begin), by: stage.difference.by}};
}}
"""


def main() -> None:
    """Make four videos, open the page, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=704)
    a = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="bench_compare_") as name:
        project = make_project(Path(name) / "films")
        for seed, one in enumerate(PASSES):
            path = project.settings.inputs / "street" / f"{one}.mp4"
            long_gop(path, a.frames, a.width, a.height, seed)
        with (
            CosmosAPI(settings=project.settings) as api,
            review_page(api) as url,
            sync_playwright() as playwright,
        ):
            api.create_prompt("A street", project.settings.inputs / "street")
            browser = playwright.chromium.launch(executable_path=chromium, args=list(WORDS))
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            measure(page, url, a.frames)
            browser.close()
        project.catalog.close()


def long_gop(path: Path, frames: int, width: int, height: int, seed: int) -> None:
    """Moving gradients and grain, as imageio-ffmpeg encodes them: keyint 250, three B-frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    grain = np.random.default_rng(seed).normal(0, 3, (height, width + 64)).astype(np.float32)
    with av.open(str(path), "w") as out:
        options = {"crf": "20", "g": "250", "sc_threshold": "0", "preset": "faster"}
        stream = out.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            luma = 120 + 80 * np.sin((x + 3 * i + 90 * seed) / 60) * np.cos(y / 45)
            luma += 40 * (((x + 3 * i) // 64 + y // 64) % 2) + grain[:, i % 64 : i % 64 + width]
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            planes[:height] = np.clip(luma, 16, 235)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def opened(page: Any, url: str, names: tuple[str, ...], **query: object) -> None:
    """Open a comparison and wait for its first frame."""
    words = [f"v=scene:street/{name}" for name in names]
    words += [f"{key}={value}" for key, value in query.items()]
    page.goto(f"{url}/cosmos/compare?{'&'.join(words)}")
    until(lambda: page.evaluate(f"{IT}.show.complete"), "all videos")


def settled(page: Any) -> None:
    """Wait until the decoders have filled their rings."""
    counts = f"{IT}.reels.map((reel) => reel.decoded).join()"
    before = page.evaluate(counts)
    while True:
        page.wait_for_timeout(400)
        now = page.evaluate(counts)
        if now == before:
            return
        before = now


def measure(page: Any, url: str, frames: int) -> None:
    """All lines."""
    pair, last = PASSES[:2], frames - 1
    for warmth in ("cold", "warm"):
        times = [first_frame(page, url) for _ in range(1 if warmth == "cold" else 5)]
        tell(f"compare_first_frame_after_click_{warmth}", sorted(times)[len(times) // 2], "ms")
    count = min(60, frames - 2)
    src = f"{url}/cosmos/scene/street/color.mp4"
    element = {"url": src, "count": count, "fps": 24}
    for name, start, by in (("forward", 0, 1), ("backward", last, -1)):
        opened(page, url, pair, mode="side", frame=start)
        fresh = page.evaluate(STEPS, {"from": start, "by": by, "count": count})
        settled(page)
        kept = page.evaluate(STEPS, {"from": start, "by": by, "count": count})
        plain = page.evaluate(ELEMENT_STEPS, {**element, "from": start, "by": by})
        for what, times in (("just_opened", fresh), ("ring_filled", kept)):
            tell_times(f"compare_step_{name}_{what}", times, plain)
    opened(page, url, pair[:1], mode="side", frame=last)
    page.evaluate(f"{IT}.show.see = async () => {{}}")
    page.evaluate(f"{IT}.reels[0].allow(40 * 1280 * 704 * 1.5)")
    times = page.evaluate(STEPS, {"from": last, "by": -1, "count": count})
    plain = page.evaluate(ELEMENT_STEPS, {**element, "from": last, "by": -1})
    tell_times("compare_step_backward_ring_of_40", times, plain)
    opened(page, url, PASSES, mode="wall")
    cold = page.evaluate(PLAY, SECONDS)
    settled(page)
    kept = page.evaluate(PLAY, SECONDS)
    urls = [f"{url}/cosmos/scene/street/{name}.mp4" for name in PASSES]
    plain = page.evaluate(ELEMENTS_PLAY, {"urls": urls, "seconds": SECONDS})
    for what, found in (("just_opened", cold), ("ring_filled", kept)):
        line = {"fps": round(found["drawn"], 1), "elements_dropped_of_all_four": plain}
        tell(f"compare_wall_of_4_dropped_in_5_s_{what}", found["dropped"], "frames", **line)
    for gain in (1, 16):
        opened(page, url, pair, mode="difference", gain=gain)
        settled(page)
        found = page.evaluate(DIFFERENCE, 60)
        tell(f"compare_difference_gain_{gain}", found["fps"], "fps", by=found["by"])


def first_frame(page: Any, url: str) -> float:
    """Milliseconds from a click on a link to the first frame of two videos."""
    page.goto(f"{url}/cosmos/new")
    page.evaluate(
        """(href) => {
          const link = document.createElement("a");
          Object.assign(link, {href, textContent: "go", id: "go"});
          link.addEventListener("click", () => {
            sessionStorage.clicked = performance.timeOrigin + performance.now();
          });
          document.querySelector("main").append(link);
        }""",
        "/cosmos/compare?v=scene:street/color&v=scene:street/depth",
    )
    with page.expect_navigation(url=re.compile("/compare"), wait_until="commit"):
        page.click("#go", no_wait_after=True)
    return float(page.evaluate(FIRST))


def tell_times(name: str, times: list[float], plain: list[float]) -> None:
    """The middle and the 95th of 100 steps, each with that of the <video> element."""
    for what, at in (("p50", 49), ("p95", 94)):
        value, against = (quantiles(one, n=100)[at] for one in (times, plain))
        tell(
            f"{name}_{what}",
            value,
            "ms",
            against=round(against, 1),
            ratio=round(value / against, 2),
        )


def tell(name: str, value: float, unit: str, **more: object) -> None:
    """One JSON line."""
    print(json.dumps({"name": name, "value": round(value, 1), "unit": unit, **more}), flush=True)


if __name__ == "__main__":
    main()
