"""What `prepare` refuses, in one clear line, leaving nothing behind."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import DiskFull, MediaError
from cosmos_pipelines.files import part_of
from cosmos_pipelines.media.prepare import prepare_scene
from tests.media import renders


def refused(source: Path) -> str:
    """The line; the destination must not exist afterwards."""
    dest = source.parent / "city"
    with pytest.raises(MediaError) as e:
        prepare_scene(source, dest)
    assert not dest.exists()
    said = str(e.value)
    assert "\n" not in said
    return said


def cut(path: Path, share: float = 0.6) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def coloured(directory: Path) -> None:
    renders.sequence(directory, "depth.%04d.png", renders.colour)


def background_only(directory: Path) -> None:
    renders.sequence(directory, "depth.%04d.png", lambda i: np.full((48, 64), 65535, np.uint16))


def shaded_ids(directory: Path) -> None:
    def noise(i: int) -> renders.Array:
        return np.random.default_rng(i).integers(0, 65536, (48, 64), dtype=np.uint16)

    renders.sequence(directory, "segmentation.%04d.png", noise)


def replace(name: str, pixels: renders.Array) -> Callable[[Path], None]:
    return lambda directory: renders.save(directory / name, pixels)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: [p.unlink() for p in d.glob("color.*")], "has no color pass; it has depth.##"),
        (lambda d: (d / "color.0003.png").unlink(), "Frames are missing: color.####.png lacks 3."),
        (lambda d: (d / "color.0006.png").unlink(), "differ in length: color.####.png 5 frames, d"),
        (replace("color.0004.png", renders.colour(0, 32, 48)), "color.0004.png is 32x48, but most"),
        (lambda d: renders.sequence(d, "depth.%04d.png", renders.distance, width=60), "in size: c"),
        (lambda d: (d / "color.0002.png").write_text("no"), "color.0002.png is not a PNG picture"),
        (lambda d: (d / "color.0002.png").write_bytes(b""), "color.0002.png is empty"),
        (lambda d: cut(d / "depth.0005.png"), "depth.0005.png is truncated"),
        (coloured, "depth.0001.png is coloured, but this pass needs one value a pixel"),
        (background_only, "every value is 65535"),
        (shaded_ids, "different values so far are no segment ids"),
        (replace("depth.0002.png", renders.colour(0)), "depth.####.png mixes 16-bit grey and"),
        (lambda d: renders.video(d / "depth.mp4", frames=4), "candidates for the pass depth"),
    ],
)  # fmt: skip
def test_unusable_sequences_are_refused_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    source = renders.render(tmp_path / "renders")
    spoil(source)
    assert said in refused(source)


def test_all_gaps_are_named_at_once(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders", frames=9)
    for name in ("color.0003.png", "color.0004.png", "depth.0007.png"):
        (source / name).unlink()
    assert "color.####.png lacks 3-4; depth.####.png lacks 7." in refused(source)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: renders.video(d / "depth.mp4", frames=5), "length: color.mp4 6 frames, d"),
        (lambda d: renders.video(d / "depth.mp4", fps=25), "rate: color.mp4 24 frames a second, d"),
        (lambda d: renders.video(d / "depth.mp4", width=32), "size: color.mp4 64x48, depth.mp4 32"),
        (lambda d: cut(d / "color.mp4"), "color.mp4 is truncated"),
        (lambda d: (d / "color.mp4").write_text("Hello"), "color.mp4 is not a video"),
        (lambda d: (d / "color.mp4").write_bytes(b""), "color.mp4 is empty"),
    ],
)  # fmt: skip
def test_unusable_videos_are_refused_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    renders.video(tmp_path / "renders/color.mp4")
    spoil(tmp_path / "renders")
    assert said in refused(tmp_path / "renders")


def test_an_empty_or_missing_directory_says_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "Name the pictures color.0001.png" in refused(tmp_path / "empty")
    assert "There is no" in refused(tmp_path / "gone")


def test_a_directory_without_read_permission_is_one_line(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    source.chmod(0)
    said = renders.as_nobody("prepare.prepare_scene(path, path.parent / 'city')", source)
    assert said.startswith("MediaError:")
    assert "cannot be read: permission denied" in said


def test_a_full_disk_leaves_the_destination_as_it_was(small_disk: Path, tmp_path: Path) -> None:
    def noise(i: int) -> renders.Array:
        return np.random.default_rng(i).integers(0, 256, (256, 256, 3), dtype=np.uint8)

    source = tmp_path / "renders"
    renders.sequence(source, "color.%04d.png", renders.colour, width=256, height=256)
    prepare_scene(source, small_disk / "city")
    before = {p.name: p.read_bytes() for p in (small_disk / "city").iterdir()}
    renders.sequence(source, "color.%04d.png", noise)
    (small_disk / "other").write_bytes(bytes(shutil.disk_usage(small_disk).free - 100_000))
    for dest in ("city", "new"):
        with pytest.raises(DiskFull, match="No room left for"):
            prepare_scene(source, small_disk / dest)
    assert {p.name: p.read_bytes() for p in (small_disk / "city").iterdir()} == before
    assert sorted(p.name for p in small_disk.iterdir()) == ["city", "other"]


def test_files_that_we_did_not_make_are_never_overwritten(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    renders.video(tmp_path / "city/depth.mp4")
    before = (tmp_path / "city/depth.mp4").read_bytes()
    with pytest.raises(MediaError, match=r"depth\.mp4 is there already and was not made by"):
        prepare_scene(source, tmp_path / "city")
    assert (tmp_path / "city/depth.mp4").read_bytes() == before


def test_a_source_is_never_overwritten_by_its_own_encoding(tmp_path: Path) -> None:
    renders.video(tmp_path / "city/color.mp4", coding=renders.Coding("yuv444p"))
    before = (tmp_path / "city/color.mp4").read_bytes()
    made = prepare_scene(tmp_path / "city", tmp_path / "city")
    assert made["passes"]["color"]["file"] == "color.prepared.mp4"
    assert (tmp_path / "city/color.mp4").read_bytes() == before
    (tmp_path / "city/scene.json").unlink()
    with pytest.raises(MediaError, match=r"color\.mp4 and color\.prepared\.mp4"):
        prepare_scene(tmp_path / "city", tmp_path / "city")


def test_an_interruption_leaves_the_earlier_scene_whole(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    prepare_scene(source, tmp_path / "city")
    before = {p.name: p.read_bytes() for p in (tmp_path / "city").iterdir()}
    renders.save(source / "color.0001.png", renders.colour(9))
    renders.save(source / "segmentation.0001.png", renders.segments(9))

    def stop(name: str, done: int, total: int) -> None:
        if name == "segmentation":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_scene(source, tmp_path / "city", progress=stop)
    assert {p.name: p.read_bytes() for p in (tmp_path / "city").iterdir()} == before


def test_one_that_was_killed_is_swept_up(tmp_path: Path) -> None:
    source, dest = renders.render(tmp_path / "renders"), tmp_path / "city"
    left = part_of(dest / ".prepare")
    left.mkdir(parents=True)
    (left / "color.mp4.part").touch()
    prepare_scene(source, dest)
    assert sorted(p.name for p in dest.iterdir()) == [
        "color.mp4", "depth.mp4", "scene.json", "segmentation.mp4",
    ]  # fmt: skip


def test_whoever_is_preparing_a_scene_is_waited_for(tmp_path: Path) -> None:
    source, dest = renders.render(tmp_path / "renders"), tmp_path / "city"
    first = prepare_scene(source, dest)
    lock = os.open(dest, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(prepare_scene, source, dest)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        os.close(lock)
        assert second.result() == first | {"unchanged": True}


def test_a_directory_that_is_removed_while_it_is_waited_for_is_made_again(tmp_path: Path) -> None:
    source, dest = renders.render(tmp_path / "renders"), tmp_path / "city"
    dest.mkdir()
    lock = os.open(dest, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(prepare_scene, source, dest)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        dest.rmdir()
        os.close(lock)
        assert second.result()["frames"] == 6
    assert (dest / "color.mp4").is_file()


def test_what_was_killed_while_it_was_put_into_place_is_finished_by_the_next(
    tmp_path: Path,
) -> None:
    scene = renders.render(tmp_path / "city")
    prepare_scene(scene, scene)
    whole = {p.name: p.read_bytes() for p in scene.iterdir()}
    for name in ("color.mp4", "segmentation.mp4"):  # the record comes first, color last
        (scene / name).unlink()
    prepare_scene(scene, scene)
    assert {p.name for p in scene.iterdir()} == set(whole)
    assert (scene / "color.mp4").read_bytes() == whole["color.mp4"]


def test_a_file_where_the_scene_shall_be_is_refused(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    (tmp_path / "city").write_text("mine")
    with pytest.raises(MediaError, match="city is not a directory"):
        prepare_scene(source, tmp_path / "city")


@pytest.mark.parametrize(
    ("begin", "refused"), [(1002, True), (999, True), (1001, False), (1, False)], ids=str
)
def test_passes_that_share_some_frames_only_are_not_paired_one_off(
    tmp_path: Path, begin: int, refused: bool
) -> None:
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour, range(1001, 1005))
    renders.sequence(tmp_path / "r", "depth.%04d.png", renders.distance, range(begin, begin + 4))
    if not refused:
        assert prepare_scene(tmp_path / "r", tmp_path / "city")["frames"] == 4
        return
    said = rf"of other frames: color\.####\.png 1001 to 1004, depth\.####\.png {begin} to"
    with pytest.raises(MediaError, match=said):
        prepare_scene(tmp_path / "r", tmp_path / "city")
    assert not (tmp_path / "city").exists()


def test_frames_that_are_counted_from_0_and_from_1_are_paired_and_it_is_said(
    tmp_path: Path,
) -> None:
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour, range(4))
    renders.sequence(tmp_path / "r", "depth.%04d.png", renders.distance, range(1, 5))
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert "numbering starts at 0 and 1: frames are paired in order" in made["notes"]
