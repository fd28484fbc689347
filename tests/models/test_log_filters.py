"""The simulators print what the log set-ups of NVIDIA's repositories let through.

`RULES` are the set-ups as their files have them (the places are in `simulated/log.py`); debug.log
has every line of rank 0, so it tells what the console's filter has dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.models.running import Ended, Host, Transfer1, clip

HEAD = re.compile(
    r"\[\d\d-\d\d \d\d:\d\d:\d\d\|(?:job=\|)?(?P<level>[A-Z]+)\|(?P<file>[\w./-]+):\d+:\w+\] "
)
RULES = {
    "transfer2_5": (
        ["cosmos_transfer2._src.imaginaire.utils.checkpoint_db",
         "cosmos_transfer2._src.imaginaire.trainer", "*.callbacks.*"],
        ["*._*", "projects.*", "cosmos_transfer2._src.imaginaire.*"],
    ),
    "cosmos3": (
        ["cosmos_framework.model.attention", "cosmos_framework.utils.checkpoint_db",
         "imaginaire.trainer", "cosmos_framework.utils.generator.model_loader", "*.callbacks.*"],
        ["*._*", "projects.*", "imaginaire.*"],
    ),
}  # fmt: skip
"""Modules that are shown, whatever else fits; modules that are not."""
BEFORE = re.compile(r"\] (?:Log|Console log|Debug log) saved to ")
"""Printed before the log files are opened."""
LOST = (
    "Generating chunk 1/1",
    "Average time per chunk: ",
    "GUARDRAIL BLOCKED: BLOCKLIST",
    "GUARDRAIL BLOCKED: VIDEOCONTENTSAFETYFILTER",
    "Unsafe frame count 5 is greater than 10% of total frames 5",
)
"""Lines of Transfer2.5 that we read, and that only COSMOS_VERBOSE shows."""


def shown(family: str, verbose: bool, level: str, module: str) -> bool:
    """Whether the console's set-up lets a line of rank 0 through."""
    if verbose:
        return level != "DEBUG" or family == "transfer2_5"
    include, exclude = RULES[family]
    if any(fnmatch(module, pattern) for pattern in include):
        return level != "DEBUG"
    return level != "DEBUG" and not any(fnmatch(module, pattern) for pattern in exclude)


def lines_of(text: str) -> list[tuple[str, str, str]]:
    """Level, module and the whole line, of each line with a head."""
    found = [(HEAD.match(line), line) for line in text.splitlines()]
    return [(m["level"], m["file"].removesuffix(".py").replace("/", "."), line)
            for m, line in found if m]  # fmt: skip


def run_transfer2_5(host: Host, place: Path, *words: str, **env: str) -> Ended:
    clip(place / "source.mp4", 5)
    prompts = ["a street", "[sim:blocked war]", "[sim:video_blocked]"]
    samples = [{"name": f"s{n}", "prompt": prompt, "video_path": "source.mp4", "edge": {},
                "num_steps": 1} for n, prompt in enumerate(prompts)]  # fmt: skip
    (place / "lines.jsonl").write_text("\n".join(map(json.dumps, samples)))
    command = ["examples/inference.py", "-i", str(place / "lines.jsonl"), "-o", str(place / "out")]
    if words:
        return host.run(*words, *command, PYTHONPATH="", **env)
    return host.python(*command, PYTHONPATH="", **env)


def run_cosmos3(host: Host, place: Path, **env: str) -> Ended:
    clip(place / "edge.mp4", 5)
    sample = {"model_mode": "video2video", "prompt": "a street", "fps": 30, "num_steps": 1,
              "edge": {"control_path": "edge.mp4"}}  # fmt: skip
    (place / "a.json").write_text(json.dumps(sample))
    return host.python("-m", "cosmos_framework.scripts.inference", "-i", place / "a.json", "-o",
                       place / "out", "--checkpoint-path", "Cosmos3-Nano", **env)  # fmt: skip


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize(
    ("family", "run"), [("transfer2_5", run_transfer2_5), ("cosmos3", run_cosmos3)]
)
def test_the_console_has_exactly_the_lines_that_the_filter_lets_through(
    family: str,
    run: Callable[..., Ended],
    verbose: bool,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    host = request.getfixturevalue(f"{family}_host")
    ended = run(host, tmp_path, COSMOS_VERBOSE="1" if verbose else "0")
    assert ended.code == 0, ended.said
    everything = lines_of((tmp_path / "out" / "debug.log").read_text())
    wanted = [line for level, module, line in everything if shown(family, verbose, level, module)]
    console = [line for _, _, line in lines_of(ended.said) if not BEFORE.search(line)]
    assert console == wanted


def test_transfer2_5_hides_what_we_read_unless_it_is_verbose(
    transfer2_5_host: Host, tmp_path: Path
) -> None:
    quiet = run_transfer2_5(transfer2_5_host, tmp_path).said
    assert not [line for line in LOST if line in quiet]
    verbose = run_transfer2_5(transfer2_5_host, tmp_path, COSMOS_VERBOSE="1").said
    assert [line for line in LOST if line in verbose] == list(LOST)


@pytest.mark.parametrize("verbose", [False, True])
def test_of_several_gpus_only_the_first_prints_what_is_not_for_all(
    transfer2_5_host: Host, tmp_path: Path, verbose: bool
) -> None:
    words = ("torchrun", "--nproc_per_node=2", "--standalone")
    env = {"COSMOS_VERBOSE": "1" if verbose else "0"}
    said = run_transfer2_5(transfer2_5_host, tmp_path, *words, **env).said
    joined = re.findall(r"\[RANK (\d)\] Initialized distributed training", said)
    assert sorted(joined) == (["0", "1"] if verbose else [])
    assert said.count("Processing sample s0") == 1
    assert said.count("Generating chunk 1/1") == (2 if verbose else 0)  # of s0 and s2


def test_transfer1_hides_no_module(transfer1_host: Host, tmp_path: Path) -> None:
    work = Transfer1(transfer1_host, tmp_path)
    work.spec["prompt"] = "[sim:blocked war]"
    ended = work.run()
    assert "|CRITICAL|" in ended.said
    assert "GUARDRAIL BLOCKED: BLOCKLIST" in ended.said
