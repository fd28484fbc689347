"""Damaged scripts on a host are replaced in one step: a job that starts meanwhile finds some."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from cosmos_pipelines.backends.ssh import host_shell, script
from cosmos_pipelines.backends.tar_bundle import TarBundle, scripts_bundle

ORDER = "rs_1"


@pytest.fixture
def bundle(tmp_path: Path) -> TarBundle:
    """Two scripts."""
    (tmp_path / "sent/model").mkdir(parents=True)
    (tmp_path / "sent/run.sh").write_text("echo runs\n")
    (tmp_path / "sent/model/files.py").write_text("WHOLE = True\n")
    return scripts_bundle(tmp_path / "sent")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host's directory."""
    for name in ("cas", "runs", "scripts"):
        (tmp_path / "host" / name).mkdir(parents=True)
    return tmp_path / "host"


def bring(root: Path, bundle: TarBundle, token: str) -> None:
    argv = script.bring_scripts(str(root), bundle.name, token)
    subprocess.run(argv, input=bundle.tar, check=True)


def start(root: Path, bundle: TarBundle) -> dict[str, str]:
    """What the host says when an order shall start; its carrier starts nothing."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("order.json"))
    nothing, absent = ["true"], ["echo", "absent"]
    argv = script.start(
        str(root), ORDER, "a1", bundle.name, [], choose=None, chosen="", start=nothing,
        state=absent, remove=nothing, words=nothing, ask_carrier=nothing,
    )  # fmt: skip
    done = subprocess.run(argv, input=packed.getvalue(), check=True, capture_output=True)
    return host_shell.parts(done.stdout)


def state(root: Path, bundle: TarBundle) -> str:
    argv = script.scripts_there(str(root), bundle.name)
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("how", ["another content", "one file more", "one file less"])
def test_damaged_scripts_stay_until_others_take_their_place(
    root: Path, bundle: TarBundle, how: str
) -> None:
    bring(root, bundle, "t1")
    there = root / "scripts" / bundle.name
    if how == "another content":
        (there / "model/files.py").write_text("WHOLE = False\n")
    elif how == "one file more":
        (there / "model/more.pyc").touch()
    else:
        (there / "run.sh").unlink()
    assert start(root, bundle)["damaged"] == "scripts"
    assert (there / "model/files.py").exists()
    assert not (root / "runs" / ORDER).exists()
    bring(root, bundle, "t2")
    assert state(root, bundle) == "sound"
    assert (there / "model/files.py").read_text() == "WHOLE = True\n"
    aside = [path.name for path in (root / "scripts").iterdir() if path != there]
    assert aside == [f".{bundle.name}.damaged.t2.part"]


def test_sound_scripts_are_left_in_their_place(root: Path, bundle: TarBundle) -> None:
    bring(root, bundle, "t1")
    there = root / "scripts" / bundle.name
    before = there.stat().st_ino
    bring(root, bundle, "t2")
    assert "damaged" not in start(root, bundle)
    assert [path.name for path in (root / "scripts").iterdir()] == [bundle.name]
    assert there.stat().st_ino == before
