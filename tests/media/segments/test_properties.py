"""What holds for segments of any pictures and any files beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.segments.colours import Colours, code_of, number_code
from cosmos_pipelines.media.segments.cryptomatte import Cryptomatte, winners
from cosmos_pipelines.media.segments.labels import read_labels
from cosmos_pipelines.media.segments.legend import Legend, number_naming
from cosmos_pipelines.media.segments.manifest import names_in
from cosmos_pipelines.media.segments.snap import places_in

FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["#ff0000", "(1, 2, 3)", "(0, 0, 0, 255)", "3", "class", "name", "id"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.text(max_size=8) | st.sampled_from(["(1,2,3)", "3", "class", "labels", "#010203"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@FEW
@given(st.data())
def test_each_pixel_has_the_id_that_covers_most_of_it(data: st.DataObject) -> None:
    ids = data.draw(arrays(np.uint32, (3, 4, 6), elements=st.integers(0, 4), unique=False))
    parts = data.draw(arrays(np.uint16, (3, 4, 6), elements=st.integers(0, 1000)))
    empty = data.draw(arrays(np.uint16, (3, 4), elements=st.integers(1, 1000)))
    share = (parts / (parts.sum(2) + empty)[..., None]).astype(np.float32)
    won = winners(ids, share)
    for y in range(3):
        for x in range(4):
            cover = np.where(ids[y, x] == 0, 0, share[y, x])
            most, nothing = cover.max(), 1 - cover.sum()
            assert won[y, x] in ids[y, x][cover == most] or won[y, x] == 0
            if abs(most - nothing) > 1e-5:
                assert (won[y, x] == 0) == (most < nothing or most == 0)


@FEW
@given(
    arrays(np.uint8, (5, 6, 3), elements=st.integers(0, 255)),
    st.sets(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
)
def test_snapping_keeps_to_the_legend_and_changes_nothing_twice(
    noise: Array, colours: set[Any], seed: int
) -> None:
    legend = np.array(sorted(colours), np.uint8)
    flat = legend[np.random.default_rng(seed).integers(0, len(legend), (5, 6))]
    picture = np.where((noise[..., :1] < 80), noise, flat)
    places, mixed = places_in(picture, legend)
    made = legend[places]
    exact = np.array([[tuple(p) in colours for p in row] for row in picture.tolist()])
    assert mixed == (~exact).sum()
    assert np.array_equal(made[exact], picture[exact])
    again, none = places_in(made, legend)
    assert (none, again.tolist()) == (0, places.tolist())


@FEW
@given(st.lists(st.text(max_size=12), unique=True, max_size=15))
def test_names_have_colours_of_their_own_whatever_else_is_there(names: list[str]) -> None:
    colours = Colours(number_code)
    codes = {name: colours.code(name) for name in names}
    named = [n for n in names if n.lower() != "background"]
    assert len({codes[n] for n in named}) == len(named)
    for name in named:
        if number_code(name) is None:
            assert codes[name] == code_of(name) != 0


@FEW
@given(st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 99), min_size=1), min_size=1))
def test_areas_of_a_legend_sum_to_1(pictures: list[dict[int, int]]) -> None:
    legend = Legend(Colours(number_code))
    for i, counts in enumerate([*pictures, *pictures]):
        legend.codes(Path(str(i % len(pictures))), counts, number_naming)
    entries = legend.entries()
    assert sum(e["area"] for e in entries) == pytest.approx(1)
    assert max(e["frames"] for e in entries) <= len(pictures)
    assert len({e["color"] for e in entries}) == len(entries)
    assert legend.left_out() == 0


@FEW
@given(JSON)
def test_files_of_labels_are_read_or_refused_in_one_line(tmp_path: Path, value: Any) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(value))
    try:
        labels = read_labels(file)
    except MediaError as e:
        assert "\n" not in str(e)
        assert len(str(e)) < 1000
    else:
        assert all(0 <= one < 2**32 for one in labels.ids)
        assert all(len(colour) in (3, 4) for colour in labels.colours)
        assert all(isinstance(n, str) for n in (*labels.ids.values(), *labels.colours.values()))


@FEW
@given(JSON | st.dictionaries(st.text(max_size=9), st.text("0123456789abcdefxyz", max_size=9)))
def test_manifests_are_read_or_refused_in_one_line(value: Any) -> None:
    try:
        names, _ = names_in(Path("a.exr"), Cryptomatte("crypto", (), manifest=json.dumps(value)))
    except MediaError as e:
        assert "\n" not in str(e)
        assert len(str(e)) < 1000
    else:
        assert all(0 <= one < 2**32 and isinstance(name, str) for one, name in names.items())


def test_a_legend_of_many_long_names_stays_small() -> None:
    legend = Legend(Colours(number_code))
    names = {i: f"{i} " + "я" * 2000 for i in range(6000)}
    legend.codes(Path("a"), {i: i + 1 for i in names}, lambda one: (names[one], ""))
    entries = legend.entries()
    assert len(json.dumps(entries)) < 2 << 20
    assert entries[0]["name"].startswith("5999 ")
    assert len(entries) + legend.left_out() == 6000
