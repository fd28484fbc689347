"""`gpu_scripts/model/transfer1_upsample.py` under `run.sh`: with the simulator of NVIDIA's prompt
upsampler, and with one of a few lines that fails in more ways.
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.gpu_scripts.model.model_orders import SCRIPTS, Done, argv_of, lives, run_id, said, start
from tests.models import trees
from tests.support.videos import write_video
from tests.support.waiting import LONG_S, until

WEIGHTS = "nvidia/Cosmos-UpsamplePrompt1-12B-Transfer/consolidated.safetensors"
OURS = """
import json, multiprocessing, os, sys, time
from pathlib import Path

if "cosmos_transfer1.utils.fix_vllm_registration" not in sys.modules:
    raise ValueError("'aimv2' is already used by a Transformers config, pick another name.")

def engine_core():
    print("the engine's own process", flush=True)

class PixtralPromptUpsampler:
    def __init__(self, checkpoint_dir, offload_prompt_upsampler=False):
        print("loading from", checkpoint_dir, flush=True)
        assert offload_prompt_upsampler is False
        if os.environ.get("ENGINE_CORE"):
            core = multiprocessing.get_context("spawn").Process(target=engine_core)
            core.start()
            core.join()
            if core.exitcode:
                raise RuntimeError("Engine core initialization failed. See root cause above.")
        if os.environ.get("FAIL_AT_LOAD") == "vllm":
            print("(EngineCore pid=1) ValueError: Free memory on device (41.2/79.1 GiB) on startup"
                  " is less than desired GPU memory utilization (0.98, 77.5 GiB).", flush=True)
            raise RuntimeError("Engine core initialization failed. See root cause above.")
        if os.environ.get("FAIL_AT_LOAD"):
            raise ValueError(os.environ["FAIL_AT_LOAD"])

    def _prompt_upsample_with_offload(self, prompt, video):
        word, _, rest = prompt.partition(" ")
        print("asked for", word, flush=True)
        if word == "memory":
            raise type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to")
        if word == "raise":
            raise RuntimeError(rest)
        if word == "die":
            os.kill(os.getpid(), int(rest))
        if word == "crash":
            os._exit(int(rest))
        if word == "hang":
            print("hangs", os.getpid(), flush=True)
            time.sleep(300)
        if word == "environment":
            return json.dumps({**os.environ, "path": sys.path, "video": video})
        return f"  {prompt}, in more words\\n"
"""

WITNESS = """
import json, sys
from pathlib import Path
from model_log import Log
from model_process import Processes
from transfer1_request import read_prompts
from transfer1_upsample import OURS, Enhancement

request = read_prompts(Path(sys.argv[1]))

class Witness(Log):
    begun, noted = b"", []

    def pass_on(self, data):
        *lines, self.begun = (self.begun + data).split(b"\\n")
        for line in lines:
            match = OURS.match(line.decode())
            if match and match[5]:
                record = request.run / "finished.json"
                on_record = record.exists() and json.loads(record.read_text())["outputs"]
                self.noted.append([match[4], f"{match[4]}.txt" in (on_record or {})])
        super().pass_on(data)

witness = Witness()
code = Enhancement(request, witness, Processes()).carry_out()
(request.run / "noted.json").write_text(json.dumps(witness.noted))
sys.exit(code)
"""
"""Notes of each prompt whether its text is on record when its whole line is passed on."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("host")
    trees.checkout("transfer1", root / "simulator")
    package = root / "ours" / "cosmos_transfer1" / "auxiliary" / "upsampler" / "model"
    package.mkdir(parents=True)
    (package / "upsampler.py").write_text(OURS)
    fix = root / "ours" / "cosmos_transfer1" / "utils" / "fix_vllm_registration.py"
    fix.parent.mkdir()
    fix.write_text("")
    (root / "weights" / WEIGHTS).parent.mkdir(parents=True)
    (root / "weights" / WEIGHTS).write_text("weights")
    for name, shape in {"wide": (48, 96), "tall": (90, 51)}.items():
        grey = [np.full((*shape, 3), 20 * n, np.uint8) for n in range(12)]
        write_video(root / f"{name}.mp4", grey)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def placed(host: Path, folder: Path, prompts: Sequence[str], **change: Any) -> list[str]:
    (folder / "inputs").mkdir(parents=True)
    for name in ("wide", "tall"):
        (folder / "inputs" / f"{name}.mp4").write_bytes((host / f"{name}.mp4").read_bytes())
    samples = [
        {"run_id": run_id(n), "prompt": prompt, "output": f"outputs/{run_id(n)}.txt"}
        | {"source": f"inputs/{('wide', 'tall')[n % 2]}.mp4", "resolution": 64, "seed": 1}
        for n, prompt in enumerate(prompts)
    ]
    request = {
        "engine": "cosmos_transfer1",
        "operation": "enhance",
        "version": "1",
        "needs": {"files": [WEIGHTS]},
        "samples": samples,
        **change,
    }
    (folder / "request.json").write_text(json.dumps(request))
    return argv_of(folder, (), "transfer1_upsample.py")


def env_of(host: Path, code: str, **more: str) -> dict[str, str]:
    places = {"COSMOS_CWD": str(host / code), "COSMOS_CHECKPOINTS": str(host / "weights")}
    return {**places, **more}


def made(host: Path, folder: Path, *prompts: str, code: str = "ours", **env: str) -> Done:
    argv = placed(host, folder, prompts)
    return Done(folder, start(folder, argv, env_of(host, code, **env)).wait(LONG_S))


def answers(done: Done) -> dict[int, str]:
    paths = (done.folder / "outputs").glob("*.txt")
    return {int(p.stem[3:], 16): p.read_text("utf-8") for p in paths}


def test_nvidias_fix_is_there_before_vllm_in_each_process_that_loads_it(
    host: Path, folder: Path
) -> None:
    done = made(host, folder, "A street", ENGINE_CORE="1")
    assert done.code == 0, done.log
    assert "the engine's own process" in done.log
    assert "'aimv2' is already used" not in done.log


def test_each_prompt_has_its_answer_after_one_load_of_the_simulator(
    host: Path, folder: Path
) -> None:
    prompts = ["A street at dawn", "雨の街"]
    done = made(host, folder, *prompts, code="simulator")
    assert done.code == 0, done.log
    seen = "Seen by a simulator of Pixtral."
    assert answers(done) == {n: f"{prompt} {seen}\n" for n, prompt in enumerate(prompts)}
    own = [line for line in done.log.splitlines() if line.startswith("[")]
    assert own[0] == f"[1/2] {run_id(0)} enhance: loading (load 1)"
    assert own[1] == f"[1/2] {run_id(0)} enhance: chunk 0/1"
    assert re.fullmatch(
        rf"\[1/2\] {run_id(0)} enhance: done in \d+\.\d s, outputs/{run_id(0)}.txt", own[2]
    )
    texts = [f"{run_id(n)}.txt" for n in (0, 1)]
    assert sorted(done.result()["outputs"]) == ["record.json", *texts]
    record = json.loads((done.folder / "outputs" / "record.json").read_text())
    assert record["samples"].keys() == {run_id(0), run_id(1)}
    assert all(one["seconds"] >= 0 and one["load_s"] >= 0 for one in record["samples"].values())


def test_the_prompt_itself_an_empty_answer_and_an_error_are_no_answers(
    host: Path, folder: Path
) -> None:
    prompts = ["a [sim:same]", "b [sim:empty]", "c [sim:raise it broke]", "d"]
    done = made(host, folder, *prompts, code="simulator")
    assert done.code == 1
    assert answers(done) == {3: "d Seen by a simulator of Pixtral.\n"}
    assert done.failed == {
        0: ("model_failed", "The model returned the prompt without a change."),
        1: ("model_failed", "The model gave an empty answer."),
        2: ("model_failed", "RuntimeError: it broke"),
    }


def test_the_model_is_loaded_once_and_finds_the_environment_that_it_needs(
    host: Path, folder: Path
) -> None:
    done = made(host, folder, "first", "environment")
    assert done.log.count(f"loading from {host / 'weights'}") == 1
    seen = json.loads(answers(done)[1])
    assert seen["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
    assert seen["VLLM_ATTENTION_BACKEND"] == "FLASHINFER"
    names = "RANK LOCAL_RANK GROUP_RANK ROLE_RANK TORCHELASTIC_MAX_RESTARTS".split()  # noqa: SIM905
    assert [seen[name] for name in names] == ["0"] * 5
    assert (seen["WORLD_SIZE"], seen["LOCAL_WORLD_SIZE"]) == ("1", "1")
    assert seen["TORCHELASTIC_USE_AGENT_STORE"] == "False"
    assert int(seen["OMP_NUM_THREADS"]) >= 1
    names = "ROLE_NAME MASTER_ADDR MASTER_PORT TORCHELASTIC_RUN_ID".split()  # noqa: SIM905
    names += ["TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCHELASTIC_ERROR_FILE"]
    assert all(seen[name] for name in names)
    assert Path(seen["TMPDIR"]).is_relative_to(folder)
    assert str(host / "ours") in seen["path"]
    assert seen["PYTHONPATH"].startswith(str(host / "ours"))
    assert seen["video"] == str(folder / "clips" / f"{run_id(1)}.mp4")


def test_a_backend_that_was_chosen_is_kept(host: Path, folder: Path) -> None:
    done = made(host, folder, "environment", VLLM_ATTENTION_BACKEND="XFORMERS")
    assert json.loads(answers(done)[0])["VLLM_ATTENTION_BACKEND"] == "XFORMERS"


def test_clips_are_the_first_ten_frames_in_the_size_that_was_asked_for(
    host: Path, folder: Path
) -> None:
    made(host, folder, "wide", "tall")
    shapes = []
    for n in (0, 1):
        with av.open(str(folder / "clips" / f"{run_id(n)}.mp4")) as container:
            stream = container.streams.video[0]
            shapes.append((stream.width, stream.height, stream.frames))
    assert shapes == [(64, 32, 10), (36, 64, 10)]


def test_out_of_memory_ends_it_and_keeps_what_was_answered(host: Path, folder: Path) -> None:
    done = made(host, folder, "first", "memory", "third")
    assert done.code == 1
    assert set(answers(done)) == {0}
    assert done.kinds == {1: "out_of_memory", 2: "lost"}
    assert "asked for third" not in done.log


@pytest.mark.parametrize(
    ("words", "kind"),
    [("die 9", "out_of_memory"), ("die 11", "model_failed"), ("crash 4", "model_failed")],
)
def test_a_model_that_dies_loses_no_answer(host: Path, folder: Path, words: str, kind: str) -> None:
    done = made(host, folder, "first", words, "third")
    assert set(answers(done)) == {0}
    assert done.kinds == {1: kind, 2: "lost"}


@pytest.mark.parametrize(
    ("fails", "kind", "says"),
    [
        ("vllm", "out_of_memory", "Pixtral takes nearly all of it"),
        ("no such tokenizer", "model_failed", "ValueError: no such tokenizer"),
    ],
)
def test_a_load_that_fails_is_told_of_every_prompt(
    host: Path, folder: Path, fails: str, kind: str, says: str
) -> None:
    done = made(host, folder, "first", "second", FAIL_AT_LOAD=fails)
    assert done.kinds == {0: kind, 1: kind}
    assert says in done.failed[1][1]


def test_without_the_code_it_is_launch_failed(host: Path, folder: Path, tmp_path: Path) -> None:
    done = made(host, folder, "first", COSMOS_CWD=str(tmp_path))
    assert done.kinds == {0: "launch_failed"}
    assert "No module named 'cosmos_transfer1'" in done.failed[0][1]


def test_a_source_that_cannot_be_read_loses_none_of_the_others(host: Path, folder: Path) -> None:
    argv = placed(host, folder, ["first", "second"])
    (folder / "inputs" / "wide.mp4").write_bytes(b"no video")
    done = Done(folder, start(folder, argv, env_of(host, "ours")).wait(LONG_S))
    assert done.kinds == {0: "validation"}
    assert set(answers(done)) == {1}


def test_a_signal_ends_it_and_keeps_what_was_answered(host: Path, folder: Path) -> None:
    script = start(folder, placed(host, folder, ["first", "hang", "x"]), env_of(host, "ours"))
    until(said(folder, r"hangs (\d+)\n"), "its log")
    found = said(folder, r"hangs (\d+)\n")()
    assert found
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    done = Done(folder, 143)
    assert set(answers(done)) == {0}
    assert done.failed == {}
    assert not lives(int(found[1]))


def test_each_answer_and_failure_is_kept_as_soon_as_it_is_known(host: Path, folder: Path) -> None:
    """While another prompt is in work: the host may die then."""
    prompts = ["first", "raise it broke", "third", "hang", "x"]
    script = start(folder, placed(host, folder, prompts), env_of(host, "ours"))
    until(said(folder, r"hangs (\d+)\n"), "its log")
    until(lambda: f"{run_id(2)}.txt" in Done(folder, -1).finished["outputs"], "a text")
    kept = Done(folder, -1)
    answer = (folder / "outputs" / f"{run_id(0)}.txt").read_bytes()
    facts = {"sha256": hashlib.sha256(answer).hexdigest(), "size": len(answer)}
    assert kept.finished["outputs"][f"{run_id(0)}.txt"] == facts
    assert kept.finished["outputs"].keys() == {f"{run_id(n)}.txt" for n in (0, 2)}
    assert kept.kept == {1: ("model_failed", "RuntimeError: it broke")}
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143


def test_what_failed_is_told_again_at_the_end(host: Path, folder: Path) -> None:
    """By whoever it was told: the clip, the model, its end."""
    argv = placed(host, folder, ["no clip", "raise it broke", "third", "crash 4", "last"])
    (folder / "inputs" / "none.mp4").write_bytes(b"no video")
    request = json.loads((folder / "request.json").read_text())
    request["samples"][0]["source"] = "inputs/none.mp4"
    (folder / "request.json").write_text(json.dumps(request))
    done = Done(folder, start(folder, argv, env_of(host, "ours")).wait(LONG_S))
    assert done.kinds == {0: "validation", 1: "model_failed", 3: "model_failed", 4: "lost"}
    assert done.kept == done.failed
    last = [line.split()[1] for line in done.log.splitlines()[-4:]]
    assert last == [f"{run_id(n)}:" for n in (0, 1, 3, 4)]
    assert done.finished["outputs"].keys() == {f"{run_id(2)}.txt"}


def test_a_text_is_on_record_before_it_is_told(host: Path, folder: Path) -> None:
    words = placed(host, folder, ["first", "second"])
    argv = [words[0], "-c", WITNESS, words[-1]]
    env = env_of(host, "ours", PYTHONPATH=str(SCRIPTS / "model"))
    done = Done(folder, start(folder, argv, env).wait(LONG_S))
    assert done.code == 0, done.log
    noted = json.loads((folder / "noted.json").read_text())
    assert noted == [[run_id(0), True], [run_id(1), True]]


def test_an_answer_that_cannot_be_written_fails_its_prompt_alone(host: Path, folder: Path) -> None:
    argv = placed(host, folder, ["first", "second"])
    (folder / "outputs" / f"{run_id(0)}.txt").mkdir(parents=True)
    done = Done(folder, start(folder, argv, env_of(host, "ours")).wait(LONG_S))
    assert done.failed == {0: ("model_failed", "A file cannot be read or written: Is a directory.")}
    assert done.finished["outputs"].keys() == {f"{run_id(1)}.txt"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"needs": {"files": ["nothing.pt"]}}, "launch_failed: nothing.pt is missing below"),
        ({"operation": "transfer"}, "validation: request.json is a request for transfer"),
        ({"samples": []}, "validation: the request has no samples"),
        ({"samples": [{"run_id": "rs_1"}]}, "validation: prompt of sample 1"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_model_is_started(
    host: Path, folder: Path, change: dict[str, Any], says: str
) -> None:
    argv = placed(host, folder, ["first"], **change)
    assert start(folder, argv, env_of(host, "ours")).wait(LONG_S) == 2
    (line,) = Done(folder, 2).log.splitlines()
    assert line.startswith(f"REFUSED: {says}")


def test_two_at_once_do_not_share_their_pictures(host: Path, tmp_path: Path) -> None:
    """The upsampler writes them under fixed names."""
    folders = [tmp_path / name for name in ("a", "b")]
    scripts = [
        start(folder, placed(host, folder, [f"prompt {n}"]), env_of(host, "simulator"))
        for n, folder in enumerate(folders)
    ]
    assert [script.wait(LONG_S) for script in scripts] == [0, 0]
    for folder in folders:
        assert {p.name for p in (folder / "tmp").iterdir()} == {"frame_1.png", "frame_2.png"}
