"""The simulator of Cosmos-Transfer1 is as strict as the real one, and does what it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.models.running import Host, Transfer1, clip, shades, title
from tests.models.simulated import videos

ONE_CHUNK = [
    "running preprocessor", "Running batch generation with batch_size=1",
    "Running guardrail checks on all prompts", "Starting T5 compute", "Completed T5 compute",
    "Starting data augmentation", "Making all control and input videos to be length of 5 frames",
    "Starting latent encoding", "Starting diffusion sampling", "Completed diffusion sampling",
    "Starting VAE decode", "Completed VAE decode", "Run guardrail on generated videos",
    "Saved video to", "Saved prompt to",
]  # fmt: skip


@pytest.fixture
def work(transfer1_host: Host, tmp_path: Path) -> Transfer1:
    return Transfer1(transfer1_host, tmp_path)


def test_a_single_run_writes_the_bucket_and_says_each_step(
    work: Transfer1,
) -> None:
    work.spec["edge"] = {}
    ended = work.run("--fps", "30")
    assert ended.code == 0, ended.said
    assert ended.said.startswith("SIMULATOR of ")
    at = [ended.said.index(words) for words in ONE_CHUNK]
    assert at == sorted(at)
    assert "100%|██████████| 1/1 [" in ended.said
    made = videos.read(str(work.made / "output.mp4"))
    assert (made.width, made.height, made.rate, made.lumas) == (1280, 704, 30, shades(5))
    assert title(work.made / "output.mp4").startswith("SIMULATED")
    assert (work.made / "output.txt").read_bytes() == b"a street"
    names = {path.name for path in work.made.iterdir()}
    assert names == {"output.mp4", "output.txt", "edge_input_control_0.mp4"}
    assert videos.read(str(work.made / "edge_input_control_0.mp4")).rate == 30
    assert "No control weight specified for edge. Setting to 0.5" in ended.said


def test_unknown_arguments_and_choices_end_with_two(work: Transfer1) -> None:
    assert work.run("--height", "704").code == 2
    assert work.run("--blur_strength", "huge").code == 2


@pytest.mark.parametrize(("words", "seed"), [(["--seed", "7"], 7), (["--seed=7"], 3)])
def test_only_an_argument_of_two_words_wins_over_the_spec(
    work: Transfer1, words: list[str], seed: int
) -> None:
    work.spec |= {"seed": 3, "num_gpus": 2}
    assert f'"seed": {seed},' in work.run(*words).said.partition("final args")[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_video_path": ""}, "Must have 'input_video' specified if sigma_max < 80"),
        ({"input_video_path": "", "sigma_max": 80, "edge": {}},
         "edge controlnet must have 'input_control' video specified"),
        ({"blur": {}}, "Invalid hint_key: blur. Must be one of {"),
        ({"vis": {"control_weight": -1}}, "Control weight for vis must be a valid non-negative"),
        ({"vis": {"control_weight": "much"}}, "Control weight for vis must be a valid"),
        ({"use_distilled": True}, "No default distilled checkpoint for vis"),
    ],
)  # fmt: skip
def test_specs_are_refused_before_anything_is_loaded(
    work: Transfer1, change: dict[str, Any], message: str
) -> None:
    work.spec |= change
    ended = work.run()
    assert ended.code == 1
    assert "ValueError: " in ended.last
    assert message in ended.last
    assert "Loading ctrl model" not in ended.said


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"num_steps": "35"}, "TypeError"),
        ({"fps": "24"}, "TypeError"),
        ({"blur_strength": "huge"}, "KeyError: 'huge'"),
        ({"negative_prompt": ""}, "TypeError: expected Tensor as element 0 in argument 0"),
        ({"regional_prompts": [{"prompt": "a", "region_definitions_path": [0, 0, 1, 1]}]},
         "Temporal dimension 5 is not divisible by chunk_length 121"),
    ],
)  # fmt: skip
def test_values_of_a_wrong_kind_fail_only_where_they_are_used(
    work: Transfer1, change: dict[str, Any], error: str
) -> None:
    work.spec |= change
    ended = work.run()
    assert (ended.code, error in ended.last) == (1, True), ended.said
    assert "Loading ctrl model" in ended.said


BOX = {"prompt": "a", "region_definitions_path": [0, 0, 1, 1]}
TREE = {"prompt": "a", "mask_prompt": "tree"}


@pytest.mark.parametrize(
    ("size", "regions", "message"),
    [
        ((1280, 704), [BOX, TREE], ""),
        ((128, 72), [BOX], ""),
        ((72, 128), [BOX], ""),  # runs, and changes the wrong place
        (
            (128, 72),
            [TREE],
            "The expanded size of the tensor (160) must match the existing size (16)",
        ),
        (
            (64, 64),
            [BOX],
            "The expanded size of the tensor (57600) must match the existing size (56320)",
        ),
        ((96, 72), [BOX], "The expanded size of the tensor (42240) must match"),
    ],
)
def test_regions_are_drawn_on_the_grid_of_one_size(
    work: Transfer1, size: tuple[int, int], regions: list[dict[str, Any]], message: str
) -> None:
    source = str(clip(work.source, 121, size))
    work.spec |= {"regional_prompts": regions, "input_video_path": source}
    ended = work.run()
    assert (ended.code, message in ended.last) == (1 if message else 0, True), ended.said


def test_a_batch_takes_weights_and_controls_of_each_line(work: Transfer1, tmp_path: Path) -> None:
    other = str(clip(tmp_path / "other.mp4", 3, first=40))
    lines = [
        work.line("one", control_overrides={"vis": {"control_weight": 0.9}, "seg": {}}),
        work.line("two", control_overrides={"vis": {"input_control": other}}, extra=1),
        work.line("three", control_overrides={"vis": {"input_control": None}}),
    ]
    ended = work.run(lines=lines)
    assert ended.code == 0, ended.said
    assert "Ignoring unknown control key in override: seg" in ended.said
    assert "control_weight of the whole batch: [0.9]" in ended.said
    assert [work.prompt_of(i) for i in range(3)] == ["one", "two", "three"]
    lengths = [videos.read(str(work.made / f"video_{i}/output.mp4")).frames for i in range(3)]
    assert lengths == [5, 3, 5]
    assert (work.made / "video_2/vis_input_control_0.mp4").exists()


def test_a_blank_line_is_a_json_error_before_anything_is_loaded(work: Transfer1) -> None:
    ended = work.run(lines=json.dumps(work.line("one")) + "\n\n")
    assert (ended.code, "JSONDecodeError" in ended.last) == (1, True)
    assert "Loading ctrl model" not in ended.said


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (None, "BLOCKLIST: Input is empty"),
        ("a [sim:blocked war] zone", "Exact Match Word: war"),
        ("[sim:blocked]", "LLAMAGUARD3: Prompt blocked by Llama Guard 3."),
        ("**bold**", "BLOCKLIST: Prompt blocked by censorship"),
        ("[sim:video_blocked]", "VIDEOCONTENTSAFETYFILTER: unsafe frames detected"),
    ],
)
def test_a_refused_sample_ends_the_batch_and_leaves_what_was_made(
    work: Transfer1, prompt: str | None, said: str
) -> None:
    ended = work.run(lines=[work.line("one"), work.line(prompt), work.line("three")])
    assert ended.code == 1
    assert "GUARDRAIL BLOCKED: " in ended.said
    assert said in ended.said
    assert "Guardrail blocked generation for entire batch." in ended.said
    assert ended.last == "TypeError: cannot unpack non-iterable NoneType object"
    assert work.prompt_of(0) == "one"
    assert sorted(path.name for path in work.made.iterdir()) == ["video_0", "video_1"]
    assert not list((work.made / "video_1").iterdir())


def test_survivors_of_a_sub_batch_move_up_and_share_the_first_weight(work: Transfer1) -> None:
    lines = [work.line("one [sim:blocked x]"), work.line("two"), work.line("three")]
    lines[1]["control_overrides"] = {"vis": {"control_weight": 0.1}}
    ended = work.run("--batch_size", "3", lines=lines)
    assert ended.code == 0, ended.said
    assert "Input text prompt 1 is not safe" in ended.said
    assert "control_weight of the whole batch: [0.1] (asked for: [[0.1], [0.5]])" in ended.said
    assert [work.prompt_of(0), work.prompt_of(1)] == ["two", "three"]
    assert not (work.made / "video_2/prompt.txt").exists()


def test_a_sub_batch_needs_one_size_and_one_length(work: Transfer1, tmp_path: Path) -> None:
    other = clip(tmp_path / "other.mp4", 4)
    lines = [work.line("one"), work.line("two") | {"visual_input": str(other)}]
    ended = work.run("--batch_size", "2", lines=lines)
    assert (ended.code, "Sizes of tensors must match" in ended.last) == (1, True), ended.said


@pytest.mark.parametrize(
    ("size", "frames", "bucket", "chunks"),
    [((40, 40), 2, (960, 960), 1), ((36, 64), 122, (704, 1280), 2), ((64, 48), 1, None, 0)],
)
def test_size_and_chunks_follow_from_the_source(
    work: Transfer1, size: tuple[int, int], frames: int, bucket: tuple[int, int] | None, chunks: int
) -> None:
    clip(work.source, frames, size)
    ended = work.run()
    assert ended.said.count("Completed VAE decode") == chunks
    if bucket is None:
        assert ended.code == 1
        assert "expected a non-empty list of Tensors" in ended.last
        return
    made = videos.read(str(work.made / "output.mp4"))
    assert ((made.width, made.height), made.lumas) == (bucket, shades(frames))


def test_upscaling_makes_thrice_the_bucket_of_one_chunk(work: Transfer1, tmp_path: Path) -> None:
    del work.spec["vis"]
    work.spec["upscale"] = {"control_weight": 0.5}
    long = clip(tmp_path / "long.mp4", 122)
    lines = [work.line("one"), work.line("two") | {"visual_input": str(long)}]
    ended = work.run("--batch_size", "4", lines=lines)
    assert "Setting batch_size=1 as upscale does not support batch generation" in ended.said
    made = videos.read(str(work.made / "video_0/output.mp4"))
    assert (made.width, made.height, made.lumas) == (3840, 2112, shades(5))
    assert ended.code == 1
    assert ended.last == "RuntimeError: input tensor must fit into 32-bit index math"
    assert not (work.made / "video_1/output.mp4").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nvidia/Cosmos-Transfer1-7B/vis_control.pt", []),
        ("nvidia/Cosmos-Transfer1-7B/base_model.pt", []),
        ("nvidia/Cosmos-Tokenize1-CV8x8x8-720p/encoder.jit", []),
        ("meta-llama/Llama-Guard-3-8B/model-00001-of-00004.safetensors",
         ["--offload_guardrail_models"]),
    ],
)  # fmt: skip
def test_an_absent_or_empty_checkpoint_is_found_while_loading(
    work: Transfer1, name: str, words: list[str]
) -> None:
    file = work.host.checkpoints / name
    content = file.read_bytes()
    try:
        file.write_bytes(b"")
        ended = work.run(*words)
    finally:
        file.write_bytes(content)
    assert ended.code == 1
    assert ended.last.startswith("FileNotFoundError: [Errno 2] No such file or directory: ")
    assert name in ended.last


def test_depth_is_computed_by_a_model_in_the_hub_cache(work: Transfer1, tmp_path: Path) -> None:
    work.spec["depth"] = {"control_weight": 0.3}
    ended = work.run(HF_HOME=str(tmp_path))
    assert ended.code == 1
    assert "OSError: We couldn't connect to 'https://huggingface.co'" in ended.last
    assert work.run().code == 0
    assert (work.made / "depth_input_control_0.mp4").exists()
