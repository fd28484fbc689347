"""Log lines as NVIDIA's code writes them, and what each engine says that they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from cosmos_pipelines.engines.gpu_faults import gpu_fault
from tests.engines.test_cosmos import C3, ENGINES, T1, T25, each, says

PREFIX = "[11-22 09:08:07|INFO|cosmos_transfer2/inference.py:111:generate] "
BAR = "\u2588\u2588\u258e       "
SAID: list[tuple[Any, str, str]] = [
    (T1, "loaded", "running preprocessor"),
    (T1, "begins", "Running batch generation with batch_size=1"),
    (T1, "chunk", "Completed VAE decode"),
    (T25, "loaded", "Generating 2 samples: ['rs_1', 'rs_2']"),
    (T25, "begins", "[2/2] Processing sample rs_2"),
    (T25, "chunk", "Generating chunk 2/12"),
    (T25, "chunk", "Average time per chunk: 264.1"),
    (T25, "step", f"Generating samples:  23%|{BAR}| 8/35 [00:40<02:15,  5.02s/it]"),
    (C3, "loaded", "Saved sample args to '/cosmos/run/made/rs_2/sample_args.json'"),
    (C3, "begins", "Saved sample args to '/cosmos/run/made/rs_2/sample_args.json'"),
    (C3, "step", f"Sampling:  34%|{BAR}| 17/50 [00:10<00:20,  1.6it/s]"),
]


def found(patterns: Sequence[str], line: str) -> re.Match[str] | None:
    """As `model_run.py` looks: the first pattern that is in the line, its white space cut off."""
    return next((m for p in patterns if (m := re.search(p, line.strip()))), None)


@pytest.mark.parametrize(("engine", "what", "line"), SAID)
def test_a_line_of_the_model_is_understood(engine: Any, what: str, line: str) -> None:
    assert found(says(engine)[what], PREFIX + line)


def test_lines_say_which_sample_and_which_step() -> None:
    assert found(says(T25)["begins"], f"{PREFIX}[2/2] Processing sample rs_2")["name"] == "rs_2"  # type: ignore[index]
    told = found(says(C3)["begins"], "Saved sample args to '/a/b/rs_2/sample_args.json'")
    assert told is not None and told["name"] == "rs_2"
    for engine, line in ((T25, SAID[7][2]), (C3, SAID[10][2])):
        step = found(says(engine)["step"], line)
        assert step is not None and int(step["step"]) < int(step["steps"])


def test_the_first_chunk_has_not_ended_when_it_begins() -> None:
    assert not found(says(T25)["chunk"], f"{PREFIX}Generating chunk 1/12")


BLOCKLIST = "GUARDRAIL BLOCKED: BLOCKLIST: Prompt blocked by"
FAILURES: list[tuple[Any, str, str, str]] = [
    *(
        (engine, line, "blocked", sentence)
        for engine in ENGINES
        for line, sentence in [
            (
                f"{BLOCKLIST} exact match blocklist: Prompt: a gore b, Exact Match Word: gore",
                "The guardrail's blocklist refused the text for the word: gore",
            ),
            (
                f"{BLOCKLIST} partial match blocklist: Prompt: a, Partial Match Word: lifeless",
                "The guardrail's blocklist refused the text for the word: lifeless",
            ),
            (
                f"{BLOCKLIST} censorship: Censored Prompt: a **** b",
                "The guardrail's list of censored words refused a word of the prompt.",
            ),
            (
                "GUARDRAIL BLOCKED: VIDEOCONTENTSAFETYFILTER: unsafe frames detected",
                "The guardrail refused the finished video: unsafe frames detected",
            ),
            (
                "GUARDRAIL BLOCKED: QWEN3GUARD: Prompt blocked by Qwen3Guard. Safety: Unsafe",
                "The guardrail refused the sample: Prompt blocked by Qwen3Guard. Safety: Unsafe",
            ),
        ]
    ),
    *(
        (engine, line, kind, sentence)
        for engine in ENGINES
        for line, kind, sentence in [
            (
                "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
                "out_of_memory",
                "The GPU's memory ran out.",
            ),
            (
                "OSError: [Errno 28] No space left on device",
                "disk_full",
                "No space left where the model runs.",
            ),
            (
                "OSError: We couldn't connect to 'https://huggingface.co' to load this file",
                "launch_failed",
                "A model is not in the Hugging Face cache: `cosmos host checkpoints`.",
            ),
        ]
    ),
    (
        T1,
        "FileNotFoundError: [Errno 2] No such file or directory: '/cosmos/checkpoints/nvidia/x.pt'",
        "launch_failed",
        "The checkpoint /cosmos/checkpoints/nvidia/x.pt is missing: `cosmos host checkpoints`.",
    ),
    (T1, "Input text prompt 1 is not safe", "blocked", "The guardrail refused the prompt."),
    (
        T1,
        "Failed to load T5 model using cache_dir '/cosmos/checkpoints', falling back: CUDA error",
        "launch_failed",
        "T5 could not be loaded from the checkpoints: is it complete, is the GPU empty?",
    ),
    (
        T25,
        "  Input should be a valid integer, got a number with a fractional part "
        "[type=int_from_float, input_value=5.5, input_type=float]",
        "validation",
        "The model refused its document: Input should be a valid integer, got a number with a "
        "fractional part",
    ),
    (
        T25,
        "subprocess.CalledProcessError: Command '['uvx', 'hf>=1.3.5', 'download', "
        "'nvidia/Cosmos-Transfer2.5-2B', '--repo-type', 'model']' returned non-zero exit status 1.",
        "launch_failed",
        "nvidia/Cosmos-Transfer2.5-2B is not in the Hugging Face cache, or not at the revision "
        "that is wanted: `cosmos host checkpoints`.",
    ),
    (
        T25,
        "FileNotFoundError: [Errno 2] No such file or directory: 'uvx'",
        "launch_failed",
        "The image has no uvx, or no hf for it.",
    ),
    (
        T25,
        "Unsafe frame count 13 is greater than 10% of total frames 93",
        "blocked",
        "The guardrail refused the finished video: 13 of its 93 frames are unsafe; the lines "
        "before this one name the kind of each frame.",
    ),
    (
        T25,
        "[rank0]: Exception: Guardrail blocked video2world generation.",
        "blocked",
        "The guardrail refused the finished video.",
    ),
    (
        T25,
        "ValueError: No input frames; cannot pad. Verify that video frame counts match.",
        "validation",
        "A control is shorter than its video.",
    ),
    (
        T25,
        "Checkpoint '41f07f13' not found. Set 'export COSMOS_EXPERIMENTAL_CHECKPOINTS=1' to",
        "launch_failed",
        "The code knows no checkpoint 41f07f13.",
    ),
    (
        C3,
        "FileNotFoundError: Missing pre-computed control input for 'depth'. Provide a control_path",
        "validation",
        "A control has no file, and the model cannot compute it: "
        "Missing pre-computed control input for 'depth'",
    ),
    (
        C3,
        "subprocess.CalledProcessError: Command '['uvx', '--with', 'click', 'hf@1.16.4', "
        "'download', '--format=json', 'nvidia/Cosmos3-Nano', '--repo-type', 'model', '--revision', "
        "'main', '--include', '*']' returned non-zero exit status 1.",
        "launch_failed",
        "nvidia/Cosmos3-Nano is not in the Hugging Face cache: `cosmos host checkpoints`.",
    ),
    (
        C3,
        "Extra inputs are not permitted [type=extra_forbidden, input_value=0.5, input_type=float]",
        "validation",
        "The model refused its document: Extra inputs are not permitted",
    ),
    (C3, "Error generating sample 'rs_1': bad video", "model_failed", "bad video"),
    (T25, "Error: Inference samplename rs_1 is not unique", "validation",
     "Two documents have one name: samplename rs_1 is not unique"),
    (T1, "Failed to load T5 model using cache_dir '/c', falling back: CUDA out of memory",
     "out_of_memory", "The GPU's memory ran out while T5 was loaded."),
    (T1, "RuntimeError: input tensor must fit into 32-bit index math", "validation",
     "Too much in one pass: a batch_size, or a piece to upscale, that is too large."),
    (T1, "AssertionError: Temporal dimension 60 is not divisible by chunk_length 121",
     "validation",
     "A region needs a clip of whole chunks: "
     "Temporal dimension 60 is not divisible by chunk_length 121"),
    *(
        (engine, line, "launch_failed",
         "A gated download was refused: accept its licence and give a token, then "
         "`cosmos host checkpoints`.")
        for engine in ENGINES
        for line in (
            "OSError: You are trying to access a gated repo.",
            "Cannot access gated repo for url https://huggingface.co/meta-llama/x",
            "401 Client Error: Unauthorized for url: https://huggingface.co/x",
        )
    ),
    *(
        (engine, "RevisionNotFoundError: 404 Client Error", "launch_failed",
         "A pinned revision is not on the hub any more; you need your own copy, or "
         "a newer pin.")
        for engine in ENGINES
    ),
]  # fmt: skip


GPU_LINES = [
    ("RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment, "
     "e.g. changing env variable CUDA_VISIBLE_DEVICES after program start. Setting the available "
     "devices to be zero.", "gpu_lost", "native.cgroupdriver=cgroupfs"),
    ("RuntimeError: CUDA error: unknown error", "gpu_lost", "in a new container|makes a new"),
    ("RuntimeError: No CUDA GPUs are available", "gpu_lost", "give GPUs to the container"),
    ("RuntimeError: CUDA error: no CUDA-capable device is detected", "gpu_lost", "nvidia-smi"),
    ("torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered", "gpu_lost",
     "gpu-reset -i N.* must be replaced"),
    ("RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions "
     "before calling NumCudaDevices() that might have already set an error? Error 802: system not "
     "yet initialized", "gpu_lost", "nvidia-fabricmanager"),
    ("RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable", "gpu_lost",
     "uses it alone"),
    ("RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA "
     "GPU and installed a driver from http://www.nvidia.com/Download/index.aspx", "gpu_lost",
     "No GPU"),
    ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
     "launch_failed", "newer driver"),
]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("line", "kind", "remedy"), GPU_LINES)
def test_a_gpu_that_failed_has_a_kind_of_its_own_and_says_what_helps(
    engine: Any, line: str, kind: str, remedy: str
) -> None:
    its_kind, _, sentence = next(
        row for row in says(engine)["failures"] if re.search(row[1], f"[rank0]: {line}")
    )
    assert its_kind == kind
    assert re.search(remedy, sentence)
    assert gpu_fault(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: CUDA error: device-side assert triggered",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "UserWarning: Can't initialize NVML",
    ],
)
def test_a_fault_of_the_model_is_none_of_the_gpu(line: str) -> None:
    assert gpu_fault(line) is None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "line",
    [
        "[transfer] final user prompt: a billboard that says No space left on device",
        "Unexpected error occurred when running Llama Guard 3 guardrail: CUDA out of memory",
        "Unexpected error occurred when running Qwen3Guard guardrail: CUDA out of memory",
    ],
)
def test_lines_that_only_sound_like_a_failure_are_left_alone(engine: Any, line: str) -> None:
    assert found(says(engine)["ignores"], PREFIX + line)
    assert not found(says(engine)["ignores"], PREFIX + "torch.OutOfMemoryError: CUDA out of memory")


@pytest.mark.parametrize(("engine", "line", "kind", "sentence"), FAILURES)
def test_a_failure_is_told_in_a_sentence(engine: Any, line: str, kind: str, sentence: str) -> None:
    for its_kind, pattern, told in says(engine)["failures"]:
        if match := re.search(pattern, line.strip()):
            groups = [match[0], *(group or "" for group in match.groups())]
            filled = re.sub(r"\{(\d)\}", lambda m: groups[int(m[1])], told)  # noqa: B023
            told_of = sentence.replace("host checkpoints`", f"host checkpoints {engine.name}`")
            assert (its_kind, filled) == (kind, told_of)
            return
    pytest.fail("nothing understands it")


@each
@pytest.mark.parametrize(
    "line",
    [
        "Generating samples: 100%|##| 35/35 [00:40<00:00]",
        "Saved video to /cosmos/run/made/video_0/output.mp4",
        "Passed guardrail on prompt",
        "Unsafe frame detected in frame_number 3: Drugs",  # up to 10 % of the frames may be
        "No safety models found, returning safe",
        "A prompt about memory, space and unsafe frames",
    ],
)
def test_a_good_line_is_no_failure(engine: Any, line: str) -> None:
    assert not any(re.search(pattern, line) for _, pattern, _ in says(engine)["failures"])
