"""The way to a host, as the SSH configuration has it. No server is needed."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.remote.ssh.config import Target, route


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config"
    file.write_text(
        f"""
Host gpu
    HostName 192.0.2.7
    User artist
    Port 2222
    IdentityFile {tmp_path}/%r_key
    IdentitiesOnly yes
    UserKnownHostsFile {tmp_path}/known_hosts
    ProxyJump gate
Host gate
    HostName gate.example.org
    HostKeyAlias the-gate
    IdentityAgent none
Host far
    ProxyJump outer:2200,someone@[2001:db8::1]:2201
Host outer
    ProxyJump gate
Host here
    ProxyJump there
Host there
    ProxyJump here
Host command
    ProxyCommand nc -x proxy %h %p
"""
    )
    return file


def hops(config: Path, host: str) -> list[str]:
    return [f"{h.user}@{h.address}:{h.port}" for h in route(Target(host, config_file=config))]


def test_an_alias_stands_for_all_that_the_configuration_says(config: Path) -> None:
    gpu = route(Target("gpu", config_file=config))[-1]
    assert (gpu.name, gpu.address, gpu.port, gpu.user) == ("gpu", "192.0.2.7", 2222, "artist")
    assert gpu.key_files == (config.parent / "artist_key",)
    assert gpu.known_hosts[0] == config.parent / "known_hosts"
    assert gpu.key_name == "[192.0.2.7]:2222"
    assert gpu.listed_keys_only


def test_what_the_user_gives_wins_over_the_configuration(config: Path, tmp_path: Path) -> None:
    target = Target(
        "gpu", user="ops", port=22, key_file=tmp_path / "mine", known_hosts=tmp_path / "known",
        config_file=config,
    )  # fmt: skip
    gpu = route(target)[-1]
    assert (gpu.user, gpu.port, gpu.key_name) == ("ops", 22, "192.0.2.7")
    assert gpu.key_files[0] == tmp_path / "mine"
    assert gpu.known_hosts == (tmp_path / "known",)


def test_jumps_are_followed_to_their_end(config: Path) -> None:
    me = getpass.getuser()
    assert hops(config, "gpu") == [f"{me}@gate.example.org:22", "artist@192.0.2.7:2222"]
    assert hops(config, "far") == [
        f"{me}@gate.example.org:22",
        f"{me}@outer:2200",
        "someone@2001:db8::1:2201",
        f"{me}@far:22",
    ]
    gate = route(Target("gpu", config_file=config))[0]
    assert (gate.key_name, gate.agent) == ("the-gate", None)


def test_jumps_in_a_circle_are_refused(config: Path) -> None:
    with pytest.raises(SettingsError, match="circle"):
        route(Target("here", config_file=config))


def test_a_proxy_command_has_its_tokens_filled_in(config: Path) -> None:
    (hop,) = route(Target("command", config_file=config))
    assert hop.proxy_command == "nc -x proxy command 22"


@pytest.mark.parametrize("host", ["gpu", "gate", "far", "outer", "command", "unlisted"])
def test_without_the_ssh_program_the_way_is_the_same(
    config: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = route(Target(host, config_file=config))
    monkeypatch.setenv("PATH", str(config.parent))
    read = route(Target(host, config_file=config))
    for one, other in zip(asked, read, strict=True):
        for name in ("name", "address", "port", "user", "key_name", "agent", "proxy_command"):
            assert getattr(one, name) == getattr(other, name)
        assert set(other.key_files) <= set(one.key_files)
        assert set(other.known_hosts) <= set(one.known_hosts)


def test_a_configuration_that_needs_the_ssh_program_is_not_half_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text("Include other\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="OpenSSH client"):
        route(Target("gpu", config_file=file))


def test_a_broken_configuration_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("Host a\n  Hurry up\n")
    with pytest.raises(SettingsError, match=rf"{file}.*(2|hurry)"):
        route(Target("a", config_file=file))


@pytest.mark.parametrize("host", ["", "-oProxyCommand=reboot", "a b", "a;b", "$(reboot)", "a/b"])
def test_what_cannot_be_a_host_name_is_refused(config: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="not a host name"):
        route(Target(host, config_file=config))
