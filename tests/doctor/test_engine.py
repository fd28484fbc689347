"""`cosmos doctor` on what an engine needs of its host: code, set-up, checkpoints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cosmos_pipelines.backends.checks import Checked
from cosmos_pipelines.backends.ssh.host_shell import parts
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.hosts import setup_script
from cosmos_pipelines.hosts.arrive import SetupRequest
from cosmos_pipelines.hosts.checkpoints import checkpoints
from cosmos_pipelines.hosts.setup import set_up
from tests.rig.fleet import Fleet
from tests.support.host_engine import IMAGE, NAME, Ready, settings_for
from tests.support.hub import serving

SET_UP, DOWNLOAD = f"cosmos host setup {NAME}", f"cosmos host checkpoints {NAME} --download"


def looked(bare: Ready) -> dict[str, Checked]:
    """What the checks have found, by name."""
    return {checked.name: checked for checked in examine(bare.settings)}


def test_a_bare_host_is_told_what_to_do_for_each_thing(bare: Ready) -> None:
    found = looked(bare)
    assert (found["image"].result, found["image"].do) == ("fail", SET_UP)
    assert (found["code"].result, found["code"].do) == ("fail", SET_UP)
    assert found["set-up"].result == "skipped"
    assert (found["checkpoints"].result, found["checkpoints"].do) == ("fail", DOWNLOAD)
    assert "3 of 3 files are missing" in found["checkpoints"].found
    assert not (bare.own / "code").exists()


def test_a_host_that_was_set_up_is_well_until_something_changes(
    bare: Ready, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(f"{bare.host.address.rpartition('.')[0]}.1") as hub:
        for repo in ("nvidia/Cosmos3-Nano", "nvidia/Cosmos-Guardrail1", "Qwen/Qwen3Guard-Gen-0.6B"):
            hub.add(repo, {"model.pt": bytes(2000)})
        docker = f'env = {{ HF_ENDPOINT = "{hub.endpoint}" }}'
        bare.settings = settings_for(bare.settings.home, fleet, docker)
        set_up(bare.settings, NAME, SetupRequest())
        assert checkpoints(bare.settings, NAME, "download")["well"]
    found = looked(bare)
    assert {found[n].result for n in ("image", "code", "set-up", "checkpoints")} == {"ok"}, found
    assert found["code"].found.endswith(f"is at {bare.commit[:12]}")
    assert found["set-up"].found.startswith("the smoke test passed on 20")

    (bare.own / "code" / "smoke.py").write_text("changed")
    bare.host.docker("tag", "cosmos-rig/preview:1", IMAGE)
    cache = bare.own / "huggingface" / "hub" / "models--Qwen--Qwen3Guard-Gen-0.6B"
    (file,) = cache.glob("snapshots/*/model.pt")
    os.truncate(file, 0)
    found = looked(bare)
    assert found["code"].result == "warn"
    assert "smoke.py" in found["code"].found
    assert found["set-up"].result == "warn"
    assert "is not the tested image" in found["set-up"].found
    assert found["checkpoints"].result == "fail"
    assert "1 of 3 files are missing or incomplete: Qwen/Qwen3Guard" in found["checkpoints"].found


def test_a_failed_smoke_test_and_another_commit_are_remembered(bare: Ready) -> None:
    set_up(bare.settings, NAME, SetupRequest())
    bare.smoke_finds("broken")
    with pytest.raises(BackendError):
        set_up(bare.settings, NAME, SetupRequest())
    found = looked(bare)
    assert found["set-up"].result == "fail"
    assert "Package not successfully imported: vllm" in found["set-up"].found
    (bare.own / "code" / ".git" / "HEAD").write_text("0" * 40)
    assert f"is at 000000000000, not at {bare.commit[:12]}" in looked(bare)["code"].found


def test_a_smoke_test_that_crashed_is_told_with_how_its_process_ended(bare: Ready) -> None:
    set_up(bare.settings, NAME, SetupRequest())
    bare.smoke_finds("crash")
    with pytest.raises(BackendError):
        set_up(bare.settings, NAME, SetupRequest())
    found = looked(bare)["set-up"]
    assert found.result == "fail"
    assert "signal 11" in found.found


def test_a_directory_of_a_repository_is_looked_for_in_the_branchs_own_commit(
    tmp_path: Path,
) -> None:
    model = tmp_path / "host" / "hf" / "hub" / "models--a--b"
    for name in ("refs/main", "snapshots/one/config.json", "snapshots/two/sound/x.pt"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("one")
    base = "huggingface\thub/models--a--b\tmain\t"
    asked = "".join(f"{base}{path}\n" for path in ("*", "config.json", "sound/*"))

    def sizes() -> list[str]:
        argv = setup_script.sizes_argv("host", "-", "hf")
        env = {**os.environ, "HOME": str(tmp_path)}
        said = subprocess.run(argv, input=asked.encode(), env=env, capture_output=True, check=True)
        return parts(said.stdout)["sizes"].split()

    assert sizes() == ["0", "3", "-"]
    (model / "refs" / "main").write_text("two")
    assert sizes() == ["0", "-", "0"]
