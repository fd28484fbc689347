from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_pipelines.errors import DiskFull, MediaError
from cosmos_pipelines.media import provenance
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.encode import EXACT, encode
from cosmos_pipelines.media.probe import probe
from tests.media import renders

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_the_story_is_embedded_and_the_pixels_are_untouched(tmp_path: Path) -> None:
    before = renders.video(tmp_path / "a.mp4", picture=renders.segments, coding=EXACT)
    provenance.embed(tmp_path / "a.mp4", tmp_path / "b.mp4", {"run": "rs_1", "seed": 7})
    assert provenance.read(tmp_path / "b.mp4") == {"run": "rs_1", "seed": 7}
    assert provenance.read(tmp_path / "a.mp4") is None
    after = probe(tmp_path / "b.mp4", deep=True)
    assert after.facts() | {"size": 0} == before.facts() | {"size": 0}
    pairs = zip(pictures_of(tmp_path / "a.mp4"), pictures_of(tmp_path / "b.mp4"), strict=True)
    assert all(np.array_equal(x, y) for x, y in pairs)
    data = (tmp_path / "b.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_story_is_replaced_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode([renders.colour(0)] * 3, path, fps=24, tags=provenance.tags({"run": "old"}))
    assert provenance.read(path) == {"run": "old"}
    provenance.embed(path, path, {"run": "new"})
    assert provenance.read(path) == {"run": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_any_json_comes_back_as_it_was(meta: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.mp4"
        encode([np.zeros((16, 16), np.uint8)], path, fps=24, tags=provenance.tags(meta))
        assert provenance.read(path) == meta


def test_a_long_prompt_fits(tmp_path: Path) -> None:
    meta = {"prompt": "Nebel über der Stadt 🌫 " * 2000}
    encode([renders.colour(0)], tmp_path / "a.mp4", fps=24, tags=provenance.tags(meta))
    assert provenance.read(tmp_path / "a.mp4") == meta


@pytest.mark.parametrize("comment", ["", "made by hand", "[1]", '{"a": 1}', '{"cosmos": 1}'])
def test_comments_of_others_tell_nothing(tmp_path: Path, comment: str) -> None:
    encode([renders.colour(0)], tmp_path / "a.mp4", fps=24, tags={"comment": comment})
    assert provenance.read(tmp_path / "a.mp4") is None


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello")
    for act in (
        provenance.read,
        lambda p: provenance.embed(p, tmp_path / "b.mp4", {}),
    ):
        with pytest.raises(MediaError, match="is not a video"):
            act(tmp_path / "a.mp4")
        with pytest.raises(MediaError, match="There is no"):
            act(tmp_path / "gone.mp4")
    assert not (tmp_path / "b.mp4").exists()


def test_a_video_that_would_lose_frames_in_an_mp4_is_refused(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=12)
    with (
        av.open(str(tmp_path / "a.mp4")) as old,
        av.open(str(tmp_path / "b.mp4"), "w", format="matroska") as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    with pytest.raises(MediaError, match="a frame has no decode time"):
        provenance.embed(tmp_path / "b.mp4", tmp_path / "c.mp4", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_a_full_disk_leaves_no_half_copy(small_disk: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 256, 256, 3), dtype=np.uint8)
    encode(noise, tmp_path / "a.mp4", fps=24)
    (small_disk / "other").write_bytes(bytes((8 << 20) - 50_000))
    with pytest.raises(DiskFull, match="No room left"):
        provenance.embed(tmp_path / "a.mp4", small_disk / "b.mp4", {"run": "rs_1"})
    assert [p.name for p in small_disk.iterdir()] == ["other"]


def test_a_tag_that_is_no_utf8_is_kept_beside_ours(tmp_path: Path) -> None:
    encode([renders.colour(0)], tmp_path / "a.mp4", fps=24, tags={"title": "QQQQ"})
    data = (tmp_path / "a.mp4").read_bytes().replace(b"QQQQ", b"\xe9t\xe9!")
    (tmp_path / "a.mp4").write_bytes(data)
    provenance.embed(tmp_path / "a.mp4", tmp_path / "b.mp4", {"run": "rs_1"})
    assert provenance.read(tmp_path / "b.mp4") == {"run": "rs_1"}
    assert b"\xe9t\xe9!" in (tmp_path / "b.mp4").read_bytes()
