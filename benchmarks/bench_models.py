"""What we add to NVIDIA's own command, and what planning a large sweep costs.

One JSON object a line. The model is the simulator of tests/models, which takes no GPU time, so that
what is left is ours: pre-flight, hashing, moving, verifying. The yardstick is the very command that
`--dry-run` prints, typed by hand. Best of several rounds, in turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines import batching
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.jobs import compiled, job_of
from cosmos_pipelines.runs.plan import plan_transfer
from tests.models.trees import path_with_torchrun
from tests.support.cosmos_models import cosmos_project
from tests.support.dagster_project import add_prompt
from tests.support.project import Project, write_video

ROUNDS = 5
FRAMES = 121


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def by_hand(project: Project, folder: Path, text: str) -> Callable[[], Any]:
    """NVIDIA's command on files that lie ready."""
    prompt = add_prompt(project, text)
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {})
    order = compiled(project.settings, planned.engine, [planned.job], "by_hand")
    (folder / "inputs").mkdir(parents=True)
    for name, video in order.inputs.items():
        os.link(video.path, folder / "inputs" / name)
    for name, body in order.texts(str(folder)).items():
        (folder / name).write_text(body, encoding="utf-8")
    own = project.settings.engine("cosmos_transfer1").options
    places = {"run": str(folder), "code": own.code, "checkpoints": own.checkpoints,
              "huggingface": own.huggingface}  # fmt: skip
    words = order.command(**places)
    command = words[words.index("--") + 1 :]
    env = {**os.environ, **order.environment(**places)}

    def run() -> None:
        subprocess.run(command, cwd=own.code, env=env, capture_output=True, check=True)

    return run


def by_us(project: Project, text: str) -> Callable[[], Any]:
    """The same as a run: registered before, executed, verified and recorded."""

    def run() -> None:
        prompt = add_prompt(project, text)
        planned = plan_transfer(project.catalog, project.settings, prompt.id, {})
        made = enter(project.catalog, project.settings, planned)
        (ended,) = execute_runs([made.id], catalog=project.catalog, settings=project.settings,
                                backend=project.backend)  # fmt: skip
        assert ended.status == "completed", ended.error_message

    return run


def plan_of(project: Project, count: int) -> float:
    """Seconds to put so many runs into batches and write their requests, a run."""
    prompt = add_prompt(project, "a sweep")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {})
    run = enter(project.catalog, project.settings, planned)
    job = job_of(project.catalog, project.settings, run)
    jobs = [
        job.model_copy(update={"run_id": f"rs_{n:032x}", "text": f"prompt {n}"})
        for n in range(count)
    ]
    engine = planned.engine

    def work() -> None:
        for n, batch in enumerate(batching.plan(engine, jobs)):
            compiled(project.settings, engine, batch, f"order_{n}")

    return min(timed(work) for _ in range(3)) / count


def say(name: str, value: float, unit: str, against: str, ratio: float) -> None:
    """One line of the result."""
    line = {"name": name, "value": round(value, 3), "unit": unit, "against": against}
    print(json.dumps(line | {"ratio": round(ratio, 3)}))


def main() -> None:
    """Measure and print."""
    os.environ["PATH"] = path_with_torchrun()
    with tempfile.TemporaryDirectory() as directory:
        project = cosmos_project(Path(directory) / "home")
        for i, name in enumerate(("color", "depth", "segmentation", "edge", "vis")):
            file = project.settings.inputs / "city" / f"{name}.mp4"
            write_video(file, frames=FRAMES, width=1280, height=704, seed=40 * i)
        hand = by_hand(project, Path(directory) / "by_hand", "one")
        ours = by_us(project, "one")
        times: dict[str, list[float]] = {"hand": [], "ours": []}
        for _ in range(ROUNDS):
            times["hand"].append(timed(hand))
            times["ours"].append(timed(ours))
        best = {name: min(values) for name, values in times.items()}
        more = best["ours"] - best["hand"]
        say("a run beyond NVIDIA's command", more, "s", f"it alone, {best['hand']:.2f} s",
            best["ours"] / best["hand"])  # fmt: skip
        few, many = plan_of(project, 100), plan_of(project, 1000)
        say("plan a sweep of 1000 runs", many * 1000, "ms a run", f"of 100, {few * 1000:.3f} ms",
            many / few)  # fmt: skip
        project.catalog.close()


if __name__ == "__main__":
    main()
