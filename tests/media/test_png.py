from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.in_order import in_order
from cosmos_pipelines.media.png import read_grey, read_rgb, read_values
from cosmos_pipelines.media.png_header import read_header
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


KINDS = [
    *((bits, renders.GREY, 1) for bits in (1, 2, 4, 8, 16)),
    *((bits, renders.RGB, 3) for bits in (8, 16)),
    *((bits, renders.PALETTE, 1) for bits in (1, 2, 4, 8)),
    *((bits, renders.GREY_ALPHA, 2) for bits in (8, 16)),
    *((bits, renders.RGBA, 4) for bits in (8, 16)),
]


def written(
    path: Path, bits: int, colour: int, channels: int, *, hidden: bool, grey: bool = False
) -> tuple[renders.Array, renders.Array]:
    """A PNG of random samples, and what it means: (values, alpha) of 0..1, (h, w, 1 or 3)."""
    samples = RANDOM.integers(0, 2**bits, (9, 13, channels))
    if grey and channels > 2:
        samples[..., 1] = samples[..., 2] = samples[..., 0]
    most, extra = 2**bits - 1, []
    alpha = np.ones((9, 13, 1))
    if colour in (renders.GREY_ALPHA, renders.RGBA):
        if hidden:
            samples[:3, :, -1] = 0
        else:
            samples[..., -1] = most
        values, alpha = samples[..., :-1] / most, samples[..., -1:] / most
    elif colour == renders.PALETTE:
        table = RANDOM.integers(0, 256, (2**bits, 1 if grey else 3), dtype=np.uint8)
        table = np.repeat(table, 3, axis=1) if grey else table
        extra.append((b"PLTE", table.tobytes()))
        values = table[samples[..., 0]] / 255
        if hidden:
            extra.append((b"tRNS", bytes([0])))
            alpha = (samples != 0).astype(float)
    else:
        values = samples / most
        if hidden:
            key = samples[0, 0]
            extra.append((b"tRNS", key.astype(">u2").tobytes()))
            alpha = (samples != key).any(axis=-1, keepdims=True).astype(float)
    path.write_bytes(renders.png(samples, bits, colour, extra))
    return values, alpha


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(("bits", "colour", "channels"), KINDS)
def test_every_kind_of_png_is_read_as_colour_with_its_transparency(
    tmp_path: Path, bits: int, colour: int, channels: int, hidden: bool
) -> None:
    values, alpha = written(tmp_path / "a.png", bits, colour, channels, hidden=hidden)
    want = np.broadcast_to(values * alpha, (9, 13, 3)) * 255
    assert np.abs(rgb(tmp_path / "a.png") - want).max() <= 0.51
    assert read_header(tmp_path / "a.png").alpha or not hidden


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(("bits", "colour", "channels"), KINDS)
def test_every_kind_of_png_is_read_as_values_at_its_full_depth(
    tmp_path: Path, bits: int, colour: int, channels: int, hidden: bool
) -> None:
    path = tmp_path / "a.png"
    values, alpha = written(path, bits, colour, channels, hidden=hidden, grey=True)
    most = 255 if colour == renders.PALETTE else 2**bits - 1
    got, seen = read_values(path.read_bytes(), path)
    assert np.array_equal(got, np.rint(values[..., 0] * most))
    assert got.dtype.itemsize == (2 if bits == 16 else 1)
    assert np.array_equal(np.ones((9, 13), bool) if seen is None else seen, alpha[..., 0] > 0)


@pytest.mark.parametrize("behind", [b"\0", bytes(70), b"signed by nobody " * 5000])
def test_bytes_behind_the_end_are_no_fault(tmp_path: Path, behind: bytes) -> None:
    path = tmp_path / "a.png"
    renders.save(path, renders.colour(0))
    path.write_bytes(path.read_bytes() + behind)
    assert (read_header(path).width, read_header(path).refused) == (64, None)
    assert np.array_equal(rgb(path), renders.colour(0))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("behind", [b"", b"x" * 500])
def test_a_picture_that_was_cut_is_truncated_also_with_bytes_behind_the_cut(
    tmp_path: Path, share: float, behind: bytes
) -> None:
    path = tmp_path / "a.png"
    renders.save(path, renders.colour(0, 200, 200))
    data = path.read_bytes()
    path.write_bytes(data[: max(20, int(len(data) * share))] + behind)
    with pytest.raises(MediaError, match=r"a\.png is truncated"):
        read_header(path)


EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0%c\0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (b"cICP", b"\x09\x10\x00\x01", "is coded for HDR (PQ)"),
        (b"cICP", b"\x09\x12\x00\x01", "is coded for HDR (HLG)"),
        (b"cICP", b"\x01\x0d\x00\x01", None),
        (b"pHYs", b"\0\0\0\x09\0\0\0\x08\0", "has pixels that are not square (8:9)"),
        (b"pHYs", b"\0\0\x0b\x13\0\0\x0b\x13\x01", None),
        (b"eXIf", EXIF % 6, "is to be shown turned or mirrored (EXIF orientation 6)"),
        (b"eXIf", EXIF % 1, None),
        (b"eXIf", b"II*\0\xff\xff\xff\xff\0\0", None),
        (b"eXIf", b"", None),
        (b"pHYs", b"\0", None),
    ],
)
def test_pictures_that_are_to_be_shown_otherwise_say_so(
    tmp_path: Path, kind: bytes, data: bytes, said: str | None
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(renders.png(renders.colour(0), 8, renders.RGB, [(kind, data)]))
    assert read_header(path).refused == said


@given(st.binary(max_size=120))
def test_any_bytes_behind_the_first_chunk_are_refused_in_our_words_or_pass(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    path.write_bytes(renders.png(renders.colour(0, 4, 4), 8, renders.RGB)[:33] + data)
    try:
        read_header(path)
    except MediaError as e:
        assert "any.png is truncated" in str(e)
