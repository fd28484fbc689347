"""NVIDIA's models, simulated, in containers of a GPU host: what a night there may bring."""

from __future__ import annotations

import json
import threading

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.plan import plan_enhance, plan_upscale
from tests.rig.host import until
from tests.support.cosmos_host import FRAMES
from tests.support.gpu_host import RemoteProject
from tests.support.project import write_video

FIVE = ("one", "two [sim:blocked bleeding]", "three\n'quoted' $(reboot)", "夜の雨", "five")


def transfers(project: RemoteProject, *texts: str, **fields: object) -> list[Run]:
    """A pending run for each text."""
    return [project.pending(text, engine="cosmos_transfer1", **fields) for text in texts]


def test_a_blocked_sample_costs_its_mates_nothing(transfer1: RemoteProject) -> None:
    runs = transfer1.execute(*transfers(transfer1, *FIVE))
    assert [run.status for run in runs] == ["completed", "failed", *["completed"] * 3]
    assert runs[1].error_kind == "blocked"
    assert "bleeding" in (runs[1].error_message or "")
    assert len({run.container_name for run in runs}) == 1
    log = transfer1.model_log(runs[0])
    assert log.count("SIMULATOR of NVIDIA") == 2, "loaded once, and once again"
    for run in runs:
        if run.status == "completed":
            found = probe(transfer1.settings.home / run.outputs["video"], deep=True)
            assert (found.width, found.height, found.frames) == (960, 704, FRAMES)
            assert run.outputs["timing"]["chunks"] == 1
            assert {"upload_s", "download_s"} <= run.outputs["timing"].keys()


def test_videos_of_a_batch_come_home_one_by_one_also_over_a_cut_link(
    transfer1: RemoteProject,
) -> None:
    runs = transfers(transfer1, "one", "two [sim:slow 0.2]", "three")
    first, host = runs[0].id, transfer1.host
    menders: list[threading.Timer] = []
    seen: list[list[str]] = []

    def cut(_: str | None, line: str) -> None:
        if f"{first} transfer: done in" in line and not menders:
            host.cut()
            menders.append(threading.Timer(6, host.mend))
            menders[0].start()

    ended = execute_runs(
        [run.id for run in runs],
        catalog=transfer1.catalog,
        settings=transfer1.settings,
        backend=transfer1.backend,
        on_line=cut,
        on_completed=lambda _: seen.append(
            [transfer1.catalog.get_run(run.id).status for run in runs]
        ),
    )
    menders[0].join()
    assert [(run.status, run.attempt) for run in ended] == [("completed", 1)] * 3
    assert seen[0] == ["completed", "running", "running"]
    assert transfer1.model_log(ended[0]).count("SIMULATOR of NVIDIA") == 1
    assert transfer1.containers() == []


def test_only_what_is_missing_is_made_again(transfer1: RemoteProject) -> None:
    made, again = transfer1.execute(*transfers(transfer1, "one", "two [sim:oom]"))
    assert (made.status, again.error_kind) == ("completed", "out_of_memory")
    before = (transfer1.settings.home / made.outputs["video"]).stat().st_mtime_ns
    same, _ = transfer1.execute(made, again)
    assert same == made
    assert (transfer1.settings.home / made.outputs["video"]).stat().st_mtime_ns == before
    assert "[1/1]" in transfer1.model_log(again)


def test_missing_weights_are_told_before_the_model_is_started(transfer1: RemoteProject) -> None:
    weights = transfer1.host.root / "data/cosmos/engines/cosmos_transfer1/checkpoints"
    (weights / "nvidia/Cosmos-Transfer1-7B/depth_control.pt").unlink()
    (run,) = transfer1.execute(*transfers(transfer1, "one"))
    assert (run.status, run.error_kind) == ("failed", "launch_failed")
    assert "depth_control.pt" in (run.error_message or "")
    assert "SIMULATOR of" not in transfer1.model_log(run)


def test_weights_of_the_wrong_size_are_told_before_the_model_is_started(
    transfer1: RemoteProject,
) -> None:
    weights = transfer1.host.root / "data/cosmos/engines/cosmos_transfer1/checkpoints"
    name = "nvidia/Cosmos-Transfer1-7B/base_model.pt"
    whole = {"files": {name: {"size": 14_000_000_000}}, "listed": {}}  # as a download recorded it
    (weights / ".cosmos-sizes.json").write_text(json.dumps(whole))
    (run,) = transfer1.execute(*transfers(transfer1, "one"))
    assert (run.status, run.error_kind) == ("failed", "launch_failed")
    assert f"{name} has " in (run.error_message or "")
    assert " of 14000000000 bytes" in (run.error_message or "")
    assert "SIMULATOR of" not in transfer1.model_log(run)


def test_a_host_that_was_not_set_up_is_told_with_the_command(transfer1: RemoteProject) -> None:
    engine = transfer1.host.root / "data/cosmos/engines/cosmos_transfer1"
    (engine / "code").rename(engine / "elsewhere")
    (run,) = transfer1.execute(*transfers(transfer1, "one"))
    assert (run.status, run.error_kind) == ("failed", "launch_failed")
    assert "engines/cosmos_transfer1/code" in (run.error_message or "")
    assert "`cosmos host setup cosmos_transfer1`" in (run.error_message or "")


def test_a_gpu_that_is_taken_is_told_before_the_model_is_started(transfer1: RemoteProject) -> None:
    transfer1.host.gpu("0, Simulated H100 80GB, 81559, 20000, 3, 41, 92.1, 550.54.15, GPU-0")
    (run,) = transfer1.execute(*transfers(transfer1, "one"))
    assert run.error_kind == "out_of_memory"
    assert "SIMULATOR of" not in transfer1.model_log(run)


def test_what_is_made_before_the_model_dies_is_kept(transfer1: RemoteProject) -> None:
    runs = transfer1.execute(*transfers(transfer1, "one", "two", "three [sim:die]", "four"))
    assert [run.status for run in runs][:3] == ["completed", "completed", "failed"]
    assert runs[2].error_kind == "out_of_memory"


def test_a_long_clip_is_upscaled_whole(transfer1: RemoteProject) -> None:
    clip = write_video(transfer1.settings.home / "a clip.mp4", frames=130, width=128, height=72)
    planned = plan_upscale(transfer1.catalog, transfer1.settings, None, {}, video=clip)
    (run,) = transfer1.execute(enter(transfer1.catalog, transfer1.settings, planned))
    assert run.status == "completed", run.error_message
    found = probe(transfer1.settings.home / run.outputs["video"], deep=True)
    assert (found.width, found.height, found.frames, str(found.fps)) == (3840, 2112, 130, "24")


def test_prompts_are_enhanced_in_one_load_and_an_echo_is_a_failure(
    transfer1: RemoteProject,
) -> None:
    catalog, settings = transfer1.catalog, transfer1.settings
    texts = ("a street", "a square [sim:same]", "a garden")
    prompts = [run.prompt_id or "" for run in transfers(transfer1, *texts)]
    planned = [plan_enhance(catalog, settings, prompt, {}) for prompt in prompts]
    runs = transfer1.execute(*(enter(catalog, settings, plan) for plan in planned))
    assert [run.status for run in runs] == ["completed", "failed", "completed"]
    assert runs[1].error_kind == "model_failed"
    assert all(run.outputs["enhanced_text"] for run in (runs[0], runs[2]))
    order = transfer1.host.root / "data/cosmos/runs" / (runs[0].batch_id or "") / "order.json"
    assert len(json.loads(order.read_text())["run_ids"]) == 3


def test_a_run_that_hangs_is_stopped_and_its_finished_mates_stay(transfer1: RemoteProject) -> None:
    execution = transfer1.settings.execution.model_copy(update={"transfer_timeout_s": 4})
    tight = transfer1.settings.model_copy(update={"execution": execution})

    class Patient(type(transfer1.backend)):  # type: ignore[misc]
        """Its clock begins with the first run that is here."""

        begun = False

        def running_s(self, handle: Handle) -> float:
            return float(super().running_s(handle)) if Patient.begun else 0.0

    transfer1.backend.__class__ = Patient
    one, two = execute_runs(
        [run.id for run in transfers(transfer1, "one", "two [sim:hang]")],
        catalog=transfer1.catalog,
        settings=tight,
        backend=transfer1.backend,
        on_completed=lambda _: setattr(Patient, "begun", True),
    )
    assert (one.status, two.status, two.error_kind) == ("completed", "failed", "timeout")


def test_what_was_made_before_the_power_was_cut_comes_home(transfer1: RemoteProject) -> None:
    one, two = transfers(transfer1, "one", "two [sim:hang]")
    process = transfer1.in_another_process(one, two)
    log = transfer1.settings.outputs / f"run_{one.id}" / "logs" / "run.log"
    until(lambda: log.is_file() and f"{one.id} transfer: done in" in log.read_text(), "a video")
    transfer1.host.power_off()
    transfer1.host.boot()
    process.communicate(timeout=60)
    one, two = (transfer1.catalog.get_run(run.id) for run in (one, two))
    assert (one.status, two.status, two.error_kind) == ("completed", "failed", "lost")
    assert one.outputs["frames"] == FRAMES


def test_transfer2_5_skips_what_is_blocked_and_each_run_has_its_own_seed(
    transfer2_5: RemoteProject,
) -> None:
    runs = [
        transfer2_5.pending(text, engine="cosmos_transfer2_5", seed=seed)
        for seed, text in enumerate(FIVE)
    ]
    ended = transfer2_5.execute(*runs)
    assert [run.status for run in ended] == ["completed", "failed", *["completed"] * 3]
    assert (ended[1].error_kind, len({run.container_name for run in ended})) == ("blocked", 1)
    assert "bleeding" in (ended[1].error_message or "")
    assert transfer2_5.model_log(runs[0]).count("SIMULATOR of NVIDIA") == 1
    for run in ended:
        if run.status == "completed":
            found = probe(transfer2_5.settings.home / run.outputs["video"], deep=True)
            assert (found.width, found.height, found.frames) == (64, 48, FRAMES)


def test_transfer2_5_keeps_what_was_made_before_memory_ran_out(
    transfer2_5: RemoteProject,
) -> None:
    texts = ("one", "two [sim:oom]", "three")
    runs = [transfer2_5.pending(text, engine="cosmos_transfer2_5") for text in texts]
    ended = transfer2_5.execute(*runs)
    assert [run.status for run in ended] == ["completed", "failed", "failed"]
    assert ended[1].error_kind == "out_of_memory"


def test_cosmos3_makes_a_batch(cosmos3: RemoteProject) -> None:
    runs = [cosmos3.pending(text, engine="cosmos3") for text in ("one", "two", "three")]
    ended = cosmos3.execute(*runs)
    assert [run.status for run in ended] == ["completed"] * 3, [r.error_message for r in ended]
    for run in ended:
        found = probe(cosmos3.settings.home / run.outputs["video"], deep=True)
        assert found.frames == FRAMES
