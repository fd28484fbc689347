"""The simulator of the framework of Cosmos 3 is as strict as the real one, for transfers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.models.running import Ended, Host, clip, shades, title
from tests.models.simulated import videos
from tests.models.trees import fake_checkpoints

MODULE = "cosmos_framework.scripts.inference"


class RunContext:
    """A folder with a control video and spec files beside it."""

    def __init__(self, host: Host, place: Path) -> None:
        self.host, self.place, self.out = host, place, place / "out"
        clip(place / "edge.mp4", 5, (64, 36))

    def sample(self, prompt: str = "a street", **more: Any) -> dict[str, Any]:
        return {"model_mode": "video2video", "prompt": prompt, "fps": 30, "num_steps": 2,
                "edge": {"control_path": "edge.mp4"}, **more}  # fmt: skip

    def write(self, name: str, *samples: dict[str, Any]) -> Path:
        path = self.place / name
        path.write_text("\n".join(json.dumps(sample) for sample in samples))
        return path

    def run(self, *words: str | Path, **env: str) -> Ended:
        return self.host.python("-m", MODULE, "-o", self.out, "--checkpoint-path", "Cosmos3-Nano",
                                *words, PYTHONPATH="", **env)  # fmt: skip


@pytest.fixture
def work(cosmos3_host: Host, tmp_path: Path) -> RunContext:
    return RunContext(cosmos3_host, tmp_path)


def test_it_makes_samples_in_the_order_of_their_paths(work: RunContext) -> None:
    second = work.write("b.json", work.sample(name="last"))
    first = work.write("a.jsonl", work.sample(), work.sample(seed=1))
    ended = work.run("--parallelism-preset=latency", "--seed", "9", "-i", second, first)
    assert ended.code == 0, ended.said
    assert ended.said.startswith("SIMULATOR of ")
    made = [f"/{name}/sample_outputs.json'" for name in ("a_0", "a_1", "last")]
    at = [ended.said.index(f"Saved transfer outputs to '{work.out}{name}") for name in made]
    assert at == sorted(at)
    assert "Sampling: 100%|██████████| 2/2 [" in ended.said
    video = videos.read(str(work.out / "a_0/vision.mp4"))
    assert (video.width, video.height, video.rate, video.lumas) == (1280, 720, 30, shades(5))
    assert title(work.out / "a_0/vision.mp4").startswith("SIMULATED")
    assert {path.name for path in (work.out / "a_0").iterdir()} == {
        "sample_args.json", "vision.mp4", "control_edge.mp4", "sample_outputs.json",
    }  # fmt: skip
    outputs = json.loads((work.out / "a_1/sample_outputs.json").read_text())
    assert (outputs["status"], outputs["args"]["seed"]) == ("success", 9)
    assert (work.out / "console.log").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video_path": "edge.mp4"}, "Extra inputs are not permitted"),
        ({"edge": {"control_path": "edge.mp4", "control_weight": 1}}, "Extra inputs are not"),
        ({"edge": {"control_path": "no.mp4"}}, "Path does not point to a file"),
        ({"resolution": 720}, "Input should be '256', '480', '720', '768', '1080'"),
        ({"guidance": 7.5}, "Input should be less than or equal to 7"),
        ({"edge": None, "max_frames": 9}, "requires at least one control hint"),
    ],
)
def test_a_wrong_sample_is_refused_before_anything_is_loaded(
    work: RunContext, change: dict[str, Any], message: str
) -> None:
    ended = work.run("-i", work.write("a.json", work.sample() | change))
    assert ended.code == 1
    assert "ValueError: Error validating parameters from" in ended.said
    assert message in ended.last
    assert "Loaded 1 samples" not in ended.said


def test_unknown_arguments_are_refused_and_equal_names_are_not(work: RunContext) -> None:
    one, two = (work.write(f"{i}.json", work.sample(name="same")) for i in range(2))
    ended = work.run("-i", one, two)
    assert (ended.code, ended.said.count("Saved transfer outputs to")) == (0, 2), ended.said
    assert work.run("-i", one, "--guidance-scale", "3").code == 2


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (
            {"edge": {}},
            [],
            "sample 'a': transfer inference requires 'vision_path'",
        ),
        ({"depth": {}, "vision_path": "edge.mp4"}, [], "Missing pre-computed control input for"),
        ({"num_frames": 1}, [], "AssertionError"),
        ({"prompt": "[sim:oom]"}, ["--keep-going"], "torch.OutOfMemoryError"),
        ({"prompt": "[sim:blocked war]"}, [], "Guardrail blocked prompt"),
        ({}, ["--checkpoint-path", "Cosmos3-Super"], "torch.OutOfMemoryError"),
        ({}, ["--checkpoint-path", "/no/where"], "Invalid checkpoint path: '/no/where'"),
    ],
)
def test_what_fails_after_loading_ends_all(
    work: RunContext, change: dict[str, Any], words: list[str], message: str
) -> None:
    ended = work.run("-i", work.write("a.json", work.sample() | change), *words)
    assert ended.code == 1
    assert message in ended.said.partition("Loaded 1 samples")[2]
    assert not (work.out / "a/sample_outputs.json").exists()


def test_a_load_takes_weights_of_other_repositories_too(work: RunContext, tmp_path: Path) -> None:
    """The VAE of Wan, at its pinned commit, and the sound tokenizer of Nano."""
    home = tmp_path / "hf"
    fake_checkpoints("cosmos3", home)
    sample = work.write("a.json", work.sample())
    vae = "'921dbaf3f1674a56f47e83fb80a34bac8a8f203e', 'Wan2.2_VAE.pth'"
    sound = "'main', '--include', 'sound_tokenizer/*'"
    for file, repo, at in (
        ("Wan2.2_VAE.pth", "Wan-AI/Wan2.2-TI2V-5B", vae),
        ("sound_tokenizer/config.json", "nvidia/Cosmos3-Nano", sound),
    ):
        (found,) = home.glob(f"hub/*/snapshots/*/{file}")
        content = found.read_bytes()
        found.unlink()
        ended = work.run("-i", sample, HF_HOME=str(home))
        assert ended.code == 1
        assert ended.last == (
            "subprocess.CalledProcessError: Command '['uvx', '--with', 'click', 'hf@1.16.4', "
            f"'download', '--format=json', '{repo}', '--repo-type', 'model', '--revision', {at}]' "
            "returned non-zero exit status 1."
        )
        found.write_bytes(content)


def test_keep_going_hides_only_what_fails_outside_of_the_sampling(work: RunContext) -> None:
    lines = work.write("l.jsonl", work.sample(edge={}), work.sample("[sim:no_text]"))
    ended = work.run("-i", lines, "--keep-going")
    assert ended.code == 0
    assert "|ERROR|" in ended.said
    assert not (work.out / "l_0/vision.mp4").exists()
    assert (work.out / "l_1/vision.mp4").exists()
    assert not (work.out / "l_1/sample_outputs.json").exists()


def test_several_gpus_must_be_an_even_number(work: RunContext) -> None:
    words = ["-m", MODULE, "-i", work.write("a.json", work.sample()), "-o", work.out,
             "--checkpoint-path", "Cosmos3-Nano"]  # fmt: skip
    good = work.host.run("torchrun", "--nproc-per-node=2", "--master-port=29777", *words)
    assert good.code == 0, good.said
    assert good.said.count("Saved transfer outputs to") == 1
    bad = work.host.run("torchrun", "--nproc-per-node=3", "--standalone", *words)
    assert "must divide WORLD_SIZE (3)" in bad.said


def test_only_a_missing_negative_prompt_is_nvidias_own(work: RunContext) -> None:
    samples = [work.sample(), work.sample(negative_prompt=""), work.sample(negative_prompt="fog")]
    ended = work.run("-i", work.write("l.jsonl", *samples))
    assert ended.code == 0, ended.said
    told = [
        json.loads((work.out / f"l_{n}/sample_args.json").read_text())["negative_prompt"]
        for n in range(3)
    ]
    assert (told[0].startswith('{"SIMULATED'), told[1:]) == (True, ["", "fog"])


def test_a_rate_with_a_fraction_is_kept_only_of_the_source(work: RunContext) -> None:
    clip(work.place / "color.mp4", 5, rate="24000/1001")
    samples = [work.sample(vision_path="color.mp4", edge={}), work.sample(vision_path="color.mp4")]
    ended = work.run("-i", work.write("l.jsonl", *samples))
    assert ended.code == 0, ended.said
    rates = [videos.read(str(work.out / f"l_{n}/vision.mp4")).rate for n in range(2)]
    assert [str(rate) for rate in rates] == ["1199/50", "1199/50"]  # 23.98, as imageio writes it
    refused = work.run("-i", work.write("a.json", work.sample(fps=23.976)))
    assert "Input should be a valid integer" in refused.last
