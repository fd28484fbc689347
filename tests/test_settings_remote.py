"""The `[remote]` table: which host, and how to reach it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.backends.registry import place_of
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.settings import load_settings


def home(tmp_path: Path, text: str) -> Path:
    (tmp_path / "cosmos.toml").write_text(text)
    return tmp_path


def test_paths_are_relative_to_home_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSMOS_REMOTE__PORT", "2222")
    given = home(tmp_path, '[remote]\nhost = "gpu1"\nkey = "keys/gpu"\nssh_config = "/etc/c"\n')
    settings = load_settings(given)
    target = settings.ssh_target(settings.places["ssh_docker"])
    assert (target.host, target.port, target.user) == ("gpu1", 2222, None)
    assert (target.key_file, target.config_file) == (tmp_path / "keys/gpu", Path("/etc/c"))


def test_without_a_host_the_place_to_write_it_is_named(tmp_path: Path) -> None:
    settings = load_settings(home(tmp_path, ""))
    with pytest.raises(SettingsError, match=r"\[remote\] in .*cosmos\.toml"):
        settings.ssh_target(place_of(settings, "ssh_docker"))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('host = "-oProxyCommand=reboot"', "remote.host"),
        ('host = "a b"', "remote.host"),
        ("port = 0", "remote.port"),
        ('remote_dir = ""', "remote.remote_dir"),
        ('remote_dir = "/"', "remote.remote_dir"),
        ('remote_dir = "~"', "remote.remote_dir"),
        ('remote_dir = "a/../../b"', "remote.remote_dir"),
        ("lost_after_s = 1", "remote.lost_after_s"),
        ("hots = 1", "remote.hots"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_line(
    tmp_path: Path, line: str, name: str
) -> None:
    with pytest.raises(SettingsError, match=rf"cosmos\.toml, line 2: {name} "):
        load_settings(home(tmp_path, f"[remote]\n{line}\n"))


@pytest.mark.parametrize(
    ("written", "meant"), [("~/cosmos/", "cosmos"), ("/data/cosmos", "/data/cosmos")]
)
def test_the_remote_directory_is_absolute_or_below_the_users_home(
    tmp_path: Path, written: str, meant: str
) -> None:
    settings = load_settings(home(tmp_path, f'[remote]\nremote_dir = "{written}"\n'))
    assert settings.remote.remote_dir == meant
