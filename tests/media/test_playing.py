"""The prepared passes play in a real browser."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cosmos_pipelines.media.prepare import prepare_scene
from tests.media import renders

if TYPE_CHECKING:
    from playwright.sync_api import Page

PLAY = """async file => {
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  const told = await new Promise(resolve => {
    video.onloadeddata = () => resolve('loaded');
    video.onerror = () => resolve(video.error.message);
    video.src = file;
  });
  if (told !== 'loaded') return {told};
  const ended = new Promise(resolve => { video.onended = () => resolve(true); });
  await video.play();
  await ended;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const pixel = (x, y) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
  return {told, width: video.videoWidth, height: video.videoHeight, duration: video.duration,
          pixels: [pixel(2, 1), pixel(22, 22), pixel(52, 40)]};
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def page(tmp_path: Path, tab: Page) -> Iterator[Page]:
    """A window on the files of the test's directory."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        yield tab
        server.shutdown()


def test_color_depth_and_exact_segmentation_play_to_their_end(tmp_path: Path, page: Page) -> None:
    prepare_scene(renders.render(tmp_path / "r"), tmp_path / "city")
    for name in ("color", "depth", "segmentation"):
        found = page.evaluate(PLAY, f"city/{name}.mp4")
        assert found["told"] == "loaded", name
        assert (found["width"], found["height"]) == (64, 48)
        assert found["duration"] == pytest.approx(0.25, abs=0.05)
        if name == "segmentation":
            last = renders.segments(5).astype(int)
            want = [last[1, 2], last[22, 22], last[40, 52]]
            for got, colour in zip(found["pixels"], want, strict=True):
                assert max(abs(g - c) for g, c in zip(got, colour, strict=True)) <= 8
