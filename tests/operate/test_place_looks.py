"""Looks at places: what is found is kept, and nobody who plans waits for a host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.operate import place_looks
from cosmos_pipelines.operate.place_looks import look_again, look_now
from cosmos_pipelines.runs.known_places import KnownGpu, known_places, place_file
from cosmos_pipelines.settings import Settings
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.project import settings_in
from tests.support.waiting import until

ROW = "{0}, NVIDIA H100, 81559, 612, 3, 41, 92.10, 550.54.15, GPU-{0}"


def settings_of(home: Path, fleet: Fleet, more: str = "") -> Settings:
    text = f'[hosts.big]\nhost = "gpu1"\nssh_config = "{fleet.ssh_config}"\n'
    text += 'remote_dir = "/data/cosmos"\nconnect_timeout_s = 10\nlost_after_s = 4\n'
    return settings_in(home, text + 'image = "cosmos-rig/preview:1"\n' + more)


def test_gpus_and_engines_of_a_host_are_found_and_kept_while_it_is_away(
    tmp_path: Path, fleet: Fleet, gpu1: Host
) -> None:
    gpu1.image("preview")
    own = gpu1.root / "data/cosmos/engines/cosmos_transfer1"
    (own / "code").mkdir(parents=True)
    setup = ENGINES["cosmos_transfer1"].setup
    assert setup is not None
    gpu1.docker("tag", "cosmos-rig/preview:1", setup.image)
    gpu1.gpu("\n".join(ROW.format(i) for i in range(3)))
    settings = settings_of(tmp_path / "home", fleet, "gpus = [2, 1]\n")
    look_now(settings, ["big"])
    seen = known_places(settings)["big"]
    assert (seen.up, seen.away_since) == (True, None)
    assert seen.gpus == tuple(KnownGpu(i, "NVIDIA H100", 81559) for i in (1, 2))
    assert seen.engines["preview"] is seen.engines["cosmos_transfer1"] is None
    assert seen.engines["cosmos3"] == "it is not set up there"
    disk = os.statvfs(own)
    assert seen.free_bytes == pytest.approx(disk.f_bavail * disk.f_frsize, abs=1 << 30)

    (own / "setup.json").write_text(json.dumps({"smoke": {"passed": False}}))
    gpu1.docker("rmi", setup.image)
    look_now(settings, ["big"])
    seen = known_places(settings)["big"]
    assert seen.engines["cosmos_transfer1"] == "its smoke test has failed there"

    gpu1.cut()
    look_now(settings, ["big"])
    gone = known_places(settings)["big"]
    assert (gone.up, gone.gpus, gone.engines) == (False, seen.gpus, seen.engines)
    assert gone.said
    look_now(settings, ["big"])
    assert known_places(settings)["big"].away_since == gone.away_since
    gpu1.mend()
    gpu1.forbid_docker()
    look_now(settings, ["big"])
    assert known_places(settings)["big"].up is False  # nothing can be started there
    gpu1.allow_docker()
    look_now(settings, ["big"])
    assert known_places(settings)["big"].up is True


def test_a_look_in_the_background_is_made_once_until_it_is_old(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home", "")
    look_again(settings)
    until(lambda: known_places(settings)["local"].up, "the first look")
    first = place_file(settings, "local").read_bytes()
    for _ in range(20):
        look_again(settings)
    assert place_file(settings, "local").read_bytes() == first

    def looked_again() -> bool:
        look_again(settings, older_s=0.001)  # not where the first look still has the lock
        return place_file(settings, "local").read_bytes() != first

    until(looked_again, "another look")
    engines = known_places(settings)["local"].engines
    assert engines["preview"] is None
    assert "no directory" in (engines["cosmos_transfer1"] or "")


def test_one_looks_at_a_time(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home", "")
    place = settings.places["local"]
    with place_looks._locked(settings, place) as mine:
        assert mine
        with place_looks._locked(settings, place) as theirs:
            assert not theirs
    with place_looks._locked(settings, place) as mine:
        assert mine
