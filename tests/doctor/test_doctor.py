"""`cosmos doctor` on the engines of a project, on this machine and over SSH."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.backends.checks import Checked
from cosmos_pipelines.doctor.doctor import examine
from tests.support.project import settings_in
from tests.support.sshd import Sshd

BEFORE = 9
"""Checks that are the same for every project, up to that of the backend."""


def examined(home: Path, *engines: str, more: str = "") -> list[Checked]:
    """What the checks have found in a project with these lines in [execution]."""
    lines = "\n".join(engines)
    return list(examine(settings_in(home / "home", f"[execution]\n{lines}\n{more}")))


def names(found: list[Checked]) -> list[str]:
    """Their names from that of the engine on."""
    return [checked.name for checked in found[BEFORE:]]


@pytest.mark.parametrize("also", ["", 'upscale_engine = "cosmos_transfer1"'])
def test_one_engine_is_not_named(tmp_path: Path, also: str) -> None:
    found = examined(tmp_path, 'engine = "cosmos_transfer1"', also)
    assert names(found) == ["engine", *(["upscale_engine"] if also else []), "model"]
    assert found[BEFORE].found == "Cosmos-Transfer1"


def test_each_of_several_is_looked_at_once_and_named(tmp_path: Path) -> None:
    found = examined(
        tmp_path,
        'engine = "cosmos_transfer2_5"',
        'upscale_engine = "cosmos_transfer1"',
        'enhance_engine = "cosmos_transfer1"',
    )
    assert names(found)[3:] == ["model of cosmos_transfer2_5", "model of cosmos_transfer1"]
    for checked in found[-2:]:
        assert checked.result == "fail"
        assert f"engines/{checked.name.split()[-1]}/code" in checked.found


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('enhance_engine = "cosmos_tranfer1"', "There is no engine 'cosmos_tranfer1'."),
        ('enhance_engine = "cosmos3"', "The engine cosmos3 has no enhance."),
    ],
)
def test_a_wrong_engine_of_an_operation_is_told_with_its_line(
    tmp_path: Path, line: str, why: str
) -> None:
    found = {checked.name: checked for checked in examined(tmp_path, 'engine = "preview"', line)}
    wrong = found["enhance_engine"]
    assert (wrong.result, wrong.place) == ("fail", "settings")
    assert wrong.found.endswith(f"cosmos.toml, line 3: execution.enhance_engine: {why}")
    assert "cosmos_transfer1" in wrong.do
    assert found["engine"].result == "ok"
    assert found["model"].result == "ok"


def test_a_wrong_engine_of_the_project_does_not_hide_another(tmp_path: Path) -> None:
    found = examined(tmp_path, 'engine = "moon"', 'upscale_engine = "preview"')
    assert [(c.name, c.result) for c in found[BEFORE:]] == [
        ("engine", "fail"), ("upscale_engine", "ok"), ("model", "ok")
    ]  # fmt: skip
    assert [c.result for c in examined(tmp_path, 'engine = "moon"')[BEFORE:]] == ["fail", "skipped"]


HOST = """
[remote]
host = "loop"
ssh_config = "{config}"
known_hosts = "{known_hosts}"
remote_dir = "{remote_dir}"
"""


def on_host(found: list[Checked]) -> dict[str, Checked]:
    """Those of engines on the host."""
    own = ("image", "code", "set-up", "checkpoints")
    return {c.name: c for c in found if c.place == "host" and c.name.split()[0] in own}


def test_a_host_is_looked_at_for_each_engine_of_the_project(tmp_path: Path, sshd: Sshd) -> None:
    more = HOST.format(
        config=sshd.config, known_hosts=sshd.base / "known_hosts", remote_dir=tmp_path / "there"
    )
    one = on_host(examined(tmp_path, 'engine = "cosmos_transfer2_5"', more=more))
    assert list(one) == ["image", "code", "set-up", "checkpoints"]

    lines = ('engine = "cosmos_transfer2_5"', 'upscale_engine = "cosmos_transfer1"')
    found = examined(tmp_path, *lines, more=more)
    two = on_host(found)
    engines = ("cosmos_transfer2_5", "cosmos_transfer1")
    assert list(two) == [
        *(f"image of {engine}" for engine in engines),
        *(f"{name} of {e}" for e in engines for name in ("code", "set-up", "checkpoints")),
    ]
    for engine in engines:
        assert two[f"code of {engine}"].do == f"cosmos host setup {engine}"
        assert two[f"code of {engine}"].found == f"there is no directory engines/{engine}/code"
        missing = two[f"checkpoints of {engine}"]
        assert missing.do == f"cosmos host checkpoints {engine} --download"
        assert missing.result == "fail"
    assert [c.name for c in found].count("login") == 1
