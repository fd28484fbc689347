"""Which engine makes a run, and what is said of one that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.errors import InputError, SettingsError, UnknownId
from cosmos_pipelines.operations import OPERATIONS
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.settings import Settings
from tests.support.project import settings_in


def chosen(settings: Settings, name: str | None = None) -> dict[str, str]:
    """The engine's name for each operation."""
    return {kind: engine_for(settings, kind, name).name for kind in OPERATIONS}


def execution(home: Path, *lines: str) -> Settings:
    """A project with these lines in [execution], which is the first line of its file."""
    return settings_in(home, "\n".join(["[execution]", *lines, ""]))


def test_one_engine_makes_everything_unless_others_are_set(tmp_path: Path) -> None:
    settings = execution(tmp_path, 'engine = "cosmos_transfer1"')
    assert set(chosen(settings).values()) == {"cosmos_transfer1"}


def test_each_operation_has_the_engine_that_is_set_for_it(tmp_path: Path) -> None:
    settings = execution(
        tmp_path,
        'engine = "cosmos3"',
        'upscale_engine = "cosmos_transfer1"',
        'enhance_engine = "preview"',
    )
    assert chosen(settings) == {
        "transfer": "cosmos3", "enhance": "preview", "upscale": "cosmos_transfer1",
    }  # fmt: skip


def test_an_engine_that_is_asked_for_wins(tmp_path: Path) -> None:
    settings = execution(tmp_path, 'engine = "cosmos3"', 'upscale_engine = "cosmos_transfer1"')
    assert set(chosen(settings, "preview").values()) == {"preview"}


def test_the_engine_has_what_its_table_says(tmp_path: Path) -> None:
    text = '[execution]\nengine = "cosmos3"\nupscale_engine = "cosmos_transfer1"\n'
    settings = settings_in(tmp_path, f'{text}[cosmos_transfer1]\ncode = "/data/code"\n')
    sources = {d.name: d.source for d in engine_for(settings, "upscale").directories()}
    assert sources["code"] == "/data/code"


@pytest.mark.parametrize("setting", ["engine", "upscale_engine", "enhance_engine"])
def test_a_name_that_is_no_engine_is_told_with_its_line(tmp_path: Path, setting: str) -> None:
    settings = execution(tmp_path, "grace_s = 2", f'{setting} = "cosmos_tranfer1"')
    kind = {"upscale_engine": "upscale", "enhance_engine": "enhance"}.get(setting, "transfer")
    with pytest.raises(SettingsError) as refused:
        engine_for(settings, kind)  # type: ignore[arg-type]
    assert str(refused.value).startswith(
        f"{tmp_path / 'cosmos.toml'}, line 3: execution.{setting}: "
        "There is no engine 'cosmos_tranfer1'. Did you mean cosmos_transfer1"
    )


def test_an_engine_without_the_operation_it_is_set_for_is_told_with_its_line(
    tmp_path: Path,
) -> None:
    settings = execution(tmp_path, 'upscale_engine = "cosmos3"')
    with pytest.raises(SettingsError) as refused:
        engine_for(settings, "upscale")
    assert str(refused.value) == (
        f"{tmp_path / 'cosmos.toml'}, line 2: execution.upscale_engine: "
        "The engine cosmos3 has no upscale. "
        "Choose an engine that has it (`--engine`): cosmos_transfer1."
    )
    assert engine_for(settings, "enhance").name == "preview"


def test_an_engine_of_the_environment_is_told_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSMOS_EXECUTION__ENHANCE_ENGINE", "moon")
    settings = execution(tmp_path, 'enhance_engine = "cosmos_transfer1"')
    with pytest.raises(SettingsError, match=r"^environment variable COSMOS_EXECUTION__ENHANCE_"):
        engine_for(settings, "enhance")


def test_an_engine_that_is_asked_for_is_refused_as_such(tmp_path: Path) -> None:
    settings = execution(tmp_path, 'upscale_engine = "cosmos_transfer1"')
    with pytest.raises(UnknownId, match="Known: preview, cosmos_transfer1"):
        engine_for(settings, "upscale", "moon")
    with pytest.raises(InputError) as refused:
        engine_for(settings, "upscale", "cosmos3")
    assert refused.value.hint == "Choose an engine that has it (`--engine`): cosmos_transfer1."
