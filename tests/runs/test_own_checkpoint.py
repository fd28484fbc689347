"""A checkpoint of the user's own, on a GPU host with simulators of NVIDIA's models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.backends.checks import Checked
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.media import provenance
from cosmos_pipelines.runs.outdated import Now
from cosmos_pipelines.settings import Settings
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.cosmos_host import REMOTE_DIR, cosmos_host
from tests.support.cosmos_models import cosmos_project
from tests.support.gpu_host import RemoteProject
from tests.support.project import settings_in

OWN = "/data/rain/edge.pt"


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[RemoteProject]:
    """A project whose runs with edge alone load this checkpoint; NVIDIA's for edge is not there."""
    more = f'checkpoint = "{OWN}"\n'
    made = cosmos_host(tmp_path / "home", fleet, gpu1, "cosmos_transfer2_5", more)
    cache = gpu1.root / REMOTE_DIR / "engines/cosmos_transfer2_5/huggingface/hub"
    next(cache.glob("models--nvidia--Cosmos-Transfer2.5-2B/snapshots/*/general/edge/*")).unlink()
    yield made
    made.backend.close()
    made.catalog.close()


def placed(host: Host) -> None:
    file = host.root / OWN.lstrip("/")
    file.parent.mkdir()
    file.write_bytes(b"weights of our own")


def with_nvidias(project: RemoteProject) -> Settings:
    """The project as it is without the setting."""
    file = project.settings.home / "cosmos.toml"
    return settings_in(project.settings.home, file.read_text().replace(OWN, ""))


def test_a_checkpoint_of_our_own_makes_the_video_and_is_kept_with_it(
    project: RemoteProject,
) -> None:
    placed(project.host)
    pending = project.pending("A street", engine="cosmos_transfer2_5", weights={"edge": 1})
    assert f"The model loads your checkpoint {OWN}." in pending.notes
    (run,) = project.execute(pending)
    assert run.status == "completed", run.error_message
    assert run.outputs["made_by"]["weights"] == OWN
    embedded = provenance.read(project.settings.home / run.outputs["video"])
    assert embedded is not None
    assert embedded["weights"] == OWN
    assert Now(project.catalog, project.settings).reasons(run) == []
    (reason,) = Now(project.catalog, with_nvidias(project)).reasons(run)
    assert reason.kind == "checkpoints"
    assert f"loads other weights: the engine's own, not {OWN}." in reason.said


def test_a_checkpoint_that_is_not_on_the_host_is_told_with_the_setting(
    project: RemoteProject,
) -> None:
    run = project.pending("A street", engine="cosmos_transfer2_5", weights={"edge": 1})
    (ended,) = project.execute(run)
    assert (ended.status, ended.error_kind) == ("failed", "launch_failed")
    assert "/data/rain" in (ended.error_message or "")
    assert "Set checkpoint in [cosmos_transfer2_5] of cosmos.toml" in (ended.error_message or "")
    found = {checked.name: checked for checked in examine(project.settings)}
    assert found["own checkpoint"].result == "fail"
    placed(project.host)
    found = {checked.name: checked for checked in examine(project.settings)}
    assert (found["own checkpoint"].result, found["own checkpoint"].found) == ("ok", OWN)
    (project.host.root / OWN.lstrip("/")).write_bytes(b"")
    (ended,) = project.execute(run)
    assert f"there are no weights at {OWN} that the model can read" in (ended.error_message or "")


def test_cosmos_3_loads_a_directory_of_our_own(tmp_path: Path, fleet: Fleet, gpu1: Host) -> None:
    own = "/data/rain/checkpoints/iter_000012000"
    made = cosmos_host(tmp_path / "home", fleet, gpu1, "cosmos3", f'checkpoint = "{own}"\n')
    cache = gpu1.root / REMOTE_DIR / "engines/cosmos3/huggingface/hub"
    for file in cache.glob("models--nvidia--Cosmos3-*/snapshots/*/config.json"):
        file.unlink()
    place = gpu1.root / own.lstrip("/") / "model"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"weights of our own")
    (place / "config.json").write_text("{}")
    run = made.pending("A street", engine="cosmos3", weights={"edge": 1}, resolution="256")
    (ended,) = made.execute(run)
    made.backend.close()
    made.catalog.close()
    assert ended.status == "completed", ended.error_message
    assert ended.outputs["made_by"]["weights"] == own


def test_a_checkpoint_is_looked_for_on_this_machine_where_runs_execute_here(tmp_path: Path) -> None:
    own = tmp_path / "own.pt"
    project = cosmos_project(tmp_path / "home", "cosmos_transfer2_5", f'checkpoint = "{own}"\n')

    def found() -> Checked:
        return next(checked for checked in examine(project.settings) if checked.name == "model")

    assert (found().result, str(own) in found().found) == ("fail", True)
    assert found().do.startswith("Set checkpoint in [cosmos_transfer2_5]")
    own.write_bytes(b"weights of our own")
    assert found().result == "ok"
    project.catalog.close()
