from __future__ import annotations

from pathlib import Path

import numpy as np

from cosmos_pipelines.media.encode import CONTROL, EXACT, encode
from cosmos_pipelines.media.segmentation import Ids, colour_error, flat_colours, id_colours
from tests.media import renders


def test_every_id_has_a_colour_of_its_own_and_0_is_black() -> None:
    colours = id_colours()
    assert len(np.unique(colours, axis=0)) == 65536
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[1:4].tolist() == [[128, 0, 0], [0, 128, 0], [128, 128, 0]]  # as PASCAL VOC has


def test_the_first_64_ids_are_far_apart() -> None:
    colours = id_colours(64).astype(int)
    apart = np.abs(colours[:, None] - colours[None]).max(axis=2)
    assert apart[~np.eye(64, dtype=bool)].min() >= 64


def test_ids_that_occur_are_remembered(tmp_path: Path) -> None:
    ids = Ids()
    for name, value in (("a.png", 3), ("b.png", 300)):
        renders.save(tmp_path / name, np.full((4, 4), value, np.uint16))
        assert np.array_equal(
            ids.read((tmp_path / name).read_bytes(), tmp_path / name)[0, 0], id_colours()[value]
        )
    assert list(ids.facts()["id_colours"]) == ["3", "300"]


def test_the_error_is_measured_on_what_a_reader_decodes(tmp_path: Path) -> None:
    frames = [renders.segments(i) for i in range(3)]
    encode(frames, tmp_path / "exact.mp4", fps=24, coding=EXACT)
    encode(frames, tmp_path / "lossy.mp4", fps=24, coding=CONTROL)
    exact = colour_error(tmp_path / "exact.mp4", frames)
    assert (exact.largest, exact.mean) == (0, 0)
    lossy = colour_error(tmp_path / "lossy.mp4", frames)
    assert lossy.largest > 50  # what chroma subsampling does to one-pixel edges
    assert lossy.mean > 1


def test_colours_are_counted() -> None:
    assert flat_colours(np.zeros((3, 3, 3), np.uint8)) == 1
    assert flat_colours(renders.segments(0)) <= 50
