"""What `gpu_scripts/model/model_run.py` refuses before a model is started: places and requests."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.engines.cosmos3 import facts as facts3
from cosmos_pipelines.engines.cosmos_transfer2_5 import facts as facts25
from cosmos_pipelines.engines.gpu_faults import GPU_FAULTS
from tests.gpu_scripts.model.model_orders import Done, Order, argv_of, carried_out, start
from tests.models.trees import fake_checkpoints
from tests.support.waiting import LONG_S


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def smi(folder: Path, *lines: str, code: int = 0) -> dict[str, str]:
    """An nvidia-smi that answers this."""
    place = folder.with_name("bin")
    place.mkdir(exist_ok=True)
    text = "\n".join(f"echo '{line}'" for line in lines)
    (place / "nvidia-smi").write_text(f"#!/bin/sh\n{text}\nexit {code}\n")
    (place / "nvidia-smi").chmod(0o755)
    return {"PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}


A, B = "0, 41, NVIDIA A100-SXM4-80GB, 81920, 80000", "1, 41, NVIDIA H100, PCIe, 81559, 4000"
RESET = "0, [GPU requires reset], NVIDIA H100, 81559, 81000"


@pytest.mark.parametrize(
    ("needs", "answer", "visible", "said"),
    [
        ({"gpus": 1, "free_vram_mib": 76000}, [A, B], None, None),
        ({"gpus": 1, "free_vram_mib": 76000}, [B, A], None, "out_of_memory: GPU 1 (NVIDIA H100, "),
        ({"gpus": 2, "free_vram_mib": 76000}, [A, B], None, "out_of_memory: GPU 1 (NVIDIA H100, "),
        ({"gpus": 1, "free_vram_mib": 76000}, [A, B], "1", "has 4000 of 81559 MiB free"),
        ({"gpus": 1, "free_vram_mib": 76000}, [B, A], "0", None),
        ({"gpus": 1, "free_vram_mib": 90000}, [A], None, "use a larger GPU"),
        ({"gpus": 1, "free_vram_percent": 97}, [A], None, None),
        ({"gpus": 1, "free_vram_percent": 98}, [A], None, "80000 of 81920 MiB free, 80281 MiB are"),
        ({"gpus": 2, "free_vram_percent": 9}, [A, B], None, "4000 of 81559 MiB free, 7340 MiB are"),
        ({"gpus": 1, "free_vram_percent": 9, "free_vram_mib": 80001}, [A], None, "80001 MiB are"),
        ({"gpus": 1, "free_vram_percent": 98}, ["0, 41, GB10, [N/A], [N/A]"], None, None),
        ({"gpus": 1, "free_vram_mib": 9}, ["0, 41, GB10, [N/A], [N/A]"], None, None),
        ({"gpus": 2, "free_vram_mib": 9}, [A, B], "0", "launch_failed: 2 GPU(s) are needed, 1 "),
        ({"gpus": 1}, [A], "", "launch_failed: 1 GPU(s) are needed, 0 "),
        ({"gpus": 1}, ["No devices were found"], None, "gpu_lost: nvidia-smi shows no GPU"),
        ({"gpus": 1}, None, None, "gpu_lost: nvidia-smi shows no GPU"),
        ({"gpus": 1}, [RESET], None, "shows no GPU here (GPU 0 (NVIDIA H100): GPU requires reset)"),
        ({"gpus": 1}, [B, RESET], "1", None),
        ({"gpus": 0}, None, None, None),
        ({"free_ram_mib": 1 << 30}, None, None, "out_of_memory: this host has "),
        ({"free_disk_mib": 1 << 40}, None, None, "disk_full: "),
        ({"free_disk_mib": 1, "free_ram_mib": 1}, None, None, None),
    ],
)
def test_a_place_that_is_too_small_is_refused_before_the_model_is_started(
    folder: Path, needs: dict[str, Any], answer: list[str] | None, visible: str | None, said: str
) -> None:
    found = bool(answer and answer[0][0].isdigit())
    env = smi(folder, *(answer or ["not found"]), code=0 if found else 9)
    env |= {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    done = carried_out(folder, [], request={"needs": needs}, env=env)
    if said is None:
        assert done.code == 0, done.log
        return
    assert done.code == 2
    (line,) = done.log.splitlines()
    assert line.startswith("REFUSED: ")
    assert said in line
    assert not (folder / "made").exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Failed to initialize NVML: Unknown Error", "native.cgroupdriver=cgroupfs"),
        ("Failed to initialize NVML: Driver/library version mismatch", "reboot the host"),
        ("No devices were found", "give GPUs to the container"),
        (RESET, "sudo nvidia-smi --gpu-reset -i N"),
        ("Unable to determine the device handle for GPU0000:65:00.0: Unknown Error", "--gpu-reset"),
    ],
)
def test_a_gpu_that_failed_ends_the_run_before_the_model_is_loaded_with_what_helps(
    folder: Path, answer: str, said: str
) -> None:
    code = 0 if answer[0].isdigit() else 255
    failures = [list(row) for row in GPU_FAULTS]
    done = carried_out(
        folder,
        [],
        request={"needs": {"gpus": 1}, "says": {"failures": failures}},
        env=smi(folder, answer, code=code),
    )
    assert done.code == 2
    (line,) = done.log.splitlines()
    assert line.startswith("REFUSED: gpu_lost: ")
    assert said in line
    assert not (folder / "made").exists()


FILES = ["a/base.pt", "b.pt", "c.pt|c.safetensors", "d.pt", "e.pt"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "a/base.pt, b.pt, c.pt or c.safetensors and 2 more are missing below "),
        (["a/base.pt", "b.pt", "c.safetensors", "d.pt"], " e.pt is missing below "),
        ([n.partition("|")[0] for n in FILES], None),
    ],
)
def test_missing_checkpoints_are_refused_with_what_to_do(
    folder: Path, tmp_path: Path, there: list[str], said: str | None
) -> None:
    for name in there:
        (tmp_path / "weights" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "weights" / name).write_text("x")
    (tmp_path / "weights").mkdir(exist_ok=True)
    (tmp_path / "weights" / "half.pt").write_text("")
    env = {"COSMOS_CHECKPOINTS": str(tmp_path / "weights")}
    done = carried_out(folder, [], request={"needs": {"files": FILES}}, env=env)
    assert done.code == (0 if said is None else 2), done.log
    if said is not None:
        (line,) = done.log.splitlines()
        assert line.startswith("REFUSED: launch_failed: ")
        assert said in line
        assert line.endswith("run `cosmos host checkpoints cosmos_transfer1 --download`")


SHA = "921dbaf3f1674a56f47e83fb80a34bac8a8f203e"


@pytest.mark.parametrize(
    ("need", "there", "told"),
    [
        ("a/b@main/c.pt", ["hub/models--a--b/snapshots/one/c.pt"], "a/b/c.pt"),
        ("a/b@main/c.pt", ["hub/models--a--b/snapshots/two/c.pt"], None),
        (f"a/b@{SHA}/c.pt", ["hub/models--a--b/snapshots/two/c.pt"], f"a/b/c.pt (at {SHA[:12]})"),
        (f"a/b@{SHA}/c.pt", [f"hub/models--a--b/snapshots/{SHA}/d.pt"], "a/b/c.pt"),
        (f"a/b@{SHA}/x/c.pt", [f"hub/models--a--b/snapshots/{SHA}/x/c.pt"], None),
        ("depth/c.pt", ["hub/depth/c.pt"], "depth/c.pt"),
        ("depth/c.pt", ["depth/c.pt"], None),
    ],
)
def test_what_libraries_would_not_find_in_the_cache_is_refused(
    folder: Path, tmp_path: Path, need: str, there: list[str], told: str | None
) -> None:
    """A library that is offline looks at the branch's commit, or at the pinned one, alone."""
    home = tmp_path / "hf"
    for name in there:
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text("x")
    ref = home / "hub" / "models--a--b" / "refs" / "main"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text("two")
    done = carried_out(folder, [], request={"needs": {"hub": [need]}}, env={"HF_HOME": str(home)})
    assert done.code == (0 if told is None else 2), done.log
    if told is not None:
        (line,) = done.log.splitlines()
        assert line.startswith(f"REFUSED: launch_failed: {told}")
        assert f" is missing below {home}: run `cosmos host checkpoints " in line


@pytest.mark.parametrize(
    ("family", "names", "gone"),
    [
        ("cosmos3", facts3.HUB, "Wan-AI/Wan2.2-TI2V-5B/Wan2.2_VAE.pth (at 921dbaf3f167)"),
        ("cosmos3", facts3.HUB, "nvidia/Cosmos3-Nano/sound_tokenizer/config.json"),
        ("transfer2_5", facts25.HUB, "google/siglip-so400m-patch14-384/config.json"),
    ],
)
def test_a_host_that_lacks_one_file_of_a_model_is_told_which(
    folder: Path, tmp_path: Path, family: str, names: tuple[str, ...], gone: str
) -> None:
    home = tmp_path / "hf"
    fake_checkpoints(family, home)
    needs, env = {"needs": {"hub": list(names)}}, {"HF_HOME": str(home)}
    whole = carried_out(folder, [], request=needs, env=env)
    assert whole.code == 0, whole.log
    repo, file = re.match(r"([^/]+/[^/]+)/(\S+)", gone).groups()
    cache = home / "hub" / f"models--{repo.replace('/', '--')}" / "snapshots"
    next(cache.glob(f"*/{file}")).unlink()
    refused = carried_out(folder.with_name("b"), [], request=needs, env=env)
    assert refused.log.startswith(f"REFUSED: launch_failed: {gone} is missing below {home}")


@pytest.mark.parametrize(
    ("files", "place", "well"),
    [
        (["own.pt"], "own.pt", True),
        ([], "own.pt", False),
        (["own/model-1.safetensors", "own/config.json"], "own", True),
        (["own/model-1.safetensors"], "own", False),
        (["own/model/x.safetensors.index.json", "own/model/config.json"], "own", True),
        (["own/model/__0_0.distcp", "own/model/.metadata"], "own", True),
        (["own/__0_0.distcp"], "own", False),
        (["own/readme.txt"], "own", False),
    ],
)
def test_a_checkpoint_of_our_own_that_the_model_cannot_read_is_refused(
    folder: Path, tmp_path: Path, files: list[str], place: str, well: bool
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    env = {"COSMOS_OWN_CHECKPOINT": str(tmp_path / place)}
    needs = {"needs": {"checkpoint": "/data/own"}}
    done = carried_out(folder, [], request=needs, env=env)
    assert done.code == (0 if well else 2), done.log
    if not well:
        assert done.log == (
            "REFUSED: launch_failed: there are no weights at /data/own that the model can read: "
            "set checkpoint in [cosmos_transfer1] of cosmos.toml\n"
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": []}, "has no samples"),
        ({"samples": [{"run_id": "rs_1", "output": "/etc/passwd"}]}, "output of sample 1"),
        ({"samples": [{"run_id": "rs_1", "output": "../x"}]}, "output of sample 1"),
        ({"folder": None}, "folder of request.json"),
        ({"folder": "other"}, "the command has no word"),
        ({"lines": "other.jsonl"}, "cannot read other.jsonl"),
        ({"says": {"chunk": ["("]}}, "not a regular expression"),
        ({"says": {"ignores": ["("]}}, "not a regular expression"),
        ({"says": {"failures": [["blocked"]]}}, "not kind, pattern and sentence"),
        ({"produces": {}}, "video of produces"),
        ({"needs": {"gpus": "all"}}, "gpus of needs"),
        ({"batch_size": -1}, "batch_size"),
        ({"lines": None}, "cannot be left out of the command"),
    ],
)
def test_a_bad_request_is_refused_in_one_line(
    folder: Path, change: dict[str, Any], said: str
) -> None:
    done = carried_out(folder, [], [], request=change)
    assert done.code == 2
    (line,) = done.log.splitlines()
    assert line.startswith("REFUSED: validation: ")
    assert said in line


@pytest.mark.parametrize("content", [None, "{", "[]", '{"engine": "x"}'])
def test_a_request_that_cannot_be_read_is_refused(folder: Path, content: str | None) -> None:
    command = Order(folder, [[]]).place()
    (folder / "request.json").unlink()
    if content is not None:
        (folder / "request.json").write_text(content)
    assert start(folder, argv_of(folder, command)).wait(LONG_S) == 2
    assert Done(folder, 2).log.startswith("REFUSED: validation: ")


def test_lines_that_are_not_one_for_each_part_are_refused(folder: Path) -> None:
    done = carried_out(folder, [], [], lines=[{"prompt": "prompt 0"}])
    assert (done.code, done.log) == (
        2,
        "REFUSED: validation: batch.jsonl has 1 lines for 2 parts\n",
    )


def test_a_call_without_a_command_is_refused(folder: Path) -> None:
    Order(folder, [[]]).place()
    assert start(folder, argv_of(folder, [])).wait(LONG_S) == 2
    assert "usage: model_run.py" in Done(folder, 2).log


def test_memory_that_others_use_counts_as_taken(folder: Path) -> None:
    """A host that has as much memory as is needed, but not now."""
    sizes = dict(
        line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    )
    total, free = (int(sizes[key].split()[0]) >> 10 for key in ("MemTotal", "MemAvailable"))
    needs = {"free_ram_mib": (total + free) // 2}
    done = carried_out(folder, [], request={"needs": needs})
    assert done.code == 2
    assert "of free memory" in done.log
    assert "end other programs" in done.log
