"""Readers of files that come from elsewhere: a value of the right shape, or one error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.carriers.docker import DockerCarrier
from cosmos_pipelines.backends.ssh import host_shell
from cosmos_pipelines.backends.ssh.folder import Answer
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.foreign import read_text
from cosmos_pipelines.hosts import records
from cosmos_pipelines.hosts.manifest import read_manifest
from cosmos_pipelines.hosts.token import token_of
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.scene import load_scene
from cosmos_pipelines.media.sequence import find_passes
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.scene_requests import read_request
from cosmos_pipelines.settings import load_settings
from cosmos_pipelines.settings_tables import Docker
from tests.fuzz.inputs import damaged, json_like, some
from tests.media import renders

RUN = "rs_" + "1" * 32
HASH = "a" * 64
FILE = {"sha256": HASH, "size": 3}
VIDEO = {"path": "/a", "sha256": HASH, "size": 1, "width": 1, "height": 1, "frames": 1, "fps": "24"}
ORDER = Order(id=RUN, run_ids=(RUN,), engine="preview", model_type="transfer", argv=("a", "b"),
              inputs={}, expected=(), documents={"a.json": "{}"})  # fmt: skip
CONTAINER = {
    "Id": "f" * 64, "Name": "/cosmos-x", "Created": "2026-01-01T00:00:00Z", "Image": "sha256:1",
    "Config": {"Image": "i", "Labels": {"cosmos.order": RUN}},
    "State": {"Status": "exited", "Pid": 3, "ExitCode": 0, "StartedAt": "2026-01-01T00:00:00Z"},
}  # fmt: skip
CHECKPOINTS = {
    "action": "verify", "deep": False, "well": True, "counts": {"ok": 1}, "bytes": 3,
    "seconds": 0.5, "files": [{"path": "a/b", "state": "ok", "what": "", "size": 3}],
}  # fmt: skip
MANIFEST = {
    "engine": "cosmos3", "about": ["x"],
    "files": [{"repo": "a/b", "path": "c", "target": "checkpoints", "size": 3, "md5": None,
               "revision": None, "gated": False, "needed_for": ["transfer"]}],
}  # fmt: skip
SET_UP = {"image_id": "i", "smoke": {"passed": True, "missing": []}, "recorded_at": "2026-01-01"}

Read = Callable[[Path], Any]


def text_of(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")


def seen_in(text: str) -> Any:
    return Answer("gpu1", DockerCarrier(Docker()), {"carried": text}).seen(RUN)


READ: dict[str, tuple[Any, Read]] = {
    "order.json": (
        json.loads(ORDER.model_dump_json()), lambda f: run_folder.read_order(text_of(f), RUN)
    ),
    "result.json": (
        {"exit_code": 0, "outputs": {"a.mp4": FILE}, "refused": 0},
        lambda f: run_folder.read_outcome("0", text_of(f), None),
    ),
    "finished.json": (
        {"outputs": {"a.mp4": FILE}, "failed": {RUN: ["blocked", "x"]},
         "samples": {RUN: {"seconds": 1.5, "load_s": None}}},
        lambda f: run_folder.read_outcome(None, None, None, text_of(f)),
    ),
    "record.json": (
        {"loads": 1, "samples": {RUN: {"seconds": 1.5, "load_s": 2}}, "failed": {}},
        lambda f: run_folder.read_samples(text_of(f)),
    ),
    "inspect.json": ([CONTAINER], lambda f: seen_in(text_of(f))),
    "setup.json": (SET_UP, lambda f: records.read_set_up(text_of(f))),
    "sizes.json": (
        {"files": {"a/b": FILE}, "listed": {"a@main": ["b"]}},
        lambda f: records.read_sizes(text_of(f)),
    ),
    "checkpoints.json": (CHECKPOINTS, lambda f: records.read_checkpoints(text_of(f))),
    "manifest.json": (MANIFEST, read_manifest),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foreign")


def only_ours(read: Callable[[], Any]) -> Any:
    """What it returns, unless it is refused in one short line."""
    try:
        return read()
    except CosmosError as e:
        assert "\n" not in str(e)
        assert 0 < len(str(e)) < 2500
        return None


@pytest.mark.parametrize("name", READ)
@some(80)
@given(data=st.data())
def test_a_record_is_what_it_should_be_or_refused(
    place: Path, name: str, data: st.DataObject
) -> None:
    document, read = READ[name]
    (place / name).write_bytes(data.draw(json_like(document)))
    only_ours(lambda: read(place / name))


SCENE_TOML = b"""\
engine = "preview"
num_steps = 20
[[prompt]]
text = "A rainy night, caf\xc3\xa9"
name = "neon"
[[recipe]]
weights = { vis = 0.2, edge = 0.5 }
[[recipe]]
name = "loose"
guidance = 8.0
"""
COSMOS_TOML = b"""\
owner = "team:x"
[execution]
engine = "preview"
grace_s = 2
[docker]
mounts = ["/a:/b:ro"]
[docker.env]
A = "b"
[remote]
host = "gpu1"
port = 22
"""


@some(200)
@given(data=st.data())
def test_a_request_is_what_it_should_be_or_refused(place: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["scene.toml", "prompt.txt"]))
    directory = place / "scene"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    (directory / name).write_bytes(data.draw(damaged(SCENE_TOML)))
    only_ours(lambda: read_request(directory))


@some(200)
@given(data=st.data())
def test_settings_are_what_they_should_be_or_refused(place: Path, data: st.DataObject) -> None:
    (place / "cosmos.toml").write_bytes(data.draw(damaged(COSMOS_TOML)))
    only_ours(lambda: load_settings(place))


@some(60)
@given(data=st.binary(max_size=200))
def test_a_token_and_a_text_are_what_they_should_be_or_refused(place: Path, data: bytes) -> None:
    file = place / "token"
    file.write_bytes(data)
    file.chmod(0o600)
    only_ours(lambda: token_of({}, file))
    only_ours(lambda: read_text(file, 100))
    only_ours(lambda: host_shell.parts(data))


# --- scenes ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene that was prepared in place."""
    city = tmp_path_factory.mktemp("prepared") / "city"
    tiny = {"width": 16, "height": 16}
    renders.sequence(city, "color.%04d.png", renders.colour, range(1, 4), **tiny)
    renders.sequence(city, "depth.%04d.png", renders.distance, range(1, 4), **tiny)
    renders.video(city / "vis.mp4", frames=3, **tiny)
    prepare_scene(city, city)
    return city


def contents(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}


@some(120)
@given(data=st.data())
def test_a_scene_json_is_believed_or_refused_and_harms_nobody(
    prepared: Path, place: Path, data: st.DataObject
) -> None:
    city = place / "around" / "city"
    shutil.rmtree(city.parent, ignore_errors=True)
    shutil.copytree(prepared, city)
    (city.parent / "victim.txt").write_text("mine")
    mine = {n: c for n, c in contents(city).items() if n.endswith(".png") or n == "vis.mp4"}
    record = json.loads((prepared / "scene.json").read_text())
    (city / "scene.json").write_bytes(data.draw(json_like(record)))
    only_ours(lambda: find_passes(city))
    only_ours(lambda: load_scene(city))
    only_ours(lambda: prepare_scene(city, city, description="another"))
    assert mine.items() <= contents(city).items()
    assert contents(city.parent) == {"victim.txt": b"mine"}
    assert not list(city.glob(".*"))


@pytest.mark.parametrize("name", ["color.0002.png", "color.mp4"])
@some(60)
@given(data=st.data())
def test_a_damaged_picture_or_video_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: Path, name: str, data: st.DataObject
) -> None:
    directory = place / "pictures"
    shutil.rmtree(directory, ignore_errors=True)
    if name.endswith(".png"):
        renders.sequence(
            directory, "color.%04d.png", renders.colour, range(1, 4), width=16, height=16
        )
    else:
        renders.video(directory / name, frames=3, width=16, height=16)
    whole = (directory / name).read_bytes()
    (directory / name).write_bytes(data.draw(damaged(whole)))
    only_ours(lambda: load_scene(directory))
    only_ours(lambda: prepare_scene(directory, place / "made"))
    assert not list(place.rglob("*.part"))
    shutil.rmtree(place / "made", ignore_errors=True)
