"""What is replaced on a host, and what is not: half a copy, code in use, images that failed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.errors import BackendError, StateError
from cosmos_pipelines.hosts import code as host_code
from cosmos_pipelines.hosts import code_tar
from cosmos_pipelines.hosts.arrive import SetupRequest
from cosmos_pipelines.hosts.setup import set_up
from tests.rig.fleet import Fleet
from tests.rig.machine import until
from tests.support.host_engine import DOCKERFILE, IMAGE, NAME, Ready, settings_for

UNTIL_GO = "until [ -e /go ]; do sleep 0.1; done"


def made(bare: Ready, told: list[str] | None = None, **request: Any) -> dict[str, Any]:
    """Set it up; `told` gets the lines."""
    return set_up(
        bare.settings, NAME, SetupRequest(**request), (told if told is not None else []).append
    )


def image_id(bare: Ready, name: str = IMAGE) -> str:
    """The image that a tag means; empty for none."""
    return bare.host.docker("images", "--quiet", "--no-trunc", name)


def new_names(bare: Ready) -> list[str]:
    """Tags of images that have not passed their test."""
    names = bare.host.docker("images", "--format={{.Repository}}:{{.Tag}}").split()
    return [name for name in names if name.startswith("cosmos-new-")]


def parts_left(bare: Ready) -> list[str]:
    """What a set-up would leave half-made."""
    return [p.name for p in bare.own.iterdir() if p.name.startswith(".") and p.name != ".lock"]


def test_a_copy_that_ends_early_leaves_the_old_code(
    bare: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(bare)
    (bare.source / ".cosmos-commit").write_text(bare.commit)
    (bare.source / "smoke.py").write_text("print('[SUCCESS] half')")
    whole = code_tar.directory_tar

    def half(source: Path, token: str) -> Iterator[bytes]:
        *parts, _ = whole(source, token)
        yield from parts[:-1]  # all members but the last

    monkeypatch.setattr(host_code.code_tar, "has_commit", lambda *_: False)
    monkeypatch.setattr(host_code.code_tar, "directory_tar", half)
    with pytest.raises(BackendError, match="ended early; the code on the host is unchanged"):
        made(bare, source=bare.source)
    assert b"torch found" in bare.code("smoke.py")
    assert parts_left(bare) == []


def test_a_file_that_nobody_committed_is_a_change(bare: Ready) -> None:
    for source in (None, bare.source):  # once as a repository, once as a copy
        made(bare, source=source)
        (bare.own / "code" / "torch.py").write_text("raise ImportError")
        for kept in ("checkpoints/x.pt", "outputs/video.mp4", "assets/__pycache__/a.pyc"):
            bare.put(f"code/{kept}")
        told: list[str] = []
        made(bare, told, source=source)
        (line,) = [line for line in told if "will be replaced" in line]
        assert "torch.py" in line
        assert not [name for name in ("x.pt", "video", "a.pyc") if name in line]
        assert not (bare.own / "code" / "torch.py").exists()
        bare.put("code/outputs/video.mp4")
        told.clear()
        made(bare, told, source=source)
        assert f"code: {bare.commit[:12]} is there, unchanged." in told


def test_the_host_looks_again_who_uses_the_code(
    bare: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have started a run while the new code was on its way."""
    made(bare)
    monkeypatch.setattr(host_code, "_refuse_in_use", lambda _: None)
    labels = ["--label=cosmos.engine=rigged", "--label=cosmos.project=x"]
    bare.host.docker("run", "--detach", "--name=busy", *labels, IMAGE, "sleep", "60")
    for source in (None, bare.source):
        (bare.own / "code" / "smoke.py").write_text("changed")
        with pytest.raises(StateError, match="is used by busy"):
            made(bare, source=source)
        assert bare.code("smoke.py") == b"changed"
        assert parts_left(bare) == []


def test_docker_that_does_not_say_who_uses_the_code_is_a_failure(bare: Ready) -> None:
    made(bare)
    (bare.own / "code" / "smoke.py").write_text("changed")
    docker = bare.host.console("sh", "-c", "command -v docker").decode().strip()
    broken = 'case "$*" in *cosmos.operation*) echo "ps is broken" >&2; exit 1 ;; esac'
    wrapper = f'#!/bin/sh\n{broken}\nexec {docker} "$@"\n'
    there = bare.host.root / "usr/local/bin/docker"
    assert docker != "/usr/local/bin/docker"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text(wrapper)
    there.chmod(0o755)
    try:
        with pytest.raises(BackendError, match="ps is broken"):
            made(bare)
    finally:
        there.unlink()
    assert bare.code("smoke.py") == b"changed"


def test_two_set_ups_at_once_wait_for_each_other(bare: Ready, tmp_path: Path) -> None:
    made(bare)
    slow, other = tmp_path / "slow", tmp_path / "other"
    slow.write_text(DOCKERFILE.replace("RUN ", f"RUN {UNTIL_GO} && echo slow && "))
    other.write_text(DOCKERFILE.replace("RUN ", "RUN echo other && "))
    first: list[str] = []
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(made(bare, first, dockerfile=slow)))
    thread.start()
    until(lambda: bare.host.processes(UNTIL_GO), "the build")
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if "another set-up of this engine runs on this host" in line:
            for pid in bare.host.processes(UNTIL_GO):
                bare.host.console("touch", f"/proc/{pid}/root/go")

    record = set_up(bare.settings, NAME, SetupRequest(dockerfile=other), tell)
    thread.join()
    label = ['--format={{index .Config.Labels "cosmos.dockerfile"}}']
    for one in (*results, record):
        said = bare.host.docker("image", "inspect", *label, one["image_id"])
        assert said == one["dockerfile"]
    assert results[0]["dockerfile"] != record["dockerfile"]
    assert parts_left(bare) == []


def test_an_image_that_fails_its_test_does_not_get_the_tag(bare: Ready, tmp_path: Path) -> None:
    first = made(bare)
    bare.smoke_finds("broken")
    own = tmp_path / "own"
    own.write_text(DOCKERFILE.replace("a step", "another step"))
    for request in ({"dockerfile": own}, {"image": "cosmos-rig/preview:1"}):
        told: list[str] = []
        with pytest.raises(BackendError, match="vllm"):
            made(bare, told, **request)
        assert image_id(bare) == first["image_id"]
        assert new_names(bare) == [f"cosmos-new-{NAME}:failed"]
        assert any("the failed image is kept as cosmos-new-" in line for line in told)
    (bare.own / "code" / "outputs" / "broken").unlink()
    record = made(bare, dockerfile=own)
    assert image_id(bare) == record["image_id"] != first["image_id"]
    bare.host.docker("rmi", f"cosmos-new-{NAME}:failed")
    assert new_names(bare) == []


def test_settings_that_name_the_tag_do_not_have_the_old_image_tested(
    bare: Ready, fleet: Fleet, tmp_path: Path
) -> None:
    named = f'images = {{ {NAME} = "{IMAGE}" }}'
    bare.settings = settings_for(bare.settings.home, fleet, named)
    made(bare)
    own = tmp_path / "own"
    own.write_text(DOCKERFILE.replace("a step", "another step"))
    record = made(bare, dockerfile=own)
    assert record["smoke"]["image_digest"] == record["image_digest"] == image_id(bare)


def test_an_image_that_was_made_of_ours_is_not_taken_for_it(bare: Ready, tmp_path: Path) -> None:
    first = made(bare)
    (tmp_path / "context").mkdir()
    text = f"FROM {IMAGE}\nRUN touch /mine\n"
    bare.host.console("sh", "-c", f"printf '{text}' | docker build --tag {IMAGE} -")
    assert image_id(bare) != first["image_id"]
    told: list[str] = []
    record = made(bare, told)
    assert any(line.startswith("image: building") for line in told)
    assert record["image_id"] == image_id(bare)
    taken = made(bare, image=IMAGE)
    assert taken["dockerfile"] is None
    told.clear()
    made(bare, told)
    assert any(line.startswith("image: building") for line in told)


def test_a_token_that_nobody_took_goes_with_the_next_command(bare: Ready) -> None:
    made(bare)
    names = (".token-left", ".token-mounted", ".token-new")
    for name in names:
        bare.put(f"{name}/token")
        if name != ".token-new":
            os.utime(bare.own / name, (time.time() - 600,) * 2)
    mounted = f"type=bind,src=/{bare.own.relative_to(bare.host.root)}/.token-mounted,dst=/t"
    bare.host.docker("run", "--detach", f"--mount={mounted}", IMAGE, "sleep", "60")
    made(bare)
    assert sorted(parts_left(bare)) == [".token-mounted", ".token-new"]
    assert json.loads((bare.own / "setup.json").read_text())["smoke"]["passed"]
