from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media import encode_pass
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.encode_pass import Plan
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.segments.colours import code_of
from cosmos_pipelines.media.segments.labels import read_labels
from cosmos_pipelines.media.segments.reader import (
    ColourPictures,
    SegmentReader,
    reader_of,
    written_by_carla,
)
from cosmos_pipelines.media.sequence import Pass
from cosmos_pipelines.media.sources import look_at
from tests.media import renders

Reader = SegmentReader | ColourPictures


def reader(files: list[Path], beside: list[Path] | None = None, meaning: str = "") -> Reader:
    """Of PNG, or of the only layer of other pictures."""
    kind: Any = "png" if files[0].suffix == ".png" else "pictures"
    found = Pass("segmentation", kind, "seg.####", tuple(files), tuple(range(len(files))),
                 () if kind == "png" else ("",), meaning, tuple(beside or ()))  # fmt: skip
    return reader_of(look_at([found])[0], Asked())


def write(path: Path, pixels: Array, kind: str) -> None:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 1, kind)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    assert out.write_image(np.ascontiguousarray(pixels[..., None]))
    out.close()


def rgb(name: str) -> list[int]:
    return list(code_of(name).to_bytes(3))


def told(one: Reader) -> dict[str, dict[str, Any]]:
    return {s["name"]: s for s in one.facts()["legend"]}


IDS = np.array([[0, 1, 2, 2], [0, 7, 7, 2]])


def replicator(folder: Path, *, colours: bool, kind: str = "semantic_segmentation") -> Any:
    """Two frames whose ids and colours stand for other classes each time."""
    classes = [{0: "BACKGROUND", 1: "UNLABELLED", 2: "car", 7: "tree"},
               {0: "BACKGROUND", 1: "UNLABELLED", 2: "tree", 7: "car"}]  # fmt: skip
    palette = {0: (0, 0, 0, 0), 1: (0, 0, 0, 255), 2: (25, 255, 140, 255), 7: (140, 25, 255, 255)}
    pictures, labels = [], []
    for i, names in enumerate(classes):
        picture = np.array([[palette[v] for v in row] for row in IDS.tolist()], np.uint8)
        path = folder / f"{kind}_{i:04d}.png"
        renders.save(path, picture if colours else IDS.astype(np.uint16))
        said = {str(palette[k] if colours else k): {"class": name} for k, name in names.items()}
        label = folder / f"{kind}_labels_{i:04d}.json"
        label.write_text(json.dumps(said))
        pictures.append(path)
        labels.append(label)
    return pictures, labels


@pytest.mark.parametrize("colours", [True, False])
def test_replicator_s_classes_keep_one_colour_though_ids_and_colours_change(
    tmp_path: Path, colours: bool
) -> None:
    pictures, labels = replicator(tmp_path, colours=colours)
    one = reader(pictures, labels)
    first, second = one.read(pictures[0]), one.read(pictures[1])
    assert first[0, 2].tolist() == second[1, 1].tolist() == rgb("car")
    assert first[1, 1].tolist() == second[0, 2].tolist() == rgb("tree")
    assert first[0, 0].tolist() == [0, 0, 0]
    assert first[0, 1].tolist() == second[0, 1].tolist() == rgb("UNLABELLED") != [0, 0, 0]
    legend = told(one)
    assert sum(s["area"] for s in legend.values()) == pytest.approx(1)
    assert (legend["car"]["area"], legend["car"]["frames"]) == (5 / 16, 2)
    assert "one colour over the whole clip" in "\n".join(one.notes())


def test_instances_are_named_by_their_paths_where_there_are_classes_too(tmp_path: Path) -> None:
    pictures, _ = replicator(tmp_path, colours=False, kind="instance_segmentation")
    paths = {"0": "BACKGROUND", "1": "/World/a", "2": "/World/b", "7": "/World/c"}
    classes = {k: {"class": "cube"} for k in paths}
    beside = []
    for kind, said in (("mapping", paths), ("semantics_mapping", classes)):
        for i in range(2):
            beside.append(tmp_path / f"instance_segmentation_{kind}_{i:04d}.json")
            beside[-1].write_text(json.dumps(said))
    one = reader(pictures, beside)
    one.read(pictures[0])
    assert set(told(one)) == {"BACKGROUND", "/World/a", "/World/b", "/World/c"}


def test_a_picture_without_labels_among_others_is_refused(tmp_path: Path) -> None:
    pictures, labels = replicator(tmp_path, colours=False)
    third = tmp_path / "semantic_segmentation_0002.png"
    renders.save(third, IDS.astype(np.uint16))
    with pytest.raises(MediaError, match=r"_0002\.png has no labels: of 3 pictures 2 have some"):
        reader([*pictures, third], labels)


def test_labels_belong_to_the_picture_of_their_number(tmp_path: Path) -> None:
    pictures, labels = replicator(tmp_path, colours=False)
    late = labels[0].rename(labels[0].with_name("semantic_segmentation_labels_0002.json"))
    with pytest.raises(MediaError, match=r"_0000\.png has no labels: of 2 pictures 1 have some"):
        reader(pictures, [labels[1], late])
    far = [p.rename(p.with_name(f"semantic_segmentation_labels_{n}.json"))
           for p, n in ((labels[1], 18), (late, 17))]  # fmt: skip
    one = reader(pictures, [far[1], far[0]])  # numbered otherwise: in order
    one.read(pictures[0])
    assert "car" in told(one)


def test_a_colour_that_fills_an_area_and_that_no_label_names_is_no_edge(tmp_path: Path) -> None:
    picture = np.full((24, 32, 3), (200, 0, 0), np.uint8)
    picture[:, 16:] = (0, 0, 200)
    picture[:, 15] = (100, 0, 100)  # mixed
    picture[6:18, 20:30] = (25, 255, 82)
    path = tmp_path / "seg.0000.png"
    renders.save(path, picture)
    legend = tmp_path / "legend.json"
    legend.write_text('{"car": "#c80000", "road": [0, 0, 200]}')
    one = reader([path], [legend])
    assert one.read(path)[8, 24].tolist() == [25, 255, 82]
    assert set(told(one)) == {"car", "road", "#19ff52"}
    notes = "\n".join(one.notes())
    assert "do not name #19ff52, which fill areas: named by the colour" in notes
    assert "3.1 % of the pixels" in notes


def test_ids_that_the_labels_do_not_name_are_named_by_the_number(tmp_path: Path) -> None:
    picture = tmp_path / "seg_0000.png"
    renders.save(picture, IDS.astype(np.uint16))
    label = tmp_path / "labels_0000.json"
    label.write_text('{"2": "car"}')
    one = reader([picture], [label])
    one.read(picture)
    assert set(told(one)) == {"0", "1", "7", "car"}
    assert "do not name 0, 1, 7" in "\n".join(one.notes())


def test_background_alone_is_black_whatever_its_number(tmp_path: Path) -> None:
    picture = tmp_path / "seg_0000.png"
    renders.save(picture, IDS.astype(np.uint16))
    label = tmp_path / "labels_0000.json"
    label.write_text('{"7": "background"}')
    made = reader([picture], [label]).read(picture)
    assert made[1, 1].tolist() == [0, 0, 0]
    assert made[0, 0].any()


@pytest.mark.parametrize("kind", ["float", "uint16", "uint"])
def test_whole_numbers_are_ids_however_they_are_stored(tmp_path: Path, kind: str) -> None:
    ending = "exr" if kind == "float" else "tif"
    path = tmp_path / f"indexob.0000.{ending}"
    values = IDS * (100_000 if kind == "uint" else 1)
    pixels = values.astype({"float": "f4", "uint16": "u2", "uint": "u4"}[kind])
    write(path, pixels, kind)
    one = reader([path])
    picture = one.read(path)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 4
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert set(told(one)) == {str(v) for v in np.unique(values)}
    assert one.facts()["id_map"].startswith("PASCAL VOC")


@pytest.mark.parametrize("value", [1.5, -1.0, float("nan"), float("inf"), 1e10])
def test_an_index_that_is_no_whole_number_is_refused_in_one_line(
    tmp_path: Path, value: float
) -> None:
    path = tmp_path / "indexob.0000.exr"
    values = IDS.astype(np.float32)
    values[1, 1] = value
    write(path, values, "float")
    with pytest.raises(MediaError, match=r"is no segment id \(12\.5 % of the picture") as e:
        reader([path]).read(path)
    assert "\n" not in str(e.value)


def test_arrays_of_ids_are_read(tmp_path: Path) -> None:
    path = tmp_path / "instance_0000.npy"
    np.save(path, IDS.astype(np.uint32))
    assert len(np.unique(reader([path]).read(path).reshape(-1, 3), axis=0)) == 4


def test_carla_s_tags_have_the_names_and_colours_of_its_palette(tmp_path: Path) -> None:
    raw, coloured = tmp_path / "raw.0000.png", tmp_path / "colour.0000.png"
    tags = np.zeros((2, 4, 4), np.uint8)
    tags[..., 0], tags[..., 3] = [[0, 1, 14, 14], [11, 11, 24, 77]], 255
    renders.save(raw, tags)
    one = reader([raw], meaning="carla")
    picture = one.read(raw)
    assert picture[0, 1].tolist() == [128, 64, 128]
    assert set(told(one)) == {"Unlabeled", "Roads", "Car", "Sky", "RoadLine", "77"}
    assert "CARLA 0.9.14 and later" in "\n".join(one.notes())
    renders.save(coloured, picture[:, :3])
    again = reader([coloured], meaning="carla")
    assert np.array_equal(again.read(coloured), picture[:, :2])  # of even width
    assert set(told(again)) == {"Unlabeled", "Roads", "Sky"}


def test_carla_s_tags_may_be_grey(tmp_path: Path) -> None:
    raw = tmp_path / "raw.0000.png"
    renders.save(raw, np.array([[0, 7], [14, 14]], np.uint8))
    one = reader([raw], meaning="carla")
    assert one.read(raw)[1, 0].tolist() == [0, 0, 142]
    assert set(told(one)) == {"Unlabeled", "TrafficLight", "Car"}


def test_carla_s_instances_are_told_apart(tmp_path: Path) -> None:
    raw = tmp_path / "raw.0000.png"
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, 0], picture[0, 1] = (14, 1, 2), (14, 2, 2)
    renders.save(raw, picture)
    one = reader([raw], meaning="carla")
    one.read(raw)
    assert set(told(one)) == {"Unlabeled", "Car 513", "Car 514"}


def test_what_is_neither_tags_nor_palette_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.0000.png"
    renders.save(path, renders.segments(0))
    assert np.array_equal(reader([path], meaning="carla").read(path), renders.segments(0))


def test_bare_tags_are_known_though_nobody_says_carla(tmp_path: Path) -> None:
    black, raw = tmp_path / "x.0000.png", tmp_path / "x.0001.png"
    picture = np.zeros((4, 4, 3), np.uint8)
    renders.save(black, picture)
    picture[:2, :, 0], picture[2, :2, 0], picture[2, 2:, 0] = 11, 14, 1
    renders.save(raw, picture)
    source = look_at([Pass("segmentation", "png", "x", (black, raw), (0, 1))])[0]
    made = encode_pass.make(source, tmp_path / "s.mp4", Plan(4, 4, Fraction(24)), lambda: None)
    assert [(s["name"], s["area"]) for s in made["legend"]] == [
        *(("Unlabeled", 0.625), ("Sky", 0.25), ("Car", 0.0625), ("Roads", 0.0625)),
    ]
    assert "CARLA 0.9.14" in "\n".join(made["notes"])


def test_a_mask_in_red_is_no_tag_of_carla(tmp_path: Path) -> None:
    mask = tmp_path / "mask.0000.png"
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :, 0] = 1
    renders.save(mask, picture)
    found = Pass("segmentation", "png", "mask.####.png", (mask,), (0,))
    assert written_by_carla(look_at([found])[0]) is None


def test_a_legend_of_one_s_own_names_earlier_tags(tmp_path: Path) -> None:
    files = [tmp_path / f"x.{i:04d}.png" for i in range(2)]
    for file in files:
        renders.save(file, np.full((4, 4, 3), (10, 0, 0), np.uint8))
    legend = tmp_path / "legend.json"
    legend.write_text('{"10": "Vehicles"}')
    one = reader(files, [legend], "carla")
    one.read(files[0])
    assert set(told(one)) == {"Vehicles"}
    assert one.notes() == []


def test_the_colours_of_one_s_own_legend_stay_and_edges_are_snapped_to_them(
    tmp_path: Path,
) -> None:
    pictures = [tmp_path / f"seg.{i:04d}.png" for i in range(2)]
    picture = np.full((4, 6, 3), (200, 0, 0), np.uint8)
    picture[:, 3:] = (0, 0, 200)
    picture[:, 2] = (120, 0, 80)  # mixed
    for path in pictures:
        renders.save(path, picture)
    legend = tmp_path / "legend.json"
    legend.write_text('{"car": "#c80000", "road": [0, 0, 200], "third": "#640064"}')
    one = reader(pictures, [legend])
    made = one.read(pictures[0])
    assert (made[:, :3] == (200, 0, 0)).all()
    assert (made[:, 3:] == (0, 0, 200)).all()
    assert set(told(one)) == {"car", "road"}
    assert told(one)["car"]["color"] == "#c80000"
    assert "17 % of the pixels" in "\n".join(one.notes()).replace("16.7", "17")


def test_a_legend_of_other_pictures_is_refused(tmp_path: Path) -> None:
    pictures = [tmp_path / f"seg.{i:04d}.png" for i in range(2)]
    for path in pictures:
        renders.save(path, np.full((4, 4, 3), 9, np.uint8))
    legend = tmp_path / "legend.json"
    legend.write_text('{"car": "#c80000"}')
    with pytest.raises(MediaError, match="none of the colours"):
        reader(pictures, [legend]).read(pictures[0])
    legend.write_text('{"3": "car"}')
    assert "legend.json names no colours" in "\n".join(reader(pictures, [legend]).notes())


def test_colours_that_nobody_names_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "seg.0000.tif"
    want = renders.segments(0)
    spec = oiio.ImageSpec(64, 48, 3, "uint8")
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), spec)
    out.write_image(want)
    out.close()
    one = reader([path])
    assert np.array_equal(one.read(path), want)
    assert (one.facts(), one.notes()) == ({}, [])


@pytest.mark.parametrize(
    ("text", "ids", "colours"),
    [
        ('{"0": {"class": "BACKGROUND"}, "2": {"class": "car,vehicle"}}',
         {0: "BACKGROUND", 2: "car,vehicle"}, {}),
        ('{"(0, 0, 0, 0)": {"class": "a"}, "(1,2,3,255)": {"shape": "cube"}}',
         {}, {(0, 0, 0, 0): "a", (1, 2, 3, 255): "shape: cube"}),
        ('{"5": "/World/Cube"}', {5: "/World/Cube"}, {}),
        ('{"car": 3, "tree": "#010203"}', {3: "car"}, {(1, 2, 3): "tree"}),
        ('{"idToLabels": {"1": "x"}}', {1: "x"}, {}),
        ('[{"name": "car", "id": 3, "color": [1, 2, 3]}]', {3: "car"}, {(1, 2, 3): "car"}),
    ],
)  # fmt: skip
def test_labels_are_read_as_the_tools_write_them(
    tmp_path: Path, text: str, ids: Any, colours: Any
) -> None:
    file = tmp_path / "labels.json"
    file.write_text(text)
    labels = read_labels(file)
    assert (dict(labels.ids), dict(labels.colours)) == (ids, colours)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("5", "no JSON object of labels"),
        ('{"car": "red"}', "neither 'car' nor 'red' is an id or a colour"),
        ('{"car": [1, 2]}', "neither 'car' nor"),
        ('{"car": [1, 2, 900]}', "neither 'car' nor"),
        ('{"3": {"class": 5}}', "the label of '3'"),
        ('{"3": [1, 2]}', "the label of '3'"),
        ('{"(0,0,0)": "a", "(0, 0, 0)": "b"}', "both 'a' and 'b'"),
        ('{"a": "#010203", "b": "#010203"}', "both 'a' and 'b'"),
        ('[{"id": 3}]', "has no name"),
        ('[{"name": "x"}]', "neither id nor color"),
        ('{"3": "' + "x" * 1001 + '"}', "more than 1000 characters"),
        ("[" * 80 + "]" * 80, "levels of lists"),
    ],
)
def test_labels_that_are_none_are_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "labels.json"
    file.write_text(text)
    with pytest.raises(MediaError, match=said) as e:
        read_labels(file)
    assert "\n" not in str(e.value)
    assert str(file) in str(e.value)


def test_too_many_labels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({str(i): "x" for i in range(65537)}))
    with pytest.raises(MediaError, match="more than 65536 labels"):
        read_labels(file)
