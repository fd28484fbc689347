from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.png import in_order, read_grey, read_header, read_rgb
from tests.media import renders

RANDOM = np.random.default_rng(3)


def rgb(path: Path) -> renders.Array:
    return read_rgb(path.read_bytes(), path)


def test_8_bit_colour_is_read_exactly(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (20, 31, 3), dtype=np.uint8)
    renders.save(tmp_path / "a.png", pixels)
    assert np.array_equal(rgb(tmp_path / "a.png"), pixels)
    assert read_header(tmp_path / "a.png").kind == "8-bit RGB"


def test_16_bit_colour_is_rounded_to_8(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 65536, (20, 31, 3), dtype=np.uint16)
    renders.save(tmp_path / "a.png", pixels)
    assert np.array_equal(rgb(tmp_path / "a.png"), np.rint(pixels / 257).astype(np.uint8))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_alpha_is_laid_over_black(tmp_path: Path, kind: type) -> None:
    most = np.iinfo(kind).max
    pixels = RANDOM.integers(0, most + 1, (9, 11, 4), dtype=kind)
    renders.save(tmp_path / "a.png", pixels)
    want = pixels[..., :3] / most * (pixels[..., 3:] / most) * 255
    assert np.abs(rgb(tmp_path / "a.png") - want).max() <= (0.5 if kind == np.uint8 else 0.51)


def test_palettes_keep_their_colours(tmp_path: Path) -> None:
    pixels = renders.segments(0)
    picture = Image.fromarray(pixels).quantize(64)
    picture.save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").kind.endswith("palette")
    assert np.array_equal(rgb(tmp_path / "a.png"), np.asarray(picture.convert("RGB")))


def test_16_bit_grey_keeps_its_values(tmp_path: Path) -> None:
    pixels = renders.distance(0)
    renders.save(tmp_path / "a.png", pixels)
    assert np.array_equal(read_grey((tmp_path / "a.png").read_bytes(), tmp_path), pixels)


def test_grey_with_alpha_and_grey_stored_as_rgb_are_grey(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (9, 11), dtype=np.uint8)
    renders.save(tmp_path / "rgb.png", np.stack([pixels] * 3, -1))
    Image.fromarray(pixels).convert("LA").save(tmp_path / "la.png")
    for name in ("rgb.png", "la.png"):
        assert np.array_equal(read_grey((tmp_path / name).read_bytes(), tmp_path), pixels)


def test_coloured_depth_is_refused_by_name(tmp_path: Path) -> None:
    renders.save(tmp_path / "a.png", renders.colour(0))
    with pytest.raises(MediaError, match=r"a\.png is coloured"):
        read_grey((tmp_path / "a.png").read_bytes(), tmp_path / "a.png")


def test_files_that_are_no_whole_png_are_named(tmp_path: Path) -> None:
    path = tmp_path / "color.0007.png"
    renders.save(path, renders.colour(0))
    whole = path.read_bytes()
    for data, said in ((b"", "is empty"), (b"hello" * 20, "is not a PNG"), (whole[:-40], "trunc")):
        path.write_bytes(data)
        with pytest.raises(MediaError, match=rf"color\.0007\.png {said}|{said}"):
            read_header(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    renders.save(path, renders.colour(0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(MediaError, match=r"a\.png is damaged"):
        read_rgb(bytes(data), path)


def test_files_are_read_in_order_and_only_a_few_ahead(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}" for n in range(60)]
    for n, path in enumerate(files):
        path.write_bytes(bytes([n]))
    started, hasher = [], hashlib.sha256()

    def work(data: bytes, path: Path) -> int:
        started.append(path)
        return data[0]

    for n, value in enumerate(in_order(files, work, hasher)):
        assert value == n
        assert len(started) <= n + 8
    want = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(60))
    assert hasher.hexdigest() == hashlib.sha256(want).hexdigest()
