"""A listing opens the catalog that all other commands open, without reading all settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.catalog_place import catalog_place
from cosmos_pipelines.cli.init import settings_file
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.settings import load_settings

TEXTS = [
    "",
    'database_url = "sqlite:////elsewhere/a.db"\n',
    'database_url = ""\n',
    '[paths]\noutputs = "results"\n',
    '[paths]\noutputs = "/elsewhere/results"\ninputs = "in"\n',
    'paths.outputs = "../results"\n',
    '[postgres]\nurl = "postgresql://me@host/films"\n',
    '[postgres]\nurl = "postgres://me@host/films?sslmode=require"\n[notify]\nevery_min = 3\n',
    'owner = "team:us"\n[cosmos3]\n[execution]\nengine = "cosmos3"\n',
]
VARIABLES = [
    {},
    {"COSMOS_DATABASE_URL": "postgresql+psycopg2:///one"},
    {"cosmos_database_url": "sqlite:////other.db"},
    {"COSMOS_POSTGRES__URL": "postgresql+psycopg2:///one"},
    {"COSMOS_POSTGRES": '{"url": "postgresql:///two"}'},
    {"COSMOS_DATABASE_URL": "sqlite:////a.db", "COSMOS_POSTGRES__URL": "postgresql:///one"},
    {"COSMOS_DATABASE_URL": ""},
    {"COSMOS_PATHS__OUTPUTS": "made"},
    {"COSMOS_PATHS": '{"outputs": "made"}'},
    {"COSMOS_EXECUTION__ENGINE": "preview", "COSMOS_DEBUG": "1"},
]


@pytest.mark.parametrize("variables", VARIABLES, ids=lambda v: " ".join(v) or "none")
@pytest.mark.parametrize("text", [*TEXTS, settings_file()], ids=lambda t: t[:30])
def test_a_listing_opens_the_catalog_that_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str]
) -> None:
    (tmp_path / "cosmos.toml").write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    try:
        settings = load_settings(tmp_path)
    except SettingsError as e:
        with pytest.raises(SettingsError) as place:
            catalog_place(tmp_path)
        assert str(place.value) == str(e)
        return
    assert catalog_place(tmp_path) == (settings.home, settings.catalog_url)
    assert catalog_place(tmp_path / "cosmos.toml") == (settings.home, settings.catalog_url)


@pytest.mark.parametrize(
    "text",
    [
        'databse_url = "sqlite:////a.db"\n',
        "database_url = 3\n",
        '[path]\noutputs = "results"\n',
        '[paths]\noutput = "results"\n',
        "[paths]\noutputs = 3\n",
        "paths = 3\n",
        "[paths",
    ],
)
def test_a_misspelt_place_is_refused_and_no_other_catalog_opened(tmp_path: Path, text: str) -> None:
    (tmp_path / "cosmos.toml").write_text(text)
    with pytest.raises(SettingsError) as all_settings:
        load_settings(tmp_path)
    with pytest.raises(SettingsError) as place:
        catalog_place(tmp_path)
    assert str(place.value) == str(all_settings.value)
