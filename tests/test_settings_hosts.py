"""`[hosts.NAME]`: more GPU hosts, each with a name; what is wrong is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.backends.registry import host_names, hosts_meant, place_of
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.settings import Settings, load_settings

TWO = """
[remote]
host = "gpu1"
[docker]
image = "usual:1"
env = { A = "1" }
[hosts.big]
host = "gpu2"
gpus = [2, 0]
image = "own:1"
price_per_gpu_hour = 2.5
labels = ["h100", "night"]
[hosts.big.docker]
network = "none"
"""


def loaded(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "cosmos.toml").write_text(text)
    return load_settings(tmp_path)


def test_a_host_says_only_what_is_other_than_usual(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO)
    assert list(settings.places) == ["local", "ssh_docker", "big"]
    big = settings.places["big"]
    assert (big.address, big.gpus, big.gpu_hour) == ("gpu2", (2, 0), 2.5)
    assert (big.labels, big.table) == (("h100", "night"), "[hosts.big]")
    assert (big.docker.image, big.docker.network, big.docker.env) == ("own:1", "none", {"A": "1"})
    usual = settings.places["ssh_docker"]
    assert (usual.docker.image, usual.docker.network, usual.table) == ("usual:1", None, "[remote]")
    assert host_names(settings) == ["ssh_docker", "big"]


def test_the_environment_names_a_host_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_HOSTS__BIG__HOST", "gpu9")
    monkeypatch.setenv("COSMOS_HOSTS__BIG__PRICE_PER_GPU_HOUR", "3")
    monkeypatch.setenv("COSMOS_HOSTS__BIG__GPUS", "[1]")
    big = loaded(tmp_path, "").places["big"]
    assert (big.address, big.gpu_hour, big.gpus) == ("gpu9", 3.0, (1,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[hosts.local]\nhost = "a"', r"line 1: hosts\.local 'local': .*a word of ours"),
        ('[hosts.auto]\nhost = "a"', r"hosts\.auto .*a word of ours"),
        ('[hosts.slurm]\nhost = "a"', r"hosts\.slurm .*a word of ours"),
        ('[hosts.Big]\nhost = "a"', r"hosts\.Big .*cannot be a host's name"),
        ('[hosts."a b"]\nhost = "a"', r"cannot be a host's name"),
        ("[hosts.big]\nport = 22", r"line 1: hosts\.big\.host is not set"),
        ('[hosts.big]\nhost = "-x"', r"line 2: hosts\.big\.host '-x': .*is no host name"),
        ('[hosts.big]\nhost = "a"\ngpus = [0, 0]', r"line 3: hosts\.big\.gpus .*different ids"),
        ('[hosts.big]\nhost = "a"\ngpus = []', r"line 3: hosts\.big\.gpus .*different ids"),
        ('[hosts.big]\nhost = "a"\ngpus = [64]', r"line 3: hosts\.big\.gpus .*different ids"),
        ('[hosts.big]\nhost = "a"\ngpus = [true]', r"line 3: hosts\.big\.gpus .*different ids"),
        ('[hosts.big]\nhost = "a"\ngpus = "0,1"', r"line 3: hosts\.big\.gpus .*different ids"),
        ('[hosts.big]\nhost = "a"\nprice_per_gpu_hour = "free"', r"line 3: .*valid number"),
        ('[hosts.big]\nhost = "a"\nprice_per_gpu_hour = true', r"line 3: .*must be a number"),
        ('[hosts.big]\nhost = "a"\nprice_per_gpu_hour = inf', "inf is no number"),
        ('[hosts.big]\nhost = "a"\nprice_per_gpu_hour = nan', "nan is no number"),
        ('[hosts.big]\nhost = "a"\nprice_per_gpu_hour = -1', r"line 3: .*greater than or equal"),
        ('[hosts.big]\nhost = "a"\nlabels = ["a b"]', r"line 3: .*'a b' is no label"),
        ('[hosts.a]\nhost = "a"\n[hosts.a.docker]\nimge = "a"', r"docker\.imge is not a setting"),
        ('[hosts.big]\nhost = "a"\nprice = 1', r"hosts\.big\.price is not a setting"),
        ("hosts = 3", r"line 1: hosts 3: .*dictionary"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_host_is_one_line_that_names_it(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        loaded(tmp_path, text + "\n")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ('[hosts.a]\nhost = "x"\n[hosts.b]\nhost = "X"\nport = 22', r"\[hosts\.a\] and \[hosts\.b"),
        ('[remote]\nhost = "x"\n[hosts.b]\nhost = "x"', r"\[remote\] and \[hosts\.b"),
        (
            '[hosts.a]\nhost = "x"\nuser = "m"\nremote_dir = "/d"\n'
            '[hosts.b]\nhost = "x"\nuser = "n"\nremote_dir = "/d/"',
            r"\[hosts\.a\] and \[hosts\.b",
        ),
    ],
)  # fmt: skip
def test_two_hosts_of_one_address_and_folder_are_refused(
    tmp_path: Path, text: str, tables: str
) -> None:
    with pytest.raises(SettingsError, match=rf"{tables}\] have one address and one folder"):
        loaded(tmp_path, text)


@pytest.mark.parametrize("other", ['remote_dir = "more"', "port = 2222", 'user = "ann"'])
def test_one_host_may_be_two_places_with_folders_of_their_own(tmp_path: Path, other: str) -> None:
    settings = loaded(tmp_path, f'[hosts.a]\nhost = "x"\n[hosts.b]\nhost = "x"\n{other}\n')
    assert host_names(settings) == ["a", "b"]


def test_an_unknown_host_offers_the_nearest(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO)
    with pytest.raises(SettingsError, match=r"There is no backend 'bigg'\. Did you mean big\?"):
        place_of(settings, "bigg")
    with pytest.raises(SettingsError, match=r"There is no host 'bgi'\. Did you mean big\?"):
        hosts_meant(settings, ["bgi"])
    with pytest.raises(SettingsError, match=r"There is no host 'local'\. .*Hosts: ssh_docker, big"):
        hosts_meant(settings, ["local"])


def test_a_command_means_the_hosts_it_names_or_all_or_that_of_new_runs(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO)
    assert hosts_meant(settings) == ["ssh_docker"]
    assert hosts_meant(settings, ["big", "big"]) == ["big"]
    assert hosts_meant(settings, every=True) == ["ssh_docker", "big"]
    (tmp_path / "more").mkdir()
    assert hosts_meant(loaded(tmp_path / "more", ""), every=True) == ["ssh_docker"]
