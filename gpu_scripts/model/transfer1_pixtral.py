"""Answer prompts with NVIDIA's prompt upsampler, Pixtral on vLLM: one load of the model for all.

    python transfer1_pixtral.py RUN/request.json RUN_ID...

`transfer1_upsample.py` starts this program in the checkout of Cosmos-Transfer1 once the clips are
made, and reads its output. Runs on the GPU side; needs only the standard library, except the model.

The upsampler has no seed: it samples with a temperature of 0.6, and the same prompt gives another
answer each time. It is not asked to free its memory after each prompt, since then the same answer
comes twice.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from model_files import not_written, write_whole
from model_gpu import GPU_LOST, SENTENCE
from model_judging import Failure
from model_log import one_line
from transfer1_request import Prompt, read_prompts

MEMORY_RAN_OUT = 3
Answer = Callable[[str, str], str]
"""Returns the longer prompt for a prompt and the path of a clip."""


def main(argv: Sequence[str]) -> int:
    """Return 0: all prompts are answered, 1: some failed, 3: the GPU's memory ran out: the end."""
    path = Path(argv[0])
    request = read_prompts(path)
    prompts = [prompt for prompt in request.prompts if prompt.run_id in argv[1:]]
    prepare(request.run / "tmp")
    began = time.monotonic()
    answer = load()
    load_s = round(time.monotonic() - began, 1)
    worst, made = 0, {}
    for prompt in prompts:
        began = time.monotonic()
        code = answered(prompt, request.run, answer)
        if code == 0:
            seconds = round(time.monotonic() - began, 3)
            made[prompt.run_id] = {"seconds": seconds, "load_s": load_s, "load": 1}
        worst = max(worst, code)
        if worst == MEMORY_RAN_OUT:
            break
    keep_record(request.run, made)
    return worst


def keep_record(run: Path, made: dict[str, dict[str, float]]) -> None:
    """Record the time of each answer, as `model_run.py` does for videos."""
    text = json.dumps({"loads": 1, "samples": made}, indent=2)
    try:
        write_whole(run / "outputs" / "record.json", f"{text}\n".encode())
    except OSError as e:
        say(f"No record was written: {e.strerror}.")


def prepare(tmp: Path) -> None:
    """Set the environment of vLLM and the upsampler, before they are imported."""
    tmp.mkdir(parents=True, exist_ok=True)
    # The upsampler writes its two pictures under fixed names into the temporary directory.
    os.environ["TMPDIR"] = str(tmp)
    tempfile.tempdir = None
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    os.environ.setdefault("VLLM_ATTENTION_BACKEND", "FLASHINFER")
    os.environ.update(one_process(tmp))
    os.environ.setdefault("OMP_NUM_THREADS", str(min(8, os.cpu_count() or 1)))
    sys.path.insert(0, str(Path.cwd()))
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), *([others] if others else [])])


def one_process(tmp: Path) -> dict[str, str]:
    """Return the variables that torchrun sets for a single process.

    TORCHELASTIC_USE_AGENT_STORE is False: if it is True, torch waits for a torchrun.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": "0",
        "ROLE_RANK": "0",
        "ROLE_NAME": "default",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "False",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TORCHELASTIC_RUN_ID": "none",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
        "TORCHELASTIC_ERROR_FILE": str(tmp / "error.json"),
    }


def let_vllm_register() -> None:
    """Let vLLM register a type of models that transformers knows too; before vLLM is imported."""
    import cosmos_transfer1.utils.fix_vllm_registration  # type: ignore[import-not-found,unused-ignore]  # noqa: F401


def load() -> Answer:
    """Load the model."""
    let_vllm_register()
    from cosmos_transfer1.auxiliary.upsampler.model.upsampler import (  # type: ignore[import-not-found,unused-ignore]
        PixtralPromptUpsampler,
    )

    model = PixtralPromptUpsampler(os.environ["COSMOS_CHECKPOINTS"], False)
    answer: Answer = model._prompt_upsample_with_offload
    return answer


def answered(prompt: Prompt, run: Path, answer: Answer) -> int:
    """Answer one prompt and write the answer; return the exit code for this prompt."""
    began = time.monotonic()
    failure: Failure | None
    say(f"{prompt.place} chunk 0/1")
    try:
        text = answer(prompt.text, str(run / prompt.clip)).strip()
    except Exception as e:  # noqa: BLE001  after any error the other prompts are answered
        traceback.print_exc()
        sys.stderr.flush()
        failure = failure_of(e)
    else:
        failure = no_answer(prompt.text, text) or not_put(text, run / prompt.output)
    if failure:
        say(f"FAILED {prompt.run_id}: {failure.kind}: {failure.sentence}")
        return MEMORY_RAN_OUT if failure.kind == "out_of_memory" else 1
    say(f"{prompt.place} done in {time.monotonic() - began:.1f} s, {prompt.output}")
    return 0


def not_put(text: str, output: Path) -> Failure | None:
    """Write an answer; return the failure if it cannot be written."""
    try:
        write_whole(output, f"{text}\n".encode())
    except OSError as e:
        return not_written(e)
    return None


def failure_of(error: Exception) -> Failure:
    """Return the failure for an exception of the model."""
    if "OutOfMemoryError" in type(error).__name__ or "CUDA out of memory" in str(error):
        return Failure("out_of_memory", "The GPU's memory ran out.")
    if lost := re.search(GPU_LOST, str(error)):
        return Failure("gpu_lost", SENTENCE.format(lost[1]))
    return Failure("model_failed", one_line(f"{type(error).__name__}: {error}"))


def no_answer(prompt: str, answer: str) -> Failure | None:
    """Return the failure for a useless answer; None if the answer is good."""
    if not answer:
        return Failure("model_failed", "The model gave an empty answer.")
    if answer == prompt.strip():
        return Failure("model_failed", "The model returned the prompt without a change.")
    return None


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")  # one write: print would send the line and its end apart
    sys.stdout.flush()


if __name__ == "__mp_main__":  # in vLLM's own process, which begins with this file
    let_vllm_register()

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # vLLM may hang at its end; transfer1_upsample.py ends the processes that it leaves behind.
    os._exit(code)
