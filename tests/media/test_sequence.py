from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.numbering import missing, stretches_text
from cosmos_pipelines.media.sequence import PASSES, find_passes, recognise, survey
from tests.media import renders


def touch(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    return directory


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("color.%04d.png", "color"),
        ("beauty_%04d.png", "color"),
        ("color-%04d.png", "color"),
        ("color%04d.png", "color"),
        ("Color%d.PNG", "color"),
        ("shot_v2_color.%04d.png", "color"),
        ("rgb.%04d.png", "color"),
        ("Image%04d.png", "color"),
        ("frame_%04d_depth.png", "depth"),
        ("ZDepth.%04d.png", "depth"),
        ("z.%04d.png", "depth"),
        ("city_seg_%04d.png", "segmentation"),
        ("object_id.%04d.png", "segmentation"),
        ("instance.%04d.png", "segmentation"),
        ("depth/%04d.png", "depth"),
        ("depth/render_%04d.png", "depth"),
        ("segmentation/shot_%04d.png", "segmentation"),
        ("canny.%04d.png", "edge"),
        ("vis.%04d.png", "vis"),
    ],
)
def test_passes_are_recognised_by_the_names_that_renderers_give(
    tmp_path: Path, pattern: str, name: str
) -> None:
    touch(tmp_path, *(pattern % n for n in (8, 9, 10)))
    found = find_passes(tmp_path)
    assert list(found) == [name]
    assert found[name].numbers == (8, 9, 10)
    assert found[name].label == pattern.replace("%04d", "####").replace("%d", "####")


def test_frames_are_in_the_order_of_their_numbers_not_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, *(f"color.{n}.png" for n in (10, 9, 11, 100, 99)))
    names = [p.name for p in find_passes(tmp_path)["color"].files]
    assert names == [f"color.{n}.png" for n in (9, 10, 11, 99, 100)]


def test_videos_sequences_and_directories_can_be_mixed(tmp_path: Path) -> None:
    touch(tmp_path, "shot_beauty_v3.mp4", "depth/0001.png", "depth/0002.png", "seg.0001.png")
    found = find_passes(tmp_path)
    assert {n: p.kind for n, p in found.items()} == {
        "color": "video",
        "depth": "png",
        "segmentation": "png",
    }


def test_a_gap_in_the_numbering_is_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"color.{n:04d}.png" for n in (1, 2, 5, 7)))
    found = find_passes(tmp_path)["color"]
    assert missing(found.numbers) == ((3, 4), (6, 6))
    assert stretches_text(missing(found.numbers)) == "3-4, 6"


def test_two_candidates_for_one_pass_are_both_named(tmp_path: Path) -> None:
    touch(tmp_path, "color.0001.png", "beauty.mp4")
    with pytest.raises(MediaError, match=r"candidates for the pass color: .*beauty\.mp4") as e:
        find_passes(tmp_path)
    assert "color.####.png" in str(e.value)


def test_a_clear_name_wins_over_a_weak_one(tmp_path: Path) -> None:
    touch(tmp_path, "beauty.0001.png", "image.0001.png")
    found = survey(tmp_path).scene()
    assert found.passes["color"].label == "beauty.####.png"
    assert found.ignored == ("image.####.png",)


def test_what_is_no_pass_is_ignored_but_named(tmp_path: Path) -> None:
    touch(
        tmp_path, "color.0001.png", "diffuse_color.0001.png", "normals/0001.png", "notes.txt",
        "color_preview.png", ".hidden.png", "city.mp4",
    )  # fmt: skip
    assert survey(tmp_path).scene().ignored == (
        "city.mp4",
        "color_preview.png (no frame number)",
        "diffuse_color.####.png",
        "normals/####.png",
    )


def test_the_same_frame_twice_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "color.1.png", "color.0001.png")
    with pytest.raises(MediaError, match=r"color\.0001\.png and color\.1\.png are both frame 1"):
        find_passes(tmp_path)


def test_a_file_named_against_its_directory_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "depth/segmentation.0001.png")
    with pytest.raises(MediaError, match="lies in a directory for depth but is named as seg"):
        find_passes(tmp_path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="There is no"):
        find_passes(tmp_path / "gone")
    touch(tmp_path, "file")
    with pytest.raises(MediaError, match="is not a directory"):
        find_passes(tmp_path / "file")


@pytest.mark.parametrize("closed", [".", "depth"])
def test_a_directory_without_read_permission_says_so(tmp_path: Path, closed: str) -> None:
    renders.render(tmp_path / "scene", frames=1)
    (tmp_path / "scene/depth").mkdir()
    (tmp_path / "scene" / closed).chmod(0)
    said = renders.as_nobody("sequence.find_passes(path)", tmp_path / "scene")
    assert said.startswith("MediaError:")
    assert "cannot be read: permission denied" in said


@given(st.text(max_size=40))
def test_any_name_is_recognised_or_not_without_failing(words: str) -> None:
    assert recognise(words)[0] in {None, "", *PASSES}


@pytest.mark.parametrize("numbers", [range(-20, -12), range(-3, 5)])
def test_negative_numbers_are_frames_before_zero(tmp_path: Path, numbers: range) -> None:
    touch(tmp_path, *(f"color.{n:05d}.png" for n in numbers))
    found = find_passes(tmp_path)["color"]
    assert (found.numbers, found.label) == (tuple(numbers), "color.####.png")


def test_versions_of_one_pass_are_candidates_that_are_both_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"shot010_color_{n:04d}_v{v:03d}.png" for n in range(1, 6) for v in (2, 3)))
    with pytest.raises(MediaError, match=r"shot010_color_####_v002\.png and .*_v003\.png"):
        find_passes(tmp_path)


def test_many_candidates_are_not_all_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"color_cam{c}_{n}.png" for c in range(9) for n in range(30)))
    with pytest.raises(MediaError, match=r"9 candidates .* and 5 more\."):
        find_passes(tmp_path)


def test_a_version_behind_the_frame_number_is_no_frame_number(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"sh010_{p}_{n:05d}_v002.png" for p in ("color", "depth") for n in (-1, 0, 1))
    )
    found = find_passes(tmp_path)
    assert {name: p.numbers for name, p in found.items()} == {
        "color": (-1, 0, 1),
        "depth": (-1, 0, 1),
    }
