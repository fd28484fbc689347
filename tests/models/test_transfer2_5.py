"""The simulator of Cosmos-Transfer2.5 is as strict as the real one, and does what it is told."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.models.running import Ended, Host, clip, shades, title
from tests.models.simulated import videos
from tests.models.trees import fake_checkpoints

PROGRAM = "examples/inference.py"


class RunContext:
    """A folder with a source video and spec files beside it."""

    def __init__(self, host: Host, place: Path) -> None:
        self.host, self.place, self.out = host, place, place / "out"
        clip(place / "source.mp4", 5, (66, 38), "30000/1001")

    def sample(self, name: str, prompt: str = "a street", **more: Any) -> dict[str, Any]:
        return {"name": name, "prompt": prompt, "video_path": "source.mp4", "edge": {}, **more}

    def write(self, *samples: dict[str, Any], name: str = "spec.json") -> Path:
        path = self.place / name
        path.write_text("\n".join(json.dumps(sample) for sample in samples))
        return path

    def run(self, *words: str | Path, **env: str) -> Ended:
        env = {"COSMOS_VERBOSE": "1", "PYTHONPATH": ""} | env
        return self.host.python(PROGRAM, "-o", self.out, *words, **env)

    def names(self) -> set[str]:
        return {path.name for path in self.out.iterdir()}


@pytest.fixture
def work(transfer2_5_host: Host, tmp_path: Path) -> RunContext:
    return RunContext(transfer2_5_host, tmp_path)


def test_a_start_takes_the_guardrails_own_models_by_name(work: RunContext, tmp_path: Path) -> None:
    home = tmp_path / "hf"
    fake_checkpoints("transfer2_5", home)
    (siglip,) = home.glob("hub/models--google--siglip-so400m-*/snapshots/*/config.json")
    siglip.unlink()
    ended = work.run("-i", work.write(work.sample("a")), HF_HOME=str(home))
    assert ended.code == 1
    assert "OSError: We couldn't connect to 'https://huggingface.co' to load the" in ended.said


def test_it_writes_the_inputs_size_at_a_whole_rate_and_the_text_last(work: RunContext) -> None:
    spec = work.write(work.sample("a", num_steps=2), work.sample("b"), name="two.jsonl")
    ended = work.run("-i", spec, "--num-steps", "3")
    assert ended.code == 0, ended.said
    assert ended.said.startswith("SIMULATOR of ")
    says = ["Loading model from nvidia/Cosmos-Transfer2.5-2B/general/edge/",
            "Found 1 hint keys across all samples", "Generating 2 samples: ['a', 'b']",
            "[1/2] Processing sample a", "Passed guardrail on negative prompt",
            "Generating chunk 1/1", "edge control video saved to", "Generated video saved to",
            "[2/2] Processing sample b"]  # fmt: skip
    at = [ended.said.index(words) for words in says]
    assert at == sorted(at)
    assert "Generating samples: 100%|██████████| 3/3 [" in ended.said
    assert work.names() == {
        "config.yaml", "console.log", "debug.log", "a.json", "a_control_edge.mp4", "a.mp4", "a.txt",
        "b.json", "b_control_edge.mp4", "b.mp4", "b.txt",
    }  # fmt: skip
    made = videos.read(str(work.out / "a.mp4"))
    assert (made.width, made.height, made.rate, made.lumas) == (66, 38, 29, shades(5))
    assert title(work.out / "a.mp4").startswith("SIMULATED")
    assert json.loads((work.out / "a.json").read_text())["num_steps"] == 3
    assert (work.out / "a.txt").read_text() == "a street"


@pytest.mark.parametrize(
    ("change", "place", "sentence"),
    [
        ({"guidance": 5.5}, "guidance", "Input should be a valid integer, got a number with a"),
        ({"guidance": 8}, "guidance", "Input should be less than or equal to 7"),
        ({"sigma_max": 70}, "sigma_max", "Input should be a valid string"),
        ({"resolution": 720}, "resolution", "Input should be a valid string"),
        ({"num_conditional_frames": 3}, "num_conditional_frames", "Input should be 0, 1, 2"),
        ({"video_path": "no.mp4"}, "video_path", "Path does not point to a file"),
        ({"output_dir": "o"}, "output_dir", "Extra inputs are not permitted"),
        ({"edge": {"control_path": "no.mp4"}}, "edge.control_path", "Path does not point to"),
        ({"edge": {"control_weight": 1.5}}, "edge.control_weight", "Input should be less than"),
        ({"edge": None}, "", "Value error, No controls provided"),
    ],
)
def test_a_wrong_sample_is_refused_before_anything_is_loaded(
    work: RunContext, change: dict[str, Any], place: str, sentence: str
) -> None:
    good = work.write(work.sample("good"), name="good.json")
    bad = work.write(work.sample("bad") | change)
    ended = work.run("-i", good, bad)
    assert ended.code == 1
    lines = ended.said.splitlines()
    assert lines[1] == f"Error validating parameters from '{bad}' at line 0"
    assert lines[2] == "1 validation error for InferenceArguments"
    assert lines[3:-1] == ([place] if place else [])
    assert lines[-1].startswith(f"  {sentence}")
    assert not work.out.exists()


def test_names_are_unique_lines_not_blank_and_arguments_known(work: RunContext) -> None:
    spec = work.write(work.sample("a"))
    ended = work.run("-i", spec, work.write(work.sample("a"), name="other.json"))
    assert (ended.code, ended.last) == (1, "Error: Inference samplename a is not unique")
    lines = work.place / "lines.jsonl"
    lines.write_text(json.dumps(work.sample("a")) + "\n\n")
    assert "JSONDecodeError" in work.run("-i", lines).last
    assert "Unsupported file extension: .yaml" in work.run("-i", work.write(name="a.yaml")).last
    assert work.run("-i", spec, "--upscale").code == 2
    assert work.run("-i", spec, "--model", "edge/distilled").code == 2


def test_united_hints_load_the_model_of_all_four(work: RunContext) -> None:
    one = work.write(work.sample("a"), name="a.json")
    two = work.write(work.sample("b", edge=None, depth={"control_weight": 0.5}), name="b.json")
    ended = work.run("-i", one, two)
    assert ended.code == 0, ended.said
    assert ended.said.count("Loading model from") == 4
    assert "Loading the multicontrol model." in ended.said
    assert "b_control_depth.mp4" in work.names()
    assert "b_control_edge.mp4" not in work.names()


def test_a_refused_sample_is_left_out_unless_told_to_stop(work: RunContext) -> None:
    samples = [
        work.sample("a", "[sim:blocked war]"),
        work.sample("b", "[sim:video_blocked]"),
        work.sample("c", negative_prompt="[sim:blocked ugly]"),
        work.sample("d"),
    ]
    spec = work.write(*samples, name="lines.jsonl")
    ended = work.run("-i", spec)
    assert ended.code == 0
    assert "Guardrail blocked generation. Prompt: [sim:blocked war]" in ended.said
    assert "Guardrail blocked generation. Negative prompt: [sim:blocked ugly]" in ended.said
    assert "VIDEOCONTENTSAFETYFILTER: unsafe frames detected" in ended.said
    assert {name for name in work.names() if name.endswith(".txt")} == {"d.txt"}
    assert work.run("-i", spec, "--no-keep-going").code == 1


@pytest.mark.parametrize(
    ("prompt", "code", "last"),
    [
        ("[sim:oom]", 1, "torch.OutOfMemoryError"),
        ("[sim:gated]", 1, "returned non-zero exit status 1."),
        ("[sim:missing_checkpoint a.pt]", 1, "returned non-zero exit status 1."),
        ("[sim:die]", -signal.SIGKILL, ""),
        ("[sim:exit 4]", 4, ""),
    ],
)
def test_another_failure_ends_the_process(
    work: RunContext, prompt: str, code: int, last: str
) -> None:
    spec = work.write(work.sample("a"), work.sample("b", prompt), name="lines.jsonl")
    ended = work.run("-i", spec)
    assert ended.code == code, ended.said
    assert last in ended.last
    loaded = "Saved config to" in ended.said
    assert (work.out / "a.txt").exists() is loaded


def test_weights_come_from_the_hub_cache(work: RunContext, tmp_path: Path) -> None:
    ended = work.run("-i", work.write(work.sample("a")), HF_HOME=str(tmp_path))
    assert ended.code == 1
    assert "subprocess.CalledProcessError: Command '['uvx', 'hf>=1.3.5', 'download'," in ended.last


def test_length_and_width_follow_from_the_sample(work: RunContext) -> None:
    clip(work.place / "long.mp4", 94)
    clip(work.place / "short.mp4", 92)
    samples = [
        work.sample("a", show_input=True, show_control_condition=True, max_frames=4),
        work.sample("b", keep_input_resolution=False, resolution="480"),
        work.sample("c", max_frames=1),
        work.sample("d", video_path="long.mp4", num_steps=1),
        work.sample("e", "[sim:short][sim:wrong_size][sim:no_text]"),
        work.sample("f", "[sim:lie]"),
        work.sample("g", video_path="long.mp4", edge={"control_path": "short.mp4"}, num_steps=1),
    ]
    ended = work.run("-i", work.write(*samples, name="lines.jsonl"))
    assert "Generating chunk 2/2" in ended.said
    assert ended.said.count("Generated video saved to") == 6
    assert "No input frames; cannot pad" in ended.last
    sizes = {}
    for name in "abde":
        made = videos.read(str(work.out / f"{name}.mp4"))
        sizes[name] = (made.width, made.height, made.frames)
    assert sizes == {"a": (198, 38, 4), "b": (768, 432, 5), "d": (64, 36, 94), "e": (32, 18, 2)}
    assert "c.jpg" in work.names()
    assert not {"e.txt", "f.mp4", "f.txt", "g.mp4"} & work.names()


def test_several_processes_share_the_work(work: RunContext) -> None:
    ended = work.host.run("torchrun", "--nproc_per_node=2", "--standalone", PROGRAM, "-o", work.out,
                          "-i", work.write(work.sample("a", num_steps=1)))  # fmt: skip
    assert ended.code == 0, ended.said
    assert ended.said.count("Generated video saved to") == 1
