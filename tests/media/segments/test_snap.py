from __future__ import annotations

import numpy as np
import pytest

from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.segments.colours import Colours, code_of, counted, number_code, painted
from cosmos_pipelines.media.segments.snap import places_in


def antialiased(seed: int) -> tuple[Array, Array, Array]:
    """A picture of some segments with soft edges, the sharp one, and the legend."""
    chance = np.random.default_rng(seed)
    legend = np.unique(chance.integers(0, 256, (6, 3), dtype=np.uint8), axis=0)
    y, x = np.mgrid[0:120, 0:160]
    points = chance.random((len(legend), 2)) * (120, 160)
    away = [(y - p[0]) ** 2 + (x - p[1]) ** 2 for p in points]
    large = legend[np.argmin(away, axis=0)]
    soft = large.reshape(30, 4, 40, 4, 3).mean(axis=(1, 3))
    return np.rint(soft).astype(np.uint8), large[::4, ::4], legend


@pytest.mark.parametrize("seed", range(6))
def test_snapping_gives_colours_of_the_legend_alone_and_changes_nothing_twice(seed: int) -> None:
    picture, sharp, legend = antialiased(seed)
    places, mixed = places_in(picture, legend)
    made = legend[places]
    known = {tuple(c) for c in legend.tolist()}
    was = np.array([[tuple(c) in known for c in row] for row in picture.tolist()])
    assert mixed == (~was).sum() > 0
    assert np.array_equal(made[was], picture[was])
    again, none = places_in(made, legend)
    assert none == 0
    assert np.array_equal(again, places)
    assert (made == sharp).all(2).mean() > 0.95


def test_a_mixture_is_never_a_third_segment_that_is_not_beside_it() -> None:
    legend = np.array([[255, 0, 0], [0, 0, 255], [126, 2, 126]], np.uint8)
    picture = np.full((9, 20, 3), (255, 0, 0), np.uint8)
    picture[:, 10:] = (0, 0, 255)
    picture[:, 9] = (130, 0, 125)
    picture[4, 18] = (126, 2, 126)
    places, mixed = places_in(picture, legend)
    assert mixed == 9
    assert (places == 2).sum() == 1
    assert (places[:, 9] == 0).all()


def test_what_has_no_colour_of_the_legend_near_it_becomes_the_nearest_of_all() -> None:
    legend = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    picture = np.full((20, 20, 3), (40, 0, 200), np.uint8)
    picture[0, 0] = (255, 0, 0)
    assert places_in(picture, legend)[0][10, 10] == 1


def test_no_two_names_have_one_colour_and_a_name_always_has_the_same() -> None:
    names = [f"object {i}" for i in range(3000)]
    colours = Colours(number_code)
    codes = [colours.code(name) for name in names]
    assert len(set(codes)) == len(names)
    assert sum(code == code_of(name) for code, name in zip(codes, names, strict=True)) >= 2998
    assert all(max(code.to_bytes(3)) >= 96 for code in codes)
    twice = Colours(lambda name: 0xFF0000)
    assert twice.code("a") == 0xFF0000
    assert twice.code("b") == code_of("b")
    assert (twice.code("background"), code_of("BACKGROUND")) == (code_of("background"), 0)


def test_pixels_are_counted_and_painted_by_their_ids() -> None:
    ids = np.random.default_rng(1).integers(0, 2**32, 5, dtype=np.uint32)
    picture = np.repeat(ids[np.random.default_rng(2).integers(0, 5, (7, 9))], 3, axis=1)
    counts = counted(picture)
    assert counts == {int(i): int((picture == i).sum()) for i in np.unique(picture)}
    codes = {one: 0x010203 * (n + 1) for n, one in enumerate(counts)}
    want = np.array([[list(codes[v].to_bytes(3)) for v in row] for row in picture.tolist()])
    assert np.array_equal(painted(picture, codes), want)
