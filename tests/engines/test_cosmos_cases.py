"""Exact requests to NVIDIA's models, as JSON cases in `tests/cases/<engine>`.

A case has `jobs` (settings, text, and inputs as `1280x704 121@24 scene`), perhaps `options` of the
engine, and either `refused`, the sentence that the user gets, or `notes` and what is to be seen of
the order. What a case does not name it does not hold: those of a size or a length have `expected`
alone. One case of each engine shows what the model's log lines mean (`says`); some show which files
of the Hugging Face cache are needed (`hub`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.engines.cosmos import Cosmos
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import Job, Order, Video, operation_from

ROOT = Path(__file__).parent.parent / "cases"
NAMES = ("cosmos_transfer1", "cosmos_transfer2_5", "cosmos3")
CASES = sorted(path for name in NAMES for path in (ROOT / name).glob("*.json"))
RUN = "/cosmos/run"


def video_of(name: str, told: str) -> Video:
    """The video that a case tells: size, frames and rate, and of which scene it is."""
    found = re.fullmatch(r"(\d+)x(\d+) (\d+)@([\d/]+)(?: (\w+))?", told)
    assert found, told
    width, height, frames, fps, scene = found.groups()
    return Video(
        path=f"/{scene or 'scene'}/{name}.mp4",
        sha256=f"{scene or ''}{name:0<64}"[:64],
        size=1,
        width=int(width),
        height=int(height),
        frames=int(frames),
        fps=fps,
    )


def engine_of(path: Path, case: dict[str, Any]) -> Cosmos:
    """The engine that a case is of, with its options."""
    engine = cast(Cosmos, engine_named(path.parent.name))
    options = type(engine.options).model_validate(case.get("options", {}))
    return engine.with_options(options)


def jobs_of(case: dict[str, Any]) -> list[Job]:
    """The jobs that a case describes."""
    return [
        Job(
            run_id=job["run_id"],
            operation=operation_from(case["model_type"], job["settings"]),
            text=job.get("text", ""),
            negative_prompt=job.get("negative_prompt"),
            inputs={name: video_of(name, told) for name, told in job["inputs"].items()},
        )
        for job in case["jobs"]
    ]


def parsed(name: str, text: str) -> Any:
    """A document's content: of JSON lines, a list."""
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.removesuffix("\n").split("\n")]
    return json.loads(text)


def shown(order: Order) -> dict[str, Any]:
    """What of an order a case may hold; paths in documents as they are in a container."""
    return {
        "argv": list(order.argv),
        "env": dict(order.env),
        "inputs": {name: video.path for name, video in order.inputs.items()},
        "documents": {name: parsed(name, text) for name, text in order.texts(RUN).items()},
        "expected": [e.model_dump(exclude_none=True) for e in order.expected],
        "gpus": order.gpus,
        "directories": {d.name: f"{d.source}:{d.target}" for d in order.directories},
    }


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_order_is_exactly_that_of_the_case(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    engine, jobs = engine_of(path, case), jobs_of(case)
    if "refused" in case:
        with pytest.raises(InputError) as refusal:
            [engine.check(job) for job in jobs]
        assert str(refusal.value) == case["refused"]
        return
    assert [note for job in jobs for note in engine.check(job)] == case["notes"]
    order = engine.compile(jobs, "order_1")
    seen = shown(order)
    wanted = case.get("order", {})
    request = wanted.get("documents", {}).get("request.json")
    if request is not None and "says" not in request:
        seen["documents"]["request.json"].pop("says", None)
    if request is not None and "hub" not in request["needs"]:
        seen["documents"]["request.json"]["needs"].pop("hub", None)
    assert {key: seen[key] for key in wanted} == wanted
    assert order.run_ids == tuple(job.run_id for job in jobs)
    assert order.image == engine.setup.image if engine.setup else False
    assert {d.name for d in order.directories} >= placeholders(order)


def placeholders(order: Order) -> set[str]:
    """Directories that an order's words name."""
    words = " ".join([*order.argv, *order.env.values()])
    return set(re.findall(r"\{([a-z_]+)\}", words)) - {"run", "scripts", "python"}


@pytest.mark.parametrize("name", NAMES)
def test_one_case_of_each_engine_shows_what_the_log_lines_mean(name: str) -> None:
    shows = [path for path in CASES if path.parent.name == name and '"says"' in path.read_text()]
    assert len(shows) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_of_the_engine_has_a_whole_case(name: str) -> None:
    cases = [json.loads(path.read_text()) for path in CASES if path.parent.name == name]
    whole = {case["model_type"] for case in cases if "documents" in case.get("order", {})}
    assert whole == engine_named(name).operations
