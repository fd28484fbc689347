"""Real log lines, each with the place that prints it, at the commits that we check out.

A place is `file:line` of NVIDIA's repository; `torch`, `huggingface_hub` and `python` are the
libraries. Long paths are cut: GUARD is cosmos_transfer1/auxiliary/guardrail in Transfer1,
cosmos_transfer2/_src/imaginaire/auxiliary/guardrail in Transfer2.5, and
cosmos_framework/auxiliary/guardrail in Cosmos 3, whose transfers never run it.
"""

from __future__ import annotations

from typing import Final

T1, T25, C3 = "cosmos_transfer1", "cosmos_transfer2_5", "cosmos3"
ALL: Final = (T1, T25, C3)
_BLOCKED: Final = "GUARDRAIL BLOCKED: BLOCKLIST: Prompt blocked by"
_PIPELINE1: Final = "cosmos_transfer1/diffusion/inference/world_generation_pipeline.py"
_PIPELINE25: Final = "cosmos_transfer2/_src/transfer2/inference/inference_pipeline.py"
_UVX: Final = "subprocess.CalledProcessError: Command '['uvx',"
_END: Final = "returned non-zero exit status 1."

MARKS: Final[tuple[tuple[str, str, str, str], ...]] = (
    (T1, "loaded", "cosmos_transfer1/diffusion/inference/transfer.py:323", "running preprocessor"),
    (T1, "begins", f"{_PIPELINE1}:705", "Running batch generation with batch_size=1"),
    (T1, "chunk", f"{_PIPELINE1}:643", "Completed VAE decode"),
    (T25, "loaded", "cosmos_transfer2/inference.py:163", "Generating 1 samples: ['rs_1']"),
    (T25, "begins", "cosmos_transfer2/inference.py:167", "[1/1] Processing sample rs_1"),
    (T25, "chunk", f"{_PIPELINE25}:554", "Generating chunk 2/2"),
    (T25, "chunk", f"{_PIPELINE25}:736", "Average time per chunk: 264.1"),
    (T25, "step", "cosmos_transfer2/_src/transfer2/models/vid2vid_model_control_vace_rectified_flow"
     ".py:428", "Generating samples:  23%|##3       | 8/35 [00:40<02:15,  5.02s/it]"),
    (C3, "loaded", "cosmos_framework/inference/inference.py:1613",
     "[RANK 0] Saved sample args to '/cosmos/run/made/rs_1/sample_args.json'"),
    (C3, "begins", "cosmos_framework/inference/inference.py:1613",
     "[RANK 0] Saved sample args to '/cosmos/run/made/rs_1/sample_args.json'"),
    (C3, "step", "cosmos_framework/model/generator/diffusion/samplers/unipc.py:83",
     "Sampling:  34%|###4      | 17/50 [00:10<00:20,  1.6it/s]"),
)  # fmt: skip
"""Engine, what the line marks, place, line."""

FAILURES: Final[tuple[tuple[tuple[str, ...], str, str], ...]] = (
    (ALL, "GUARD/blocklist/blocklist.py (T1 :148, T2.5 :179, C3 :167)",
     f"{_BLOCKED} exact match blocklist: Prompt: a gore b, Exact Match Word: gore"),
    (ALL, "GUARD/blocklist/blocklist.py (T1 :81, T2.5 :91)",
     f"{_BLOCKED} censorship: Censored Prompt: a * b"),
    (ALL, "GUARD/common/presets.py (T1 :71, T2.5 :74, C3 :62)",
     "GUARDRAIL BLOCKED: VIDEOCONTENTSAFETYFILTER: unsafe frames detected"),
    (ALL, "GUARD/common/presets.py (T1 :55, T2.5 :58, C3 :46)",
     "GUARDRAIL BLOCKED: QWEN3GUARD: Prompt blocked by Qwen3Guard. Safety: Unsafe"),
    ((T1,), f"{_PIPELINE1}:735", "Input text prompt 1 is not safe"),
    ((T1,), f"{_PIPELINE1}:797", "Generated video 1 is not safe"),
    ((T1,), "torch", "RuntimeError: Sizes of tensors must match except in dimension 0."),
    ((T1,), "cosmos_transfer1/diffusion/module/pretrained_vae.py:368",
     "AssertionError: Temporal dimension 60 is not divisible by chunk_length 121"),
    ((T1,), "torch", "RuntimeError: input tensor must fit into 32-bit index math"),
    ((T1,), "cosmos_transfer1/utils/t5_text_encoder.py:42",
     "Failed to load T5 model using cache_dir '/c', falling back: CUDA out of memory"),
    ((T1,), "cosmos_transfer1/utils/t5_text_encoder.py:42",
     "Failed to load T5 model using cache_dir '/c', falling back: no file named x"),
    ((T1,), "python", "IndexError: list index out of range"),
    ((T25,), "cosmos_transfer2/inference.py:230",
     "Guardrail blocked generation. Negative prompt: ugly"),
    ((T25,), "cosmos_transfer2/inference.py:216", "Guardrail blocked generation. Prompt: a gore b"),
    ((T25,), "GUARD/video_content_safety_filter/video_content_safety_filter.py:144",
     "Unsafe frame count 93 is greater than 10% of total frames 93"),
    ((T25,), "cosmos_transfer2/inference.py:327",
     "[rank0]: Exception: Guardrail blocked video2world generation."),
    ((T25,), f"{_PIPELINE25}:296",
     "ValueError: No input frames; cannot pad. Verify that video frame counts match."),
    ((T25,), "cosmos_transfer2/config.py:413",
     "Error: Inference samplename rs_1 is not unique"),
    ((T25,), "cosmos_transfer2/config.py:377 (pydantic)",
     "  Input should be a valid integer [type=int_from_float, input_value=5.5, input_type=float]"),
    ((T25,), "cosmos_transfer2/_src/imaginaire/utils/checkpoint_db.py:166",
     f"{_UVX} 'hf>=1.3.5', 'download', 'nvidia/X', '--repo-type', 'model']' {_END}"),
    ((T25, C3), "python", "FileNotFoundError: [Errno 2] No such file or directory: 'uvx'"),
    ((T25,), "cosmos_transfer2/_src/transfer2/auxiliary/depth_anything/video_depth_model.py:131",
     "RuntimeError: Could not find or download weights for vits. "),
    ((T25,), "cosmos_transfer2/_src/imaginaire/utils/checkpoint_db.py:359",
     "ValueError: Checkpoint '41f07f13' not found. Set 'export COSMOS_EXPERIMENTAL_CHECKPOINTS=1'"),
    ((T25,), "cosmos_transfer2/_src/transfer2/auxiliary/sam2/sam2_model.py:239",
     "No boxes detected. Exiting."),
    ((C3,), "cosmos_framework/inference/transfer.py:118",
     "FileNotFoundError: Missing pre-computed control input for 'depth'. Provide a control_path"),
    ((C3,), "cosmos_framework/inference/vision.py:222",
     "ValueError: Cannot pad an empty frame tensor."),
    ((C3,), "cosmos_framework/inference/common/args.py:897 (pydantic)",
     "  Extra inputs are not permitted [type=extra_forbidden, input_value=1, input_type=int]"),
    ((C3,), "cosmos_framework/utils/checkpoint_db.py:159",
     f"{_UVX} '--with', 'click', 'hf@1.16.4', 'download', '--format=json', 'nvidia/X']' {_END}"),
    ((C3,), "cosmos_framework/inference/transfer.py:188",
     "AssertionError: control_weights must have a positive sum, got [0.0]"),
    ((C3,), "cosmos_framework/inference/common/inference.py:175",
     "ValueError: Error generating sample 'rs_1': bad video"),
    (ALL, "torch", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"),
    (ALL, "python", "OSError: [Errno 12] Cannot allocate memory"),
    (ALL, "python", "OSError: [Errno 28] No space left on device"),
    (ALL, "huggingface_hub", "Access to model meta-llama/X is restricted"),
    (ALL, "huggingface_hub", "huggingface_hub.errors.RevisionNotFoundError: 404 Client Error."),
    (ALL, "python", "FileNotFoundError: [Errno 2] No such file or directory: '/c/base_model.pt'"),
    (ALL, "huggingface_hub", "huggingface_hub.errors.LocalEntryNotFoundError: x is not there"),
)  # fmt: skip
"""Engines, place, line."""

NO_FAILURES: Final[tuple[tuple[tuple[str, ...], str, str], ...]] = (
    ((C3,), "cosmos_framework/inference/transfer.py:476",
     "[11-22 09:08:07|job=|INFO|a.py:1:f] [transfer] final user prompt: No space left on device"),
    (ALL, "GUARD/qwen3guard/qwen3guard.py:81, GUARD/llamaGuard3/llamaGuard3.py:96",
     "Unexpected error occurred when running Qwen3Guard guardrail: CUDA out of memory"),
    ((T25,), "cosmos_transfer2/inference.py:186",
     "[11-22 09:08:07|DEBUG|a.py:1:f] InferenceArguments(prompt='No space left on device')"),
    ((T1,), "cosmos_transfer1/diffusion/inference/transfer.py:187",
     '    "prompt": "a sign that says No space left on device",'),
    ((T1,), "cosmos_transfer1/diffusion/inference/transfer.py:338",
     "regional_prompts: [{'prompt': 'a sign that says No space left on device'}]"),
)  # fmt: skip
"""Lines that have words of a failure; engines, place, line."""
