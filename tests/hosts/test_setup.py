"""A bare host of the rig made ready for an engine: git, docker build and containers are real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.errors import BackendError, InputError, StateError, UnknownId
from cosmos_pipelines.hosts.arrive import SetupRequest
from cosmos_pipelines.hosts.setup import set_up
from tests.rig.fleet import Fleet
from tests.support.host_engine import (
    DOCKERFILE,
    IMAGE,
    NAME,
    Ready,
    registered,
    settings_for,
    setup_of,
)


def made(bare: Ready, told: list[str] | None = None, **request: Any) -> dict[str, Any]:
    """Set it up; `told` gets the lines."""
    return set_up(
        bare.settings, NAME, SetupRequest(**request), (told if told is not None else []).append
    )


def parts_left(bare: Ready) -> list[str]:
    """What a set-up would leave half-made."""
    return [p.name for p in bare.own.iterdir() if p.name.startswith(".") and p.name != ".lock"]


def test_a_bare_host_becomes_ready_and_a_second_time_costs_nothing(bare: Ready) -> None:
    told: list[str] = []
    record = made(bare, told)
    assert record["commit"] == bare.commit
    assert record["verified"]
    assert record["smoke"]["passed"]
    assert record["smoke"]["found"] == ["torch found"]
    assert record["image_digest"] == bare.host.docker("images", "-q", "--no-trunc", IMAGE)
    assert json.loads((bare.own / "setup.json").read_text()) == record
    assert (bare.own / "checkpoints").is_dir()
    assert (bare.own / "huggingface").is_dir()
    assert b"\r" not in (bare.own / "Dockerfile").read_bytes()
    assert any(line.startswith("image: building") for line in told)
    assert any("this is a step of the build" in line for line in told)
    assert "smoke test: passed." in told
    assert Path(record["log"]).read_text().splitlines() == told
    assert parts_left(bare) == []
    assert bare.host.docker("ps", "--all", "--quiet") == ""
    assert "cosmos-new-" not in bare.host.docker("images", "--format={{.Repository}}")
    owners = bare.host.console("find", "/data/cosmos", "-printf", "%u\n").split()
    assert set(owners) == {b"ops"}

    told.clear()
    again = made(bare, told)
    assert f"code: {bare.commit[:12]} is there, unchanged." in told
    assert f"image: {IMAGE} is there, {record['image_digest']}." in told
    assert again["image_id"] == record["image_id"]


def test_a_checkout_of_this_machine_is_copied_with_unix_line_ends(bare: Ready) -> None:
    told: list[str] = []
    (bare.source / "run.sh").write_text("not committed")
    record = made(bare, told, source=bare.source)
    assert record["verified"]
    assert bare.code("run.sh") == b"#!/bin/sh\necho it runs\n"
    assert b"\r" not in bare.code("smoke.py")
    assert bare.code("requirements.txt") == b"torch\r\n"  # no program: as it is
    assert bare.code("assets/a b.txt") == b"x"
    assert bare.host.console("sh", "-c", f"/{bare.own.relative_to(bare.host.root)}/code/run.sh")
    assert (bare.own / "code" / "link").readlink() == Path("assets/a b.txt")
    told.clear()
    made(bare, told)
    assert f"code: {bare.commit[:12]} is there, unchanged." in told


def test_code_that_was_changed_on_the_host_is_replaced(bare: Ready) -> None:
    for source in (None, bare.source):  # once as a repository, once as a copy
        made(bare, source=source)
        (bare.own / "code" / "smoke.py").write_text("print('[SUCCESS] anything')")
        told: list[str] = []
        record = made(bare, told, source=source)
        assert any("smoke.py" in line and "will be replaced" in line for line in told), told
        assert record["smoke"]["found"] == ["torch found"]
        assert parts_left(bare) == []


def test_a_directory_without_the_commit_is_sent_as_it_is_and_said_to_be_unverified(
    bare: Ready, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    (plain / "checkpoints").mkdir(parents=True)
    (plain / "checkpoints" / "huge.pt").write_text("weights")
    (plain / "__pycache__").mkdir()
    (plain / "smoke.py").write_bytes(b"print('[SUCCESS] mine')\r\n")
    (plain / "requirements.txt").write_text("a")
    told: list[str] = []
    record = made(bare, told, source=plain)
    assert not record["verified"]
    assert record["commit"].startswith("unverified:")
    assert any(line.startswith("warning:") and "cannot be verified" in line for line in told)
    assert not (bare.own / "code" / "checkpoints").exists()
    (plain / "requirements.txt").write_text("b")
    assert made(bare, source=plain)["image_id"] != record["image_id"]


def test_a_commit_that_cannot_be_had_leaves_the_old_code(bare: Ready, tmp_path: Path) -> None:
    made(bare)
    with (
        registered(setup_of("f" * 40, tmp_path / "Dockerfile")),
        pytest.raises(
            BackendError, match="ffffffffffff cannot be fetched from file:///data"
        ) as caught,
    ):
        made(bare)
    assert caught.value.exit_code == 4
    assert "--from DIR" in str(caught.value)
    assert bare.code("run.sh") == b"#!/bin/sh\r\necho it runs\r\n"
    assert parts_left(bare) == []


def test_code_that_containers_use_is_not_replaced_under_them(bare: Ready) -> None:
    made(bare)
    (bare.own / "code" / "smoke.py").write_text("changed")
    labels = ["--label=cosmos.engine=rigged", "--label=cosmos.project=x"]
    bare.host.docker("run", "--detach", "--name=busy", *labels, IMAGE, "sleep", "60")
    with pytest.raises(StateError, match="is used by busy"):
        made(bare)
    assert bare.code("smoke.py") == b"changed"


def test_an_image_is_built_anew_when_what_it_is_made_of_changes(
    bare: Ready, tmp_path: Path
) -> None:
    first = made(bare)
    assert made(bare, arguments={"EXTRA": "1"})["dockerfile"] != first["dockerfile"]
    own = tmp_path / "own"
    own.write_text(DOCKERFILE.replace("a step", "another step"))
    told: list[str] = []
    made(bare, told, dockerfile=own)
    assert any("this is another step of the build" in line for line in told)
    bare.host.docker("tag", "cosmos-rig/preview:1", "cosmos-rig/other:1")
    other = made(bare, base="cosmos-rig/other:1")
    history = bare.host.docker("image", "inspect", "--format={{json .Config.Labels}}", IMAGE)
    assert json.loads(history)["cosmos.dockerfile"] == other["dockerfile"]


def test_an_image_of_the_users_own_is_taken_instead(bare: Ready) -> None:
    record = made(bare, image="cosmos-rig/preview:1")
    assert record["image_id"] == bare.host.image("preview")
    assert record["smoke"]["image_digest"] == record["image_digest"]
    with pytest.raises(BackendError, match="The image nobody/has:1 is not on gpu1"):
        made(bare, image="nobody/has:1")


@pytest.mark.parametrize(
    ("wanted", "said", "hint"),
    [
        ({"dockerfile": "FROM cosmos-rig/preview:1\nRUN echo why >&2; exit 7\n"}, "code: 7", ""),
        ({"base": "nobody/has:1"}, "registry-1.docker.io", "--base IMAGE"),
    ],
)
def test_a_build_that_fails_says_why_and_leaves_its_output_here(
    bare: Ready, tmp_path: Path, wanted: dict[str, Any], said: str, hint: str
) -> None:
    if text := wanted.get("dockerfile"):
        wanted = {"dockerfile": tmp_path / "own"}
        (tmp_path / "own").write_text(text)
    with pytest.raises(BackendError, match="docker build failed on gpu1") as caught:
        made(bare, **wanted)
    assert said in str(caught.value)
    assert hint in str(caught.value)
    log = (bare.settings.outputs / "host_setup" / f"{NAME}.log").read_text()
    assert "Step 1/" in log
    assert log.splitlines()[-1].startswith("error: docker build failed")


def test_a_smoke_test_whose_process_crashes_has_failed_whatever_it_said(bare: Ready) -> None:
    made(bare)
    bare.smoke_finds("crash")
    said = "its process ended with exit code 139, signal 11; its last line: "
    with pytest.raises(BackendError, match=said):
        made(bare)
    record = json.loads((bare.own / "setup.json").read_text())
    assert (record["smoke"]["passed"], record["smoke"]["found"]) == (False, ["torch found"])


def test_the_smoke_test_is_judged_by_what_it_says_where_its_exit_code_is_0(bare: Ready) -> None:
    made(bare)
    bare.smoke_finds("broken")
    with pytest.raises(BackendError, match=r"failed: Package not successfully imported: vllm"):
        made(bare)
    record = json.loads((bare.own / "setup.json").read_text())
    assert record["smoke"]["exit_code"] == 0
    assert not record["smoke"]["passed"]
    assert record["image_digest"]


def test_a_smoke_test_that_says_nothing_has_failed(bare: Ready, tmp_path: Path) -> None:
    silent = setup_of(bare.commit, tmp_path / "Dockerfile", smoke=("sh", "-c", "echo hello"))
    with registered(silent), pytest.raises(BackendError, match="its last line: 'hello'"):
        made(bare)
    assert bare.host.docker("ps", "--all", "--quiet") == ""


def test_a_host_whose_docker_cannot_be_used_is_told_before_anything(
    bare: Ready, fleet: Fleet
) -> None:
    remote = bare.settings.remote.model_copy(update={"user": "nobodyd", "remote_dir": "cosmos"})
    with pytest.raises(BackendError, match="permission denied"):
        set_up(bare.settings.model_copy(update={"remote": remote}), NAME, SetupRequest())
    bare.host.stop_docker()
    with pytest.raises(BackendError, match="systemctl start docker"):
        made(bare)
    assert not (bare.host.root / "data/cosmos").exists()


def test_a_full_disk_there_is_told_and_leaves_nothing(bare: Ready) -> None:
    made(bare)
    shutil.rmtree(bare.source / ".git")
    (bare.source / "large.bin").write_bytes(bytes(4 << 20))
    bare.host.fill_disk(leave_bytes=1 << 20)
    with pytest.raises(BackendError, match="No space left") as caught:
        made(bare, source=bare.source)
    assert caught.value.kind == "disk_full"
    assert parts_left(bare) == []
    assert bare.code("run.sh")


def test_an_engine_without_a_set_up_and_an_unknown_one_are_refused(
    tmp_path: Path, fleet: Fleet
) -> None:
    settings = settings_for(tmp_path / "home", fleet)
    with pytest.raises(InputError, match="needs only an image"):
        set_up(settings, "preview", SetupRequest())
    with pytest.raises(UnknownId, match="no engine"):
        set_up(settings, "cosmos_9", SetupRequest())
