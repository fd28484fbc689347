from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cosmos_pipelines.errors import DiskFull, InputError
from cosmos_pipelines.media.demo_scene import DEPTH_UNIT_M, render, render_demo
from cosmos_pipelines.media.prepare import prepare_scene
from tests.media import renders


def hashes(directory: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in directory.iterdir()}


def test_any_number_of_workers_renders_the_same_bits(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for workers in (1, 2):
        render_demo(
            tmp_path / str(workers), frames=4, width=96, height=64, workers=workers,
            progress=lambda i, n: told.append((i, n)),
        )  # fmt: skip
    assert hashes(tmp_path / "1") == hashes(tmp_path / "2")
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2


def test_the_demo_can_be_prepared_and_its_segments_are_exact(tmp_path: Path) -> None:
    said = render_demo(tmp_path / "r", frames=3, width=128, height=72, workers=1)
    assert said["frames"] == 3
    made = prepare_scene(tmp_path / "r", tmp_path / "demo")
    assert list(made["passes"]) == ["color", "depth", "segmentation"]
    assert made["passes"]["segmentation"]["max_error"] == 0
    assert made["passes"]["depth"]["depth"]["background_value"] == 65535


def test_depth_is_metric_and_the_sky_is_background() -> None:
    colour, depth, segments = render(0, 160, 88)
    assert (colour.shape, depth.dtype, segments.shape) == ((88, 160, 3), np.uint16, (88, 160, 3))
    sky = (segments == 0).all(axis=2)
    assert sky.any()
    assert (depth[sky] == 65535).all()
    assert (depth[~sky] < 65535).all()
    # the camera is 2.9 m above the ground: what is seen lowest is metres, not tens of metres away
    assert 2 < depth[-1].astype(float).mean() * DEPTH_UNIT_M < 15
    assert depth[:, 80][~sky[:, 80]].min() >= 1000


def test_segments_are_flat_and_many_and_things_move() -> None:
    first, last = render(0, 160, 88), render(40, 160, 88)
    colours = np.unique(first[2].reshape(-1, 3), axis=0)
    assert 8 <= len(colours) <= 30
    for a, b in zip(first, last, strict=True):
        assert (a != b).mean() > 0.1
    assert first[0].std() > 30  # light and shade, not a flat picture


def test_a_shorter_rendering_removes_the_later_frames_of_a_longer_one(tmp_path: Path) -> None:
    for frames in (3, 2):
        render_demo(tmp_path, frames=frames, width=32, height=24, workers=1)
    (tmp_path / "notes.txt").touch()
    assert len(list(tmp_path.glob("*.png"))) == 6
    with Image.open(tmp_path / "depth.0002.png") as picture:
        assert np.asarray(picture).dtype == np.uint16


def test_impossible_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be rendered"):
        render_demo(tmp_path, frames=0)


def test_a_full_disk_is_one_line(small_disk: Path) -> None:
    (small_disk / "other").write_bytes(bytes((8 << 20) - 20_000))
    with pytest.raises(DiskFull, match="No room left for"):
        render_demo(small_disk / "demo", frames=8, width=160, height=96, workers=2)
    assert not list((small_disk / "demo").glob("*.part"))


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    said = renders.as_nobody("demo_scene.render_demo(path / 'demo')", tmp_path / "closed")
    assert "demo cannot be written: Permission denied" in said


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from cosmos_pipelines.media.demo_scene import render_demo\n"
        f"render_demo(Path({str(tmp_path / 'demo')!r}), frames=2, width=32, height=24, workers=2)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs `if __name__ == '__main__':`, or workers=1." in done.stderr
