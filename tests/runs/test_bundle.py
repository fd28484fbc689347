"""What is kept of a failure, with a stand-in for the model and everything else real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import Unreachable
from cosmos_pipelines.operations.base import Job, Order
from cosmos_pipelines.runs.bundle import Bundles, bundle
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from tests.support.project import Project, make_project
from tests.support.stand_in_engine import StandIn, registered

NVIDIA_SMI = Path(__file__).resolve().parents[1] / "rig" / "host" / "nvidia-smi"


class OnGpu(StandIn):
    """The stand-in with a GPU and a secret."""

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """The stand-in's order, with both."""
        order = super().compile(jobs, order_id)
        env = {**order.env, "HF_TOKEN": "hf_ABCDEFGHIJKLMNOP", "MY_PASSWORD": "open sesame"}
        return order.model_copy(update={"gpus": 1, "env": env})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose machine has the simulated nvidia-smi and whose model is the stand-in."""
    programs = tmp_path / "bin"
    programs.mkdir()
    shutil.copy(NVIDIA_SMI, programs / "nvidia-smi")
    (programs / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    with registered():
        ENGINES["stand_in"] = OnGpu()
        made = make_project(tmp_path / "home")
        made.scene()
        yield made


def run(project: Project, *texts: str, backend: LocalBackend | None = None) -> list[Run]:
    """Execute runs whose stand-in behaves as the texts say."""
    made = []
    for text in texts:
        prompt, _ = register_prompt(project.catalog, project.settings, text, "city")
        planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
        made.append(enter(project.catalog, project.settings, planned).id)
    return execute_runs(
        made,
        catalog=project.catalog,
        settings=project.settings,
        backend=backend or project.backend,
    )


def test_a_failure_leaves_all_that_explains_it(project: Project) -> None:
    (failed,) = run(project, "crash")
    files = bundle(project.settings, failed.id)
    facts = {"disk.txt", "memory.txt", "gpu.txt", "dmesg.txt", "here.txt", "versions.json"}
    records = {"order.json", "run.json", "log_tail.txt", "commands.txt", "folder/exit_code"}
    assert facts | records <= set(files)
    assert "RuntimeError: told to crash" in files["log_tail.txt"].read_text()
    assert json.loads(files["order.json"].read_text())["run_ids"] == [failed.id]
    assert json.loads(files["run.json"].read_text())["error_kind"] == "model_failed"
    assert json.loads(files["versions.json"].read_text())["python"]
    assert "NVIDIA-SMI" in files["gpu.txt"].read_text()
    assert files["folder/exit_code"].read_text().strip() == "1"
    assert not [p for p in project.settings.home.rglob("*") if p.name.endswith(".part")]


def test_no_secret_is_in_it(project: Project) -> None:
    (failed,) = run(project, "fail with hf_ABCDEFGHIJKLMNOP or open sesame")
    for name, file in bundle(project.settings, failed.id).items():
        text = file.read_text()
        assert "hf_ABC" not in text, name
        assert "open sesame" not in text, name
    env = json.loads(bundle(project.settings, failed.id)["order.json"].read_text())["env"]
    assert env == {"HF_TOKEN": "***", "MY_PASSWORD": "***"}


def test_success_and_cancelling_leave_none(project: Project) -> None:
    (done,) = run(project, "works")
    assert done.status == "completed"
    assert bundle(project.settings, done.id) == {}


def test_each_failed_run_of_a_batch_has_its_own(project: Project) -> None:
    runs = run(project, "one", "fail", "fail again")
    assert [r.status for r in runs] == ["completed", "failed", "failed"]
    kept = [bundle(project.settings, r.id) for r in runs]
    assert [bool(files) for files in kept] == [False, True, True]
    assert json.loads(kept[2]["run.json"].read_text())["id"] == runs[2].id


def test_an_input_that_is_refused_is_kept_without_asking_the_backend(project: Project) -> None:
    prompt, _ = register_prompt(project.catalog, project.settings, "works", "city")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
    entered = enter(project.catalog, project.settings, planned)
    shutil.rmtree(project.settings.inputs / "city")
    (failed,) = execute_runs(
        [entered.id], catalog=project.catalog, settings=project.settings, backend=project.backend
    )
    assert failed.status == "failed"
    assert "run.json" in bundle(project.settings, failed.id)
    assert "disk.txt" not in bundle(project.settings, failed.id)


class Gone(LocalBackend):
    """A backend that cannot be examined when something has failed."""

    def examine(self, handle: Handle | None) -> dict[str, str]:
        """Nobody answers."""
        raise Unreachable("gpu1", "gpu1 did not answer within 10 s.")


def test_what_could_not_be_had_is_named_and_hides_no_failure(project: Project) -> None:
    backend = Gone(project.settings.work, grace_s=2)
    (failed,) = run(project, "crash", backend=backend)
    assert (failed.status, failed.error_kind) == ("failed", "model_failed")
    files = bundle(project.settings, failed.id)
    assert "gpu1 did not answer within 10 s." in files["notes.txt"].read_text()
    assert "order.json" in files


def test_a_bundle_that_cannot_be_written_hides_no_failure(project: Project) -> None:
    (failed,) = run(project, "crash")
    folder = next(iter(bundle(project.settings, failed.id).values())).parent
    shutil.rmtree(folder.parent)
    folder.parent.write_text("in the way")
    Bundles(project.settings, project.backend).write(failed)
    assert project.catalog.get_run(failed.id).status == "failed"


def test_a_second_failure_replaces_the_first_ones_bundle(project: Project) -> None:
    (failed,) = run(project, "crash")
    old = bundle(project.settings, failed.id)["log_tail.txt"].parent / "old.txt"
    old.write_text("of the first attempt")
    execute_runs(
        [failed.id], catalog=project.catalog, settings=project.settings, backend=project.backend
    )
    files = bundle(project.settings, failed.id)
    assert "old.txt" not in files
    assert json.loads(files["run.json"].read_text())["attempt"] == 2


@pytest.mark.parametrize(("text", "status"), [("works", "completed"), ("oom", "failed")])
def test_a_run_keeps_what_it_took_of_its_gpu(project: Project, text: str, status: str) -> None:
    (ended,) = run(project, text)
    assert ended.status == status
    assert ended.outputs["gpu"] == {
        "name": "Simulated H100 80GB", "peak_memory_mib": 612, "peak_load_percent": 3
    }  # fmt: skip


def test_a_run_without_a_gpu_is_not_charged_with_anothers(project: Project) -> None:
    ENGINES["stand_in"] = StandIn()
    (done,) = run(project, "works")
    assert "gpu" not in done.outputs


def test_a_gpu_that_fails_during_a_run_is_told_once_in_the_runs_log(
    project: Project, tmp_path: Path
) -> None:
    row = "0, GPU-1, 81559, 0, [GPU requires reset], [GPU requires reset], [N/A], 580.95.05, H100"
    (tmp_path / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\necho '{row}'\n")
    (done,) = run(project, "slow 0.2")
    log = (project.run_directory(done) / "logs" / "cosmos.log").read_text()
    assert log.count("WARNING The GPUs of the run's host: GPU 0: GPU requires reset") == 1
