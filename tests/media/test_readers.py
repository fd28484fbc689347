"""Pictures of any format: what is in a file, its values, and what is refused before encoding."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import AS_USUAL
from cosmos_pipelines.media.colour.reader import ColourReader
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import read_at_once, read_facts, read_layer
from cosmos_pipelines.media.sequence import find_passes
from cosmos_pipelines.media.sources import look_at
from tests.media import exr_parts as exr
from tests.media.exr_parts import Part
from tests.media.renders import Array, as_nobody

W, H = 64, 36


def noise(*shape: int, seed: int = 0) -> Array:
    """Halves, so that every kind of float can hold them."""
    random = np.random.default_rng(seed).random(shape or (H, W))
    return random.astype(np.float16).astype(np.float32)


def channels(*names: str, size: tuple[int, int] = (H, W)) -> dict[str, Array]:
    return {name: noise(*size, seed=i) for i, name in enumerate(names)}


def layers(path: Path) -> dict[str, tuple[str, str]]:
    return {one.name: ("".join(one.channels), one.kind) for one in read_facts(path).layers}


def values(path: Path, name: str) -> Array:
    layer = read_facts(path).layer(name)
    assert layer
    return read_layer(path, layer)


LOSSLESS = ("none", "rle", "zips", "zip", "piz")
ALL = (*LOSSLESS, "pxr24", "b44", "b44a", "dwaa", "dwab")


@pytest.mark.parametrize("tile", [0, 16], ids=["scanlines", "tiles"])
@pytest.mark.parametrize("compression", ALL)
def test_every_compression_is_read(tmp_path: Path, compression: str, tile: int) -> None:
    smooth = np.add.outer(np.arange(H), np.arange(W)) / 128
    given = dict.fromkeys(("A", "B", "G", "R"), smooth)
    part = Part(given, attributes={"compression": compression}, tile=tile)
    path = exr.write(tmp_path / "a.exr", part)
    read = values(path, "")
    off = 0 if compression in LOSSLESS else 0.01
    assert np.abs(read - smooth[..., None]).max() <= off + 1e-3 * bool(off)


@pytest.mark.parametrize("compression", ["zip", "piz", "dwab", "none"])
@pytest.mark.parametrize("tile", [0, 16], ids=["scanlines", "tiles"])
def test_layers_that_are_read_at_once_are_those_read_one_by_one(
    tmp_path: Path, tile: int, compression: str
) -> None:
    size = (301, 45)  # several bands
    given = channels("R", "G", "B", "A", "Z", "id", "a.id", "crypto00.R", "N.X", size=size)
    given |= {"id": np.full(size, 2**24 + 1), "Z": given["Z"] / 3, "A": np.full(size, np.inf)}
    kinds = {"Z": "float", "id": "uint", "a.id": "uint", "crypto00.R": "float"}
    how = {"attributes": {"compression": compression}, "tile": tile}
    window = {"at": (-3, 5), "shown": (0, 0, 49, 309)}
    path = exr.write(tmp_path / "a.exr", Part(given, kinds, **how, **window))  # type: ignore[arg-type]
    wanted = read_facts(path).layers
    read = read_at_once(path, wanted)
    for layer in wanted:
        one, alone = read(path, layer), read_layer(path, layer)
        assert (one.dtype, one.shape) == (alone.dtype, (310, 50, len(layer.channels)))
        assert one.tobytes() == alone.tobytes()
    assert {str(read(path, one).dtype) for one in wanted} == {"float16", "float32", "uint32"}


@pytest.mark.parametrize("mode", ["mipmap", "odd"])
def test_of_a_mipmap_the_largest_picture_is_read(tmp_path: Path, mode: str) -> None:
    size = (W, H) if mode == "mipmap" else (W - 3, H + 1)
    pixels = noise(size[1], size[0], 3)
    buffer = oiio.ImageBuf(oiio.ImageSpec(*size, 3, oiio.HALF))
    buffer.set_pixels(oiio.ROI(0, size[0], 0, size[1], 0, 1, 0, 3), pixels)
    path = tmp_path / "a.exr"
    config = oiio.ImageSpec()
    config.attribute("maketx:tile_width", 16)
    assert oiio.ImageBufAlgo.make_texture(oiio.MakeTxTexture, buffer, str(path), config)
    assert np.array_equal(values(path, ""), pixels)


@pytest.mark.parametrize("kind", ["half", "float", "uint"])
def test_values_are_of_the_files_own_kind(tmp_path: Path, kind: str) -> None:
    part = Part({"objectid": np.full((H, W), 7)}, {"objectid": kind})
    path = tmp_path / "a.exr"
    path.write_bytes(exr.by_hand(part))
    assert layers(path) == {"objectid": ("objectid", "uint32" if kind == "uint" else kind)}
    assert values(path, "objectid").dtype == {"half": "f2", "float": "f4", "uint": "u4"}[kind]
    assert (values(path, "objectid") == 7).all()


def test_colours_come_as_r_g_b_a_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    given = channels("A", "B", "G", "R", "diff.Blue", "diff.Green", "diff.Red")
    path = tmp_path / "a.exr"
    path.write_bytes(exr.by_hand(Part(given)))
    assert layers(path) == {"": ("RGBA", "half"), "diff": ("RGB", "half")}
    assert np.array_equal(values(path, ""), np.stack([given[c] for c in "RGBA"], -1))
    assert np.array_equal(values(path, "diff")[..., 0], given["diff.Red"])


def test_layers_of_one_part_are_split_by_meaning(tmp_path: Path) -> None:
    names = ("R", "G", "B", "A", "Z", "objectid", "N.X", "N.Y", "N.Z", "s.R", "s.G", "s.B", "s.Z")
    kinds = {"Z": "float", "s.Z": "float", "objectid": "uint"}
    given = channels(*names) | {"objectid": np.arange(H * W).reshape(H, W)}
    path = tmp_path / "a.exr"
    path.write_bytes(exr.by_hand(Part(given, kinds)))
    assert layers(path) == {
        "": ("RGBA", "half"),
        "Z": ("Z", "float"),
        "objectid": ("objectid", "uint32"),
        "N": ("XYZ", "half"),
        "s": ("RGB", "half"),
        "s.Z": ("Z", "float"),
    }
    for name, one in {"Z": "Z", "s.Z": "s.Z", "objectid": "objectid"}.items():
        assert np.array_equal(values(path, name)[..., 0], given[one])


def test_a_layer_of_several_kinds_is_read_whole(tmp_path: Path) -> None:
    given = channels("R", "G", "B") | {"A": np.ones((H, W))}
    path = tmp_path / "a.exr"
    path.write_bytes(exr.by_hand(Part(given, {"R": "float", "A": "uint"})))
    assert layers(path) == {"": ("RGBA", "float")}
    assert np.array_equal(values(path, ""), np.stack([given[c] for c in "RGBA"], -1))


def test_luminance_alone_is_one_channel(tmp_path: Path) -> None:
    path = exr.write(tmp_path / "a.exr", Part(channels("Y")))
    assert layers(path) == {"": ("Y", "half")}
    assert values(path, "").shape == (H, W, 1)


def test_the_parts_of_a_file_are_layers(tmp_path: Path) -> None:
    colour, depth = channels("R", "G", "B", "A"), channels("ViewLayer.Depth.Z")
    shown = (0, 0, W - 1, H - 1)
    path = exr.write(
        tmp_path / "a.exr",
        Part(colour, name="ViewLayer.Combined", shown=shown),
        Part(depth, {"ViewLayer.Depth.Z": "float"}, name="ViewLayer.Depth", shown=shown),
        Part(channels("Z", size=(10, 20)), name="small", at=(5, 7), shown=shown),
    )
    assert layers(path) == {
        "ViewLayer.Combined": ("RGBA", "half"),
        "ViewLayer.Depth": ("Z", "float"),
        "small": ("Z", "half"),
    }
    assert np.array_equal(values(path, "ViewLayer.Depth")[..., 0], depth["ViewLayer.Depth.Z"])
    small = values(path, "small")[..., 0]
    assert small.shape == (H, W)
    assert np.array_equal(small[7:17, 5:25], noise(10, 20))
    assert np.count_nonzero(small) == np.count_nonzero(noise(10, 20))


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ((-4, -3), (0, 0, W - 1, H - 1)),
        ((0, 0), (-20, -10, 43, 25)),
        ((10, 5), (0, 0, 63, 35)),
        ((-5, -5), (-5, -5, 58, 30)),
        ((0, 0), (8, 4, 39, 23)),
        ((100, 0), (0, 0, 63, 35)),
        ((0, -90), (0, 0, 63, 35)),
    ],
    ids=["before", "negative", "behind", "moved", "overscan", "right_of_it", "above_it"],
)
def test_what_is_shown_is_the_display_window(
    tmp_path: Path, at: tuple[int, int], shown: exr.Box
) -> None:
    given = channels("R", "G", "B")
    path = exr.write(tmp_path / "a.exr", Part(given, at=at, shown=shown))
    width, height = shown[2] - shown[0] + 1, shown[3] - shown[1] + 1
    wanted = np.zeros((height, width, 3), np.float32)
    for y in range(height):
        for x in range(width):
            row, column = y + shown[1] - at[1], x + shown[0] - at[0]
            if 0 <= row < H and 0 <= column < W:
                wanted[y, x] = [given[c][row, column] for c in "RGB"]
    facts = read_facts(path)
    assert (facts.width, facts.height) == (width, height)
    assert np.array_equal(values(path, ""), wanted)


def test_the_eyes_of_a_file_are_layers_of_their_own(tmp_path: Path) -> None:
    given = channels("R", "G", "B", "right.R", "right.G", "right.B", "diff.right.R", "diff.left.R")
    path = tmp_path / "one.exr"
    path.write_bytes(exr.by_hand(Part(given, attributes={"multiView": ("left", "right")})))
    assert {one.name: one.view for one in read_facts(path).layers} == {
        "": "left", "right": "right", "diff.right": "right", "diff.left": "left",
    }  # fmt: skip
    path = tmp_path / "two.exr"
    eyes = [
        Part(channels("rgba.R", "rgba.G"), name=f"rgba{i}", attributes={"view": eye})
        for i, eye in enumerate(("left", "right"))
    ]
    path.write_bytes(exr.by_hand(*eyes))
    assert {one.name: one.view for one in read_facts(path).layers} == {
        "rgba0.rgba": "left", "rgba1.rgba": "right",
    }  # fmt: skip


def test_attributes_of_all_parts_are_told(tmp_path: Path) -> None:
    first = Part(channels("R"), name="a", attributes={"colorInteropID": "lin_rec709_scene"})
    second = Part(channels("R"), name="b", attributes={"cryptomatte/abc/manifest": '{"a":"0"}'})
    found = read_facts(exr.write(tmp_path / "a.exr", first, second)).attributes
    assert found["colorInteropID"] == "lin_rec709_scene"
    assert found["cryptomatte/abc/manifest"] == '{"a":"0"}'


def picture(*shape: int) -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 256, (H, W, *shape), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_usual_formats_give_their_values(tmp_path: Path) -> None:
    rgb, rgba = picture(3), picture(4)
    for name, given in {
        "a.tif": rgb, "b.tga": rgb, "c.tif": rgba, "d.tga": rgba, "f.tif": rgb.convert("1"),
        "g.tif": picture(),
    }.items():  # fmt: skip
        given.save(tmp_path / name)
        wanted = np.asarray(given.convert("L") if given.mode == "1" else given)
        read = values(tmp_path / name, "")
        assert np.array_equal(read, wanted.reshape(read.shape)), name
        assert read_facts(tmp_path / name).layers[0].straight == (given.mode == "RGBA"), name
    rgba.save(tmp_path / "e.webp", lossless=True, exact=True)
    assert np.array_equal(values(tmp_path / "e.webp", ""), np.asarray(rgba))
    rgb.resize((8, 8)).resize((W, H)).save(tmp_path / "h.jpg", quality=100, subsampling=0)
    read = values(tmp_path / "h.jpg", "").astype(int)
    assert np.abs(read - np.asarray(rgb.resize((8, 8)).resize((W, H)))).max() <= 3


@pytest.mark.parametrize(
    ("name", "kind", "attributes"),
    [
        ("a.tif", "uint16", {}),
        ("b.tif", "float", {"tile": 16}),
        ("d.dpx", "uint16", {"oiio:BitsPerSample": 10, "dpx:Transfer": "Logarithmic"}),
        ("e.dpx", "uint16", {"oiio:BitsPerSample": 16}),
        ("f.hdr", "float", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_deeper_formats_give_their_values(
    tmp_path: Path, name: str, kind: str, attributes: dict[str, object]
) -> None:
    path, pixels = tmp_path / name, noise(H, W, 3)
    spec = oiio.ImageSpec(W, H, 3, kind)
    spec.tile_width = spec.tile_height = int(str(attributes.pop("tile", 0)))
    for key, value in attributes.items():
        spec.attribute(key, value)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    assert out.write_image(pixels)
    out.close()
    read = values(path, "")
    whole = 65535 if kind == "uint16" else 1
    assert str(read_facts(path).layers[0].kind) == kind
    assert np.abs(read.astype(np.float64) / whole - pixels).max() < 1 / 100
    if "dpx:Transfer" in attributes:
        assert read_facts(path).attributes["dpx:Transfer"] == "Logarithmic"


def test_alpha_of_tiff_says_whether_colours_are_multiplied_by_it(tmp_path: Path) -> None:
    pixels = noise(H, W, 4)
    for straight in (0, 1):
        path = tmp_path / f"{straight}.tif"
        spec = oiio.ImageSpec(W, H, 4, "uint16")
        spec.attribute("oiio:UnassociatedAlpha", straight)
        out = oiio.ImageOutput.create(str(path))
        assert out.open(str(path), spec)
        assert out.write_image(pixels)
        out.close()
        assert read_facts(path).layers[0].straight == bool(straight)
        assert np.array_equal(values(path, ""), np.rint(pixels * 65535).astype(np.uint16))


ARRAYS = {
    "plain": np.arange(H * W, dtype="f4").reshape(H, W),
    "one_channel": np.arange(H * W, dtype="f8").reshape(H, W, 1),
    "one_picture": np.arange(H * W, dtype="u2").reshape(1, H, W),
    "by_columns": np.asfortranarray(np.arange(H * W, dtype="f4").reshape(H, W)),
    "big_endian": np.arange(H * W, dtype=">f4").reshape(H, W),
    "half": np.arange(H * W, dtype="f2").reshape(H, W),
    "bool": np.arange(H * W).reshape(H, W) % 3 == 0,
    "nan": np.full((H, W), np.nan, dtype="f4"),
    "ids": np.arange(H * W, dtype="i8").reshape(H, W) - 5,
    "colours": np.arange(H * W * 3, dtype="u2").reshape(H, W, 3),
    "colours_by_columns": np.asfortranarray(np.arange(H * W * 3, dtype="u2").reshape(H, W, 3)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_as_numpy_wrote_them(tmp_path: Path, name: str) -> None:
    path, given = tmp_path / "a.npy", ARRAYS[name]
    np.save(path, given)
    facts = read_facts(path)
    read = values(path, "")
    assert (facts.width, facts.height) == (W, H)
    assert facts.layers[0].kind == read.dtype.name
    assert read.dtype.isnative
    assert np.array_equal(read, given.reshape(read.shape), equal_nan=given.dtype.kind == "f")


class Harmful:
    """Unpickled, it writes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("harmed",)


BAD_ARRAYS = {
    "objects": "is an array of Python objects, which is never loaded",
    "pickle": "is not an npy picture",
    "cut": "is truncated",
    "huge": "says that it is 1000000000x1000000000, which is too large for a video",
    "large": "is truncated",
    "negative": "is damaged: its header is none of a numpy array|says that it is",
    "complex": "is an array of complex64; an array of numbers is needed",
    "record": "is an array of .*; an array of numbers is needed",
    "many": r"is an array of shape \(5, 36, 64\); \(height, width\) is needed",
    "line": r"is an array of shape \(64\); \(height, width\) is needed",
    "nonsense": "is damaged: its header is none of a numpy array",
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_no_picture_are_refused_in_one_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npy"
    np.save(path, ARRAYS["plain"])
    whole = path.read_bytes()
    match name:
        case "objects":
            np.save(path, np.array([[Harmful()]], dtype=object), allow_pickle=True)
        case "pickle":
            path.write_bytes(b"\x80\x04cos\nmkdir\n(S'harmed'\ntR.")
        case "cut":
            path.write_bytes(whole[:-1])
        case "huge":
            path.write_bytes(
                whole.replace(b"(36, 64), }" + b" " * 18, b"(1000000000, 1000000000), }  ")
            )
        case "large":
            path.write_bytes(whole.replace(b"(36, 64), }    ", b"(8000, 8000), }"))
        case "negative":
            path.write_bytes(whole.replace(b"(36, 64), } ", b"(-36, 64), }"))
        case "complex":
            np.save(path, ARRAYS["plain"].astype("c8"))
        case "record":
            np.save(path, np.zeros((H, W), dtype=[("a", "f4")]))
        case "many":
            np.save(path, np.zeros((5, H, W)))
        case "line":
            np.save(path, np.zeros(64))
        case _:
            path.write_bytes(whole[:10] + b"(" * 118 + whole[128:])
    with pytest.raises(MediaError, match=BAD_ARRAYS[name]) as e:
        read_facts(path)
    assert str(e.value).count(str(path)) == 1
    assert "\n" not in str(e.value)
    assert not (tmp_path / "harmed").exists()


def whole(name: str) -> Part:
    return Part(channels("R", "G", "B"), name=name, shown=(0, 0, W - 1, H - 1))


def _box(right: int, bottom: int) -> bytes:
    return struct.pack("<4i", 0, 0, right, bottom)


PLAIN = exr.by_hand(whole(""))
FIRST = struct.pack("<Q", len(PLAIN) - H * (8 + 3 * 2 * W))
"""Where the first line begins, as the table says it."""

BAD_BYTES = {
    "newer": (exr.by_hand(whole(""), version=3), r"is of a newer kind of EXR \(version 3"),
    "flags": (
        exr.by_hand(whole(""), flags=0x8000),
        r"is of a newer kind of EXR \(version 2, flags 0x80",
    ),
    "deep": (exr.by_hand(whole(""), flags=0x800), "is a deep picture"),
    "deep_part": (
        exr.by_hand(whole("a"), whole("b"), kind="deepscanline"), "is a deep picture",
    ),
    "compression": (
        PLAIN.replace(b"compression\0\1\0\0\0\0", b"compression\0\1\0\0\0\x63"),
        "is compressed in a way that is not known yet",
    ),
    "chroma": (
        exr.by_hand(Part({"Y": noise(), "RY": noise(18, 32), "BY": noise(18, 32)}, sampling=2)),
        "stores its channel BY at a lower resolution",
    ),
    "sizes": (
        exr.by_hand(whole("a"), Part(channels("R"), name="b", shown=(0, 0, 31, 35))),
        r"The parts of .* show pictures of several sizes \(32x36 and 64x36\)",
    ),
    "empty": (b"", "is empty"),
    "short": (PLAIN[:6], "is truncated"),
    "header": (PLAIN[:200], "is truncated"),
    "table": (PLAIN[: -H * (8 + 6 * W) - 100], "is truncated"),
    "cut": (PLAIN[:-1], "is truncated"),
    "unfinished": (
        PLAIN.replace(FIRST, bytes(8), 1), "is not finished: 1 of 36 blocks of pixels are missing",
    ),
    "nonsense": (PLAIN.replace(b"dataWindow", b"dataWindoz"), "is damaged"),
    "negative": (PLAIN.replace(_box(W - 1, H - 1), _box(-W, -H)), "is damaged"),
    "huge": (
        PLAIN.replace(_box(W - 1, H - 1), _box(99999, H - 1)),
        "says that it is 100000x36, which is too large for a video",
    ),
    "text": (b"Error: no licence server", "is not an EXR picture"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(99), "is a PNG picture, not an EXR one"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BYTES)
def test_an_exr_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.exr"
    path.write_bytes(BAD_BYTES[name][0])
    with pytest.raises(MediaError, match=BAD_BYTES[name][1]) as e:
        read_facts(path)
    assert str(e.value).count(str(path)) == 1
    assert "\n" not in str(e.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.exr")
    (tmp_path / "b.exr").mkdir()
    for name, said in {"a.exr": "is a pipe", "b.exr": "is a directory"}.items():
        with pytest.raises(MediaError, match=said):
            read_facts(tmp_path / name)


def test_pixels_that_are_not_square_are_refused(tmp_path: Path) -> None:
    part = Part(channels("R"), attributes={"PixelAspectRatio": 2.0})
    with pytest.raises(MediaError, match=r"has pixels that are not square \(2:1\)"):
        read_facts(exr.write(tmp_path / "a.exr", part))


@pytest.mark.parametrize("tile", [0, 16], ids=["scanlines", "tiles"])
def test_a_damaged_block_is_an_error_and_no_black_pixel(tmp_path: Path, tile: int) -> None:
    smooth = np.add.outer(np.arange(H), np.arange(W)) / 128
    given = {"R": smooth, "G": smooth**2, "B": smooth**3}
    path = exr.write(tmp_path / "a.exr", Part(given, dict.fromkeys("RGB", "float"), tile=tile))
    layer = read_facts(path).layers[0]
    data = bytearray(path.read_bytes())
    data[-200:-100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="is damaged and cannot be decoded") as e:
        read_layer(path, layer)
    assert str(e.value).count(str(path)) == 1
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="is damaged and cannot be decoded"):
        read_layer(path, layer)
    with pytest.raises(MediaError, match="is truncated"):
        read_facts(path)


def test_a_layer_that_is_gone_since_the_look_is_told(tmp_path: Path) -> None:
    path = exr.write(tmp_path / "a.exr", Part(channels("R")))
    for gone in (Layer("z", ("Z",), "float", 1, (0,)), Layer("z", ("Z",), "float", 0, (3,))):
        with pytest.raises(MediaError, match="has no layer z any more"):
            read_layer(path, gone)


def _bad_picture(name: str, path: Path) -> None:
    match name.partition("_")[0]:
        case "turned":
            exif = Image.Exif()
            exif[0x112] = 6
            picture(3).save(path, exif=exif)
        case "cmyk":
            picture(3).convert("CMYK").save(path)
        case "moving":
            picture(3).save(path, save_all=True, append_images=[picture(3).rotate(180)])
        case "cut":
            picture(3).save(path)
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        case "packed":
            picture(3).save(path, compression="tga_rle")
            path.write_bytes(path.read_bytes()[:-3000])
        case "thumbnail":
            small = path.with_suffix(".small.jpg")
            picture(3).resize((8, 8)).save(small)
            picture(3).save(path)
            data = path.read_bytes()
            inner = b"\xff\xe1" + struct.pack(">H", 2 + small.stat().st_size) + small.read_bytes()
            path.write_bytes(data[:2] + inner + data[2:-500])
        case "light":
            spec = oiio.ImageSpec(W, H, 3, "float")
            out = oiio.ImageOutput.create(str(path))
            assert out.open(str(path), spec)
            assert out.write_image(noise(H, W, 3))
            out.close()
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        case _:
            picture(3).save(path.with_suffix(".jpg"))
            path.with_suffix(".jpg").rename(path)


BAD_PICTURES = {
    "turned_a.jpg": r"is to be shown turned or mirrored \(EXIF orientation 6\)",
    "turned_b.tif": r"is to be shown turned or mirrored \(EXIF orientation 6\)",
    "cmyk_a.jpg": "is CMYK",
    "cmyk_b.tif": "is CMYK",
    "moving_a.webp": "is a moving picture",
    "moving_b.tif": "holds 2 pictures",
    "cut_a.jpg": "is truncated",
    "cut_b.tif": "is truncated",
    "cut_c.webp": "is truncated",
    "cut_d.tga": "cannot be read",
    "packed_a.tga": "is damaged and cannot be decoded|cannot be read",
    "thumbnail_a.jpg": "is truncated",
    "light_a.hdr": "is damaged and cannot be decoded",
    "light_b.dpx": "is truncated",
    "jpeg.tif": "is a JPEG picture, not a TIFF one",
    "jpeg.tga": "is a JPEG picture by its content",
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_other_pictures_that_cannot_be_used_are_refused_in_one_line(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    _bad_picture(name, path)
    with pytest.raises(MediaError, match=BAD_PICTURES[name]) as e:
        read_facts(path)
    assert str(e.value).count(str(path)) == 1
    assert "\n" not in str(e.value)


def test_links_are_followed_and_missing_files_told(tmp_path: Path) -> None:
    exr.write(tmp_path / "a.exr", Part(channels("R")))
    (tmp_path / "b.exr").symlink_to("a.exr")
    (tmp_path / "c.exr").symlink_to("nowhere.exr")
    assert layers(tmp_path / "b.exr") == layers(tmp_path / "a.exr")
    with pytest.raises(MediaError, match=re.escape(f"There is no {tmp_path / 'c.exr'}.")):
        read_facts(tmp_path / "c.exr")


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = exr.write(tmp_path / "a.exr", Part(channels("R")))
    path.chmod(0)
    act = "__import__('cosmos_pipelines.media.readers.picture', fromlist=['x']).read_facts(path)"
    assert as_nobody(act, path) == (
        f"MediaError: {path} cannot be read: permission denied. Change its permissions."
    )


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_straight_colours_are_laid_over_black(tmp_path: Path, kind: str) -> None:
    pixels = np.full((H, W, 4), 0.5, np.float32)
    for name, straight in {"straight": 1, "multiplied": 0}.items():
        spec = oiio.ImageSpec(W, H, 4, kind)
        spec.attribute("oiio:UnassociatedAlpha", straight)
        for frame in (1, 2):
            path = tmp_path / name / f"color.{frame:04}.tif"
            path.parent.mkdir(exist_ok=True)
            out = oiio.ImageOutput.create(str(path))
            assert out.open(str(path), spec)
            assert out.write_image(pixels)
            out.close()
        source = look_at(find_passes(tmp_path / name).values())[0]
        shown = ColourReader.of(source, AS_USUAL).read(path)
        assert abs(int(shown[0, 0, 0]) - (64 if straight else 128)) <= 1
