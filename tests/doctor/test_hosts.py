"""`cosmos doctor` on several hosts: one block each; one that is away holds up none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cosmos_pipelines.backends.checks import Checked
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.settings import Settings
from tests.support.project import settings_in
from tests.support.sshd import Sshd, require_sshd, running_sshd

NVIDIA_SMI = Path(__file__).parents[1] / "rig" / "host" / "nvidia-smi"


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    """A host with a GPU and without Docker."""
    require_sshd()

    def with_gpu(base: Path) -> str:
        (base / "bin").mkdir()
        shutil.copy2(NVIDIA_SMI, base / "bin")
        return f"SetEnv HOME={base / 'home'} PATH={base / 'bin'}:/usr/bin:/bin\n"

    with running_sshd(with_gpu) as sshd:
        yield sshd


def settings_of(home: Path, server: Sshd, more: str = "") -> Settings:
    """Two names of the server, with a folder each, and a host that is away."""
    both = f'host = "loop"\nssh_config = "{server.config}"\n'
    text = f'[hosts.one]\n{both}remote_dir = "{home}/one"\n'
    text += f'[hosts.two]\n{both}remote_dir = "{home}/two"\n{more}\n'
    text += '[hosts.away]\nhost = "127.0.0.1"\nport = 1\nssh_config = "/dev/null"\n'
    return settings_in(home / "home", text)


def blocks(found: list[Checked]) -> dict[str | None, dict[str, Checked]]:
    """The results by host and by name."""
    hosts: dict[str | None, dict[str, Checked]] = {}
    for checked in found:
        hosts.setdefault(checked.host, {})[checked.name] = checked
    return hosts


def test_every_host_has_a_block_and_one_that_is_away_leaves_the_others_whole(
    tmp_path: Path, server: Sshd
) -> None:
    found = list(examine(settings_of(tmp_path, server)))
    order = [checked.host for checked in found]
    assert len(list(dict.fromkeys(order))) == 4
    assert sum(a != b for a, b in pairwise(order)) == 3  # one block each
    hosts = blocks(found)
    assert next(iter(hosts)) is None
    assert hosts["one"]["login"].result == hosts["two"]["write access"].result == "ok"
    assert hosts["away"]["reachable"].result == "fail"
    assert hosts["away"]["login"].result == "skipped"
    assert (tmp_path / "one").is_dir()


def test_only_the_hosts_that_are_named_are_looked_at(tmp_path: Path, server: Sshd) -> None:
    settings = settings_of(tmp_path, server)
    assert set(blocks(list(examine(settings, hosts=["two"])))) == {None, "two"}
    assert set(blocks(list(examine(settings, "one")))) == {None, "one"}
    with pytest.raises(SettingsError, match=r"no host 'tow'\. Did you mean two\?"):
        list(examine(settings, hosts=["tow"]))


def test_a_gpu_id_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, server: Sshd
) -> None:
    hosts = blocks(list(examine(settings_of(tmp_path, server, "gpus = [0, 7]"))))
    gpu = hosts["two"]["GPU"]
    assert (gpu.result, gpu.found) == ("fail", "GPU 7 is not there: the host has 0")
    assert gpu.do == "Set gpus in [hosts.two] of cosmos.toml."
    assert hosts["one"]["GPU"].result == "ok"


def test_two_names_of_one_host_and_folder_are_found_out(tmp_path: Path, server: Sshd) -> None:
    text = server.config.read_text()
    config = tmp_path / "config"
    config.write_text(text + text.replace("Host loop", "Host alias"))
    both = f'ssh_config = "{config}"\nremote_dir = "{tmp_path}/there"\n'
    settings = settings_in(
        tmp_path / "home", f'[hosts.one]\nhost = "loop"\n{both}[hosts.two]\nhost = "alias"\n{both}'
    )
    last = list(examine(settings))[-1]
    assert (last.name, last.place, last.result) == ("folder of two", "settings", "fail")
    assert last.found.startswith("[hosts.two] and [hosts.one] are one host and one folder")


def test_a_hint_of_a_host_that_is_not_the_usual_one_names_it(tmp_path: Path, server: Sshd) -> None:
    text = '[execution]\nengine = "cosmos_transfer1"\n'
    settings = settings_of(tmp_path, server)
    file = settings.home / "cosmos.toml"
    settings = settings_in(settings.home, text + file.read_text())
    hosts = blocks(list(examine(settings)))
    assert hosts["one"]["code"].do == "cosmos host setup cosmos_transfer1"
    assert hosts["two"]["code"].do == "cosmos host setup cosmos_transfer1 --host two"
    assert hosts["two"]["checkpoints"].do == (
        "cosmos host checkpoints cosmos_transfer1 --host two --download"
    )
