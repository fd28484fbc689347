from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media import encode_pass
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.encode_pass import Plan
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.picture import read_facts, read_layer
from cosmos_pipelines.media.segments.colours import code_of
from cosmos_pipelines.media.segments.cryptomatte import cryptomattes_of, winners
from cosmos_pipelines.media.segments.reader import SegmentReader, reader_of
from cosmos_pipelines.media.sequence import Pass
from cosmos_pipelines.media.sources import Source, look_at
from tests.media.segments import mattes

DATA = Path(__file__).parents[1] / "data/cryptomatte"
NAMES = ["car", "road", "tree/leaf 7", "равнина", 'a "quoted", name', "ground"]


def soft(seed: int, names: list[str] = NAMES, size: tuple[int, int] = (36, 64)) -> dict[str, Array]:
    """Random shares of each pixel, which with what is not covered make 1."""
    chance = np.random.default_rng(seed)
    raw = chance.random((len(names) + 1, *size)) ** 6
    raw[:, :, : size[1] // 2] = np.rint(raw[:, :, : size[1] // 2] / raw.max(0)[:, : size[1] // 2])
    share = raw / raw.sum(0)
    return dict(zip(names, share[:-1].astype(np.float32), strict=True))


def truth(masks: dict[str, Array]) -> Array:
    """Names, "" for background, by the largest share."""
    cover = np.stack([1 - sum(masks.values()), *masks.values()])
    cover[0] -= 1e-6  # a tie is the segment's
    return np.array(["", *masks], dtype=object)[cover.argmax(0)]


def pass_of(files: list[Path], layers: tuple[str, ...] = ("crypto_object00",)) -> Source:
    """As a survey finds it."""
    numbers = tuple(range(1, len(files) + 1))
    found = Pass("segmentation", "pictures", "seg.####.exr", tuple(files), numbers, layers,
                 "cryptomatte")  # fmt: skip
    return look_at([found])[0]


def clip(folder: Path, frames: int = 3, **facts: Any) -> tuple[list[Path], list[dict[str, Array]]]:
    """A clip with a cryptomatte of objects whose manifest is in the files."""
    masks = [soft(seed) for seed in range(frames)]
    facts = facts or {"manifest": mattes.manifest(NAMES)}
    files = [folder / f"seg.{i + 1:04d}.exr" for i in range(frames)]
    for file, mask in zip(files, masks, strict=True):
        told = mattes.metadata("crypto_object", **facts)
        mattes.write(file, {"crypto_object": mattes.ranked(mask, 8)}, told)
    return files, masks


def reader(files: list[Path], asked: Asked | None = None, **how: Any) -> SegmentReader:
    made = reader_of(pass_of(files, **how), asked or Asked())
    assert isinstance(made, SegmentReader)
    return made


def rgb(name: str) -> list[int]:
    return list(code_of(name).to_bytes(3))


def test_the_hash_is_that_of_the_specification() -> None:
    assert mattes.murmur3_32(b"torus") == 4053562365
    assert mattes.id_of("равнина") == 2518896926


def test_each_object_s_mask_is_the_true_one_in_the_video_that_is_written(tmp_path: Path) -> None:
    files, masks = clip(tmp_path)
    source = pass_of(files)
    made = encode_pass.make(source, tmp_path / "s.mp4", Plan(64, 36, Fraction(24)), lambda: None)
    assert made["max_error"] == 0
    colours = {one["name"]: one["color"] for one in made["legend"]}
    for picture, mask in zip(pictures_of(tmp_path / "s.mp4"), masks, strict=True):
        want = truth(mask)
        for name in NAMES:
            assert colours[name] == f"#{code_of(name):06x}"
            assert np.array_equal((picture == rgb(name)).all(2), want == name)
        assert np.array_equal((picture == 0).all(2), want == "")


def test_the_legend_says_how_much_each_segment_fills_and_where_it_is_seen(tmp_path: Path) -> None:
    files, masks = clip(tmp_path)
    one = reader(files)
    for file in [*files, *files]:  # every picture is read twice
        one.read(file)
    legend = one.facts()["legend"]
    true = np.stack([truth(m) for m in masks])
    assert sum(s["area"] for s in legend) == pytest.approx(1)
    for s in legend:
        name = "" if s["name"] == "background" else s["name"]
        assert s["area"] == pytest.approx((true == name).mean())
        assert s["frames"] == sum((frame == name).any() for frame in true)
        assert s.get("id", "") == (f"{mattes.id_of(name):08x}" if name else "")
    assert [s["area"] for s in legend] == sorted((s["area"] for s in legend), reverse=True)
    assert one.facts()["cryptomatte"]["layers"] == [f"crypto_object0{i}" for i in range(4)]


def test_an_id_wins_that_covers_more_than_any_other_and_than_nothing_does() -> None:
    def won(*pairs: tuple[int, float]) -> int:
        ids, coverage = zip(*pairs, strict=True)
        return int(winners(np.array([[ids]], np.uint32), np.array([[coverage]], np.float32))[0, 0])

    assert won((7, 0.3), (8, 0.25)) == 0  # 0.45 is not covered
    assert won((7, 0.4), (8, 0.25)) == 7
    assert won((7, 0.5)) == 7
    assert won((7, 0.2), (8, 0.8)) == 8  # ranks in another order
    assert won((7, 0.5), (8, 0.5)) == 7
    assert won((0, 0.9), (8, 0.1)) == 0  # background with a share of its own
    assert won((7, float("nan")), (8, 0.9)) == 8
    assert won((7, 0.0)) == 0


def test_a_renderer_s_own_files_are_read_with_their_manifests() -> None:
    for file, name, some in (
        ("special_chars.exr", "special_chars", "равнина"),
        ("sidecar_manifest.exr", "crypto_asset", "leftAsset"),
    ):
        one = reader([DATA / file], layers=(f"{name}00",))
        one.read(DATA / file)
        names = {s["name"] for s in one.facts()["legend"]}
        assert some in names
        assert not any(n.startswith("id ") for n in names)
        assert all(s["area"] > 0.004 for s in one.facts()["legend"])


def several(folder: Path) -> list[Path]:
    file = folder / "all.0001.exr"
    kinds = {f"ViewLayer.Crypto{kind}": [kind.lower()] for kind in ("Asset", "Material", "Object")}
    told: dict[str, str] = {}
    for name, names in kinds.items():
        told |= mattes.metadata(name, manifest=mattes.manifest(names))
    ranks = {n: mattes.ranked({one[0]: np.ones((4, 6))}, 2) for n, one in kinds.items()}
    mattes.write(file, ranks, told, channels="rgba")
    return [file]


@pytest.mark.parametrize(
    ("asked", "name"),
    [(None, "object"), ("objects", "object"), ("materials", "material"), ("assets", "asset")],
)
def test_of_several_cryptomattes_the_one_that_is_asked_for_is_taken(
    tmp_path: Path, asked: Any, name: str
) -> None:
    files = several(tmp_path)
    assert len(cryptomattes_of(read_facts(files[0]))) == 3
    one = reader(files, Asked(segments=asked), layers=("ViewLayer.CryptoObject00",))
    assert one.read(files[0])[0, 0].tolist() == rgb(name)


def test_a_cryptomatte_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    files, _ = clip(tmp_path, 1)
    with pytest.raises(MediaError, match=r"no cryptomatte of materials; it has crypto_object\."):
        reader(files, Asked(segments="materials"))


def test_the_same_object_has_the_same_colour_in_every_clip(tmp_path: Path) -> None:
    a, _ = clip(tmp_path / "a", 1)
    few = soft(9, ["other", "car"])
    told = mattes.metadata("crypto_object", manifest=mattes.manifest(["other", "car"]))
    b = tmp_path / "b.0001.exr"
    mattes.write(b, {"crypto_object": mattes.ranked(few)}, told)
    colours = []
    for files in (a, [b]):
        one = reader(files)
        one.read(files[0])
        colours.append({s["name"]: s["color"] for s in one.facts()["legend"]})
    assert colours[0]["car"] == colours[1]["car"]
    assert colours[0]["background"] == colours[1]["background"] == "#000000"


def test_names_that_are_in_no_picture_and_ids_that_are_not_in_the_manifest_are_told(
    tmp_path: Path,
) -> None:
    files, _ = clip(tmp_path, 1, manifest=mattes.manifest([*NAMES[1:], "ghost"]))
    one = reader(files)
    one.read(files[0])
    said = "\n".join(one.notes())
    assert "ghost of the manifest is in no picture" in said
    unnamed = f"id {mattes.id_of('car'):08x}"
    assert f"{unnamed} is not in the manifest: named by the id" in said
    names = {s["name"] for s in one.facts()["legend"]}
    assert unnamed in names
    assert "ghost" not in names


def test_without_a_manifest_segments_are_named_by_their_ids(tmp_path: Path) -> None:
    files, masks = clip(tmp_path, 1, hash="MurmurHash3_32")
    one = reader(files)
    picture = one.read(files[0])
    assert "has no manifest" in "\n".join(one.notes())
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == len(np.unique(truth(masks[0])))


def test_a_manifest_beside_the_picture_is_read_and_one_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a/m").mkdir(parents=True)
    (tmp_path / "a/m/names.json").write_text(mattes.manifest(NAMES))
    (tmp_path / "names.json").write_text(mattes.manifest(NAMES))
    (tmp_path / "a/link.json").symlink_to(tmp_path / "names.json")
    files, _ = clip(tmp_path / "a", 1, manif_file="m/names.json")
    one = reader(files)
    one.read(files[0])
    assert "car" in {s["name"] for s in one.facts()["legend"]}
    for said in ("../names.json", str(tmp_path / "names.json"), "..\\names.json", "link.json", ""):
        if said:
            files, _ = clip(tmp_path / "a", 1, manif_file=said)
            with pytest.raises(MediaError, match="outside of its directory"):
                reader(files)
    files, _ = clip(tmp_path / "a", 1, manif_file="gone.json")
    assert "gone.json" in "\n".join(reader(files).notes())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "no JSON object"),
        ('{"car": 5}', "the id of 'car' is 5"),
        ('{"car": "xyz"}', "the id of 'car' is 'xyz'"),
        ('{"car": "123456789"}', "not 8 hex digits"),
    ],
)
def test_a_manifest_that_is_none_is_refused_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    files, _ = clip(tmp_path, 1, manifest=text)
    with pytest.raises(MediaError, match=said) as e:
        reader(files)
    assert "\n" not in str(e.value)
    assert str(files[0]) in str(e.value)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"kind": "half"}, "crypto_object00 is half"),
        ({"compression": "pxr24"}, "crypto_object00 is compressed by pxr24"),
        ({"compression": "dwaa"}, "compressed by dwaa"),
    ],
)
def test_a_cryptomatte_that_has_lost_bits_is_refused(
    tmp_path: Path, how: dict[str, str], said: str
) -> None:
    file = tmp_path / "seg.0001.exr"
    told = mattes.metadata("crypto_object", manifest=mattes.manifest(NAMES))
    mattes.write(file, {"crypto_object": mattes.ranked(soft(0))}, told, **how)
    with pytest.raises(MediaError, match=said):
        reader([file])


def test_a_cryptomatte_that_lacks_a_level_in_one_frame_is_refused(tmp_path: Path) -> None:
    files, masks = clip(tmp_path, 2)
    told = mattes.metadata("crypto_object", manifest=mattes.manifest(NAMES))
    mattes.write(files[1], {"crypto_object": mattes.ranked(masks[1], 4)}, told)
    with pytest.raises(
        MediaError, match=r"seg\.0002\.exr has crypto_object00, crypto_object01, but"
    ):
        reader(files)


def test_layers_are_known_as_a_cryptomatte_s_where_the_metadata_are_lost(tmp_path: Path) -> None:
    file = tmp_path / "seg.0001.exr"
    mattes.write(file, {"CryptoObject": mattes.ranked(soft(0))})
    assert [m.name for m in cryptomattes_of(read_facts(file))] == ["CryptoObject"]
    reader([file], layers=("CryptoObject00",)).read(file)


def test_the_manifest_may_grow_from_frame_to_frame(tmp_path: Path) -> None:
    files, masks = clip(tmp_path, 2, manifest=mattes.manifest(NAMES[:1]))
    told = mattes.metadata("crypto_object", manifest=mattes.manifest(NAMES))
    mattes.write(files[1], {"crypto_object": mattes.ranked(masks[1], 8)}, told)
    one = reader(files)
    one.read(files[0])
    assert {s["name"] for s in one.facts()["legend"]} <= {*NAMES, "background"}


def test_an_object_that_is_called_0_is_not_taken_for_background(tmp_path: Path) -> None:
    file = tmp_path / "seg.0001.exr"
    told = mattes.metadata("crypto_object", manifest=mattes.manifest(["0"]))
    cover = np.zeros((4, 6), np.float32)
    cover[:2] = 1
    mattes.write(file, {"crypto_object": mattes.ranked({"0": cover}, 2)}, told)
    one = reader([file])
    assert one.read(file)[0, 0].tolist() == rgb("0") != [0, 0, 0]
    assert {s["name"] for s in one.facts()["legend"]} == {"0", "background"}


BLENDER = Path(__file__).parents[1] / "blender/exr"


def test_blender_s_cryptomatte_is_its_object_index() -> None:
    files = sorted(BLENDER.glob("*.exr"))
    one = reader(files, layers=tuple(f"ViewLayer.CryptoObject0{i}" for i in range(3)))
    index = read_facts(files[0]).layer("ViewLayer.Object Index")
    assert index is not None
    objects = {"background": 0, "Floor": 1, "Red Cube": 2, "Ball": 3, "Ring": 4}
    for file in files:
        picture, true = one.read(file), read_layer(file, index)[..., 0]
        for name, number in objects.items():
            assert np.array_equal((picture == rgb(name)).all(2), true == number)
    assert {s["name"] for s in one.facts()["legend"]} == set(objects)
    assert "Sun of the manifest is in no picture" in "\n".join(one.notes())
