"""scene.json may come from anybody: it names no file but ours, and ours are known by their hash."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.scene import load_scene
from cosmos_pipelines.media.scene_file import read_scene_file
from cosmos_pipelines.media.sequence import find_passes
from tests.media import renders

OURS = "cosmos prepare 0.1.0"


def entry(file: str, **more: Any) -> dict[str, Any]:
    """A pass as we record it, of a file with any name."""
    facts = {"file": file, "made": "encoded", "sha256": "0" * 64, "size": 1, "mtime_ns": 1}
    return facts | {"width": 64, "height": 48, "fps": "24", "notes": []} | more


def forged(directory: Path, **passes: Any) -> Path:
    """A scene directory of sequences with a scene.json that somebody made up."""
    renders.sequence(directory, "color.%04d.png", renders.colour)
    record = {"created_by": OURS, "passes": passes}
    (directory / "scene.json").write_text(json.dumps(record), encoding="utf-8")
    return directory


def content(directory: Path) -> dict[str, bytes]:
    return {
        p.relative_to(directory).as_posix(): p.read_bytes()
        for p in directory.rglob("*")
        if p.is_file()
    }


def refused(directory: Path) -> str:
    """The line in which it is refused; nothing has changed anywhere."""
    before = content(directory.parent)
    with pytest.raises(MediaError) as e:
        prepare_scene(directory, directory)
    assert content(directory.parent) == before
    assert "\n" not in str(e.value)
    return str(e.value)


@pytest.mark.parametrize(
    "file",
    ["../victim.txt", "{root}/victim.txt", "sub/depth.mp4", ".", "..", "", "depth.mp4\0", "~/x",
     "depth.mp4/", "./depth.mp4", "color.mp4", "prompt.txt", "scene.json"],
)  # fmt: skip
@pytest.mark.parametrize("made", ["encoded", "copied", "kept"])
def test_a_record_names_no_file_but_the_pass_of_that_name(
    tmp_path: Path, file: str, made: str
) -> None:
    (tmp_path / "victim.txt").write_text("mine")
    name = file.format(root=tmp_path)
    city = forged(tmp_path / "city", depth=entry(name, made=made))
    (city / "prompt.txt").write_text("mine")
    said = refused(city)
    assert str(city / "scene.json") in said
    assert "passes.depth" in said
    with pytest.raises(MediaError, match=r"scene\.json"):
        load_scene(city)
    with pytest.raises(MediaError, match=r"scene\.json"):
        find_passes(city)


@pytest.mark.parametrize("name", ["depths", "../x", "", "COLOR", "x" * 10_000])
def test_a_record_has_no_passes_but_those_that_there_are(tmp_path: Path, name: str) -> None:
    city = forged(tmp_path / "city", **{name: entry(f"{name}.mp4")})
    assert len(refused(city)) < 1000


def test_a_pass_that_we_did_not_make_is_a_source_and_stays(tmp_path: Path) -> None:
    city = forged(tmp_path / "city", depth=entry("depth.mp4"))
    renders.video(city / "depth.mp4")
    mine = (city / "depth.mp4").read_bytes()
    assert prepare_scene(city, city)["passes"]["depth"]["made"] == "kept"
    assert (city / "depth.mp4").read_bytes() == mine


def test_a_pass_that_we_did_not_make_is_not_overwritten(tmp_path: Path) -> None:
    city = forged(tmp_path / "city", depth=entry("depth.mp4"))
    renders.sequence(city, "depth.%04d.png", renders.distance)
    (city / "depth.mp4").write_text("my own notes on depth")
    assert "depth.mp4" in refused(city)


def test_what_the_user_has_put_in_place_of_our_pass_is_his(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    prepare_scene(source, tmp_path / "city")
    renders.video(tmp_path / "city/depth.mp4", frames=9)
    mine = (tmp_path / "city/depth.mp4").read_bytes()
    for change in ("depth.0003.png", "color.0003.png"):
        os.utime(source / change, (1, 1))
        with pytest.raises(MediaError, match=r"depth\.mp4 is there already and was not made by"):
            prepare_scene(source, tmp_path / "city")
    for path in source.glob("depth.*"):
        path.unlink()
    with pytest.raises(MediaError, match=r"depth\.mp4 is there already and was not made by"):
        prepare_scene(source, tmp_path / "city")
    assert (tmp_path / "city/depth.mp4").read_bytes() == mine


def test_a_video_that_was_kept_as_it_was_is_never_ours(tmp_path: Path) -> None:
    renders.video(tmp_path / "city/color.mp4")
    renders.video(tmp_path / "city/depth.mp4")
    made = prepare_scene(tmp_path / "city", tmp_path / "city")
    assert {e["made"] for e in made["passes"].values()} == {"kept"}
    mine = (tmp_path / "city/depth.mp4").read_bytes()
    (tmp_path / "renders").mkdir()
    renders.video(tmp_path / "renders/color.mp4")
    with pytest.raises(MediaError, match="was not made by"):
        prepare_scene(tmp_path / "renders", tmp_path / "city")
    assert (tmp_path / "city/depth.mp4").read_bytes() == mine


def test_a_link_in_place_of_our_pass_is_not_followed(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    prepare_scene(source, tmp_path / "city")
    (tmp_path / "city/depth.mp4").rename(tmp_path / "mine.mp4")
    (tmp_path / "city/depth.mp4").symlink_to(tmp_path / "mine.mp4")
    (source / "depth.0003.png").write_bytes((source / "depth.0001.png").read_bytes())
    with pytest.raises(MediaError, match="was not made by"):
        prepare_scene(source, tmp_path / "city")
    assert (tmp_path / "city/depth.mp4").is_symlink()


def test_a_directory_in_place_of_our_pass_is_refused(tmp_path: Path) -> None:
    city = forged(tmp_path / "city", depth=entry("depth.mp4"))
    renders.sequence(city, "depth.%04d.png", renders.distance)
    (city / "depth.mp4").mkdir()
    assert "depth.mp4" in refused(city)


def test_a_scene_json_of_the_users_is_not_overwritten(tmp_path: Path) -> None:
    renders.sequence(tmp_path / "city", "color.%04d.png", renders.colour)
    (tmp_path / "city/scene.json").write_text('{"name": "Town", "camera": {"lens": 35}}')
    said = refused(tmp_path / "city")
    assert "scene.json is there already and was not made by `cosmos prepare`" in said
    assert "--name" in said


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 100_000, '{"name": NaN}', '{"name": 1e999}', '{"name": 3}',
     '{"description": ["x"]}', json.dumps({"name": "x" * 10_000}), '{"name": "\\ud800"}',
     json.dumps({"created_by": OURS, "passes": 3}), json.dumps({"created_by": OURS, "passes": []}),
     json.dumps({"created_by": OURS, "passes": {}, "notes": "x"}),
     json.dumps({"created_by": OURS, "passes": {}, "ignored": [3]})],
    ids=lambda x: x[:30],
)  # fmt: skip
def test_a_scene_json_that_nobody_can_use_is_one_line(tmp_path: Path, text: str) -> None:
    renders.sequence(tmp_path / "city", "color.%04d.png", renders.colour)
    (tmp_path / "city/scene.json").write_text(text, encoding="utf-8")
    said = refused(tmp_path / "city")
    assert "scene.json" in said
    assert len(said) < 700


def test_a_scene_json_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    renders.sequence(tmp_path / "city", "color.%04d.png", renders.colour)
    with (tmp_path / "city/scene.json").open("wb") as f:
        f.truncate(2 << 30)
    for read in (load_scene, find_passes):
        with pytest.raises(MediaError, match="too large"):
            read(tmp_path / "city")


def test_a_pipe_called_scene_json_is_not_waited_for(tmp_path: Path) -> None:
    renders.sequence(tmp_path / "city", "color.%04d.png", renders.colour)
    os.mkfifo(tmp_path / "city/scene.json")
    with pytest.raises(MediaError, match="is a pipe"):
        prepare_scene(tmp_path / "city", tmp_path / "city")


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", "64"), ("mtime_ns", 1.5), ("size", -1), ("sha256", "../../x"), ("fps", 24),
     ("fps", "1/0"), ("notes", "x"), ("notes", [1]), ("depth", []), ("depth", {"near": 1}),
     ("max_error", "none"), ("fingerprint", 3), ("made", "removed"), ("mean_error", None)],
)  # fmt: skip
def test_a_field_of_another_type_is_refused_by_name(tmp_path: Path, field: str, value: Any) -> None:
    city = forged(tmp_path / "city", depth=entry("depth.mp4") | {field: value})
    assert f"passes.depth.{field}" in refused(city)


def test_the_hash_of_a_pass_is_that_of_its_bytes_whatever_scene_json_says(tmp_path: Path) -> None:
    renders.video(tmp_path / "city/color.mp4")
    s = (tmp_path / "city/color.mp4").stat()
    claimed = entry("color.mp4", size=s.st_size, mtime_ns=s.st_mtime_ns, sha256="a" * 64)
    record = {"created_by": OURS, "passes": {"color": claimed}}
    (tmp_path / "city/scene.json").write_text(json.dumps(record))
    real = sha256_of(tmp_path / "city/color.mp4")
    scene = load_scene(tmp_path / "city")
    assert scene.sha256["color"] == real
    assert scene.digest == hashlib.sha256(json.dumps([("color", real)]).encode()).hexdigest()


def test_nobody_elses_directory_with_a_name_like_ours_is_removed(tmp_path: Path) -> None:
    source, city = renders.render(tmp_path / "renders"), tmp_path / "city"
    (city / ".prepare_notes.part").mkdir(parents=True)
    (city / ".prepare_notes.part/mine.txt").write_text("mine")
    prepare_scene(source, city)
    assert (city / ".prepare_notes.part/mine.txt").read_text() == "mine"


@pytest.mark.parametrize("after", [0, 1, 2])
def test_killed_at_any_point_of_putting_it_into_place_the_next_one_finishes(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice in a row, with other renders each time, and a pass that is gone in the end."""
    from cosmos_pipelines.media import publish

    source, city = renders.render(tmp_path / "renders"), tmp_path / "city"
    prepare_scene(source, city)
    real, done = publish.move, 0

    def move(*args: Any, **how: Any) -> None:
        nonlocal done
        done += 1
        if done > after:
            raise KeyboardInterrupt
        real(*args, **how)

    for shift in (11, 23):
        for i in range(1, 7):
            renders.save(source / f"color.{i:04}.png", renders.colour(i + shift))
            renders.save(source / f"depth.{i:04}.png", renders.distance(i + shift))
        monkeypatch.setattr(publish, "move", move)
        done = 0
        with pytest.raises(KeyboardInterrupt):
            prepare_scene(source, city)
        monkeypatch.setattr(publish, "move", real)
    for path in source.glob("segmentation.*"):
        path.unlink()
    made = prepare_scene(source, city)
    assert sorted(p.name for p in city.iterdir()) == ["color.mp4", "depth.mp4", "scene.json"]
    for name, one in made["passes"].items():
        assert sha256_of(city / f"{name}.mp4") == one["sha256"]
    clean = prepare_scene(source, tmp_path / "clean")
    assert clean["passes"]["color"]["sha256"] == made["passes"]["color"]["sha256"]
    assert prepare_scene(source, city)["unchanged"]


def test_a_record_of_a_version_that_told_less_of_its_passes_can_still_be_used(
    tmp_path: Path,
) -> None:
    source, city = renders.render(tmp_path / "renders"), tmp_path / "city"
    prepare_scene(source, city)
    record = json.loads((city / "scene.json").read_text())
    depth = record["passes"]["depth"]["depth"]
    wanted = {"source_values", "value_of_white", "value_of_black"}
    assert depth.keys() > wanted
    record["passes"]["depth"]["depth"] = {name: depth[name] for name in wanted}
    del record["passes"]["segmentation"]["mean_error"]
    (city / "scene.json").write_text(json.dumps(record), encoding="utf-8")
    again = prepare_scene(source, city, description="another")
    assert any("larger values are farther" in note for note in again["notes"])
    assert any("decoded colours differ" in note for note in again["notes"])


SEGMENT = {"name": "car", "color": "#ff0000", "area": 0.5, "frames": 3}


@pytest.mark.parametrize(
    "legend",
    [
        [SEGMENT | {"color": "red"}],
        [SEGMENT | {"color": "#FF0000;x"}],
        [SEGMENT | {"area": 1.5}],
        [SEGMENT | {"area": float("nan")}],
        [SEGMENT | {"frames": -1}],
        [SEGMENT | {"name": 5}],
        [SEGMENT | {"name": "x" * 1001}],
        [SEGMENT | {"id": 5}],
        [{"name": "car"}],
        [SEGMENT] * 4097,
        {"car": SEGMENT},
        "car",
    ],
    ids=range(12),
)
def test_a_legend_says_what_ours_would(tmp_path: Path, legend: Any) -> None:
    city = forged(tmp_path / "city", segmentation=entry("segmentation.mp4", legend=legend))
    said = refused(city)
    assert "scene.json" in said
    assert len(said) < 1000


def test_a_legend_is_kept_as_it_was_written(tmp_path: Path) -> None:
    legend = [SEGMENT, SEGMENT | {"name": "tree", "id": "79b62f5e"}]
    city = forged(tmp_path / "city", segmentation=entry("segmentation.mp4", legend=legend))
    assert read_scene_file(city)["passes"]["segmentation"]["legend"] == legend
