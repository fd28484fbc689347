"""`cosmos init`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from cosmos_pipelines.settings import load_settings
from tests.cli.conftest import spawn


def test_a_new_project_has_every_setting_at_its_default(tmp_path: Path) -> None:
    said = spawn("init", tmp_path / "new")
    file = tmp_path / "new" / "cosmos.toml"
    assert (said.code, said.out) == (0, f"{file}\n")
    text = file.read_text(encoding="utf-8")
    settings = load_settings(file.parent)
    for table in ("paths", "execution", "ui"):
        assert getattr(settings, table) == type(getattr(settings, table))()
    assert set(tomllib.loads(text)["ui"]) == {"host", "port"}
    assert "  # " in text
    engine = settings.engine("cosmos_transfer1").options
    for table in (settings.execution, settings.remote, settings.ui, engine):
        for key in type(table).model_fields:
            assert re.search(rf"^(# )?{key} =", text, re.M), key
    assert settings.inputs.is_dir()
    hosts = text[text.index("# [hosts.big]\n") : text.index("\n\n", text.index("# [hosts.big]"))]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "cosmos.toml").write_text(
        re.sub("^# ", "", hosts, flags=re.M), encoding="utf-8"
    )
    assert load_settings(tmp_path / "more").places["big"].gpus == (0, 1)
    assert spawn("list", "runs", cwd=file.parent).code == 0


def test_a_project_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cosmos.toml").write_text("# mine\n", encoding="utf-8")
    said = spawn("init", cwd=tmp_path)
    assert said.code == 3
    assert "exists already" in said.error
    assert (tmp_path / "cosmos.toml").read_text(encoding="utf-8") == "# mine\n"


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    said = spawn("init", tmp_path / "file")
    assert said.code == 2
    assert str(tmp_path / "file") in said.error
