"""How long commands take before they do anything, beyond the bare interpreter; what a run costs.

One JSON object a line. The yardstick is `import dagster`: what any command line pays that imports
it at its start. Best of several rounds, taken in turns so that a busy moment hits all alike; the
first round, which writes bytecode, is not counted.

The last line: the CPU seconds of one `cosmos inference` of a tiny scene with the preview engine, in
the command's own process and in those that it starts (the model).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COSTS = """
import json, resource, sys
from cosmos_pipelines.cli import main
main(sys.argv[1:])
of = {"own_cpu_s": resource.RUSAGE_SELF, "children_cpu_s": resource.RUSAGE_CHILDREN}
used = {name: resource.getrusage(who) for name, who in of.items()}
print(json.dumps({name: use.ru_utime + use.ru_stime for name, use in used.items()}))
"""
ROUNDS = 10
RUNS = 5
COMMANDS = {"cosmos --help": ["--help"], "cosmos list runs": ["list", "runs"]}


def measure(cases: dict[str, list[str]], rounds: int) -> dict[str, float]:
    """Best wall time of each command line, in seconds."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    best = dict.fromkeys(cases, float("inf"))
    for i in range(rounds + 1):
        for name, words in cases.items():
            begin = time.perf_counter()
            subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, check=True)
            took = time.perf_counter() - begin
            if i:
                best[name] = min(best[name], took)
    return best


def run_cost(home: Path, cosmos: list[str]) -> dict[str, float]:
    """Least CPU seconds of a command that executes one run, and its wall seconds."""
    scene = home / "inputs" / "videos" / "city"
    scene.mkdir(parents=True, exist_ok=True)
    for name in ("color", "depth"):
        given = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=24:duration=0.25"]
        file = scene / f"{name}.mp4"
        subprocess.run(["ffmpeg", "-v", "error", *given, "-pix_fmt", "yuv420p", file], check=True)
    made = [*cosmos, "create", "prompt", "fog at dawn", str(scene), "--json"]
    prompt = json.loads(subprocess.run(made, check=True, capture_output=True).stdout)["id"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    best: dict[str, float] = {}
    for seed in range(RUNS + 1):
        words = ["--home", str(home), "inference", prompt, "--seed", str(seed)]
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", COSTS, *words],
            check=True, capture_output=True, env=environment,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        found["wall_s"] = time.perf_counter() - begin
        if seed:  # the first makes Dagster's databases
            best = {k: min(v, best.get(k, v)) for k, v in found.items()}
    return {name: round(value, 2) for name, value in best.items()}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        cosmos = [sys.executable, "-m", "cosmos_pipelines.cli", "--home", str(home)]
        subprocess.run([*cosmos, "init", str(home)], check=True, capture_output=True)
        best = measure(
            {
                "interpreter": [sys.executable, "-c", "pass"],
                "import dagster": [sys.executable, "-c", "import dagster"],
                **{name: [*cosmos, *words] for name, words in COMMANDS.items()},
            },
            ROUNDS,
        )
        cost = run_cost(home, cosmos)
    bare = best["interpreter"]
    yardstick = best["import dagster"] - bare
    for name in COMMANDS:
        value = best[name] - bare
        line = {
            "name": f"start of {name}",
            "value": round(value * 1000, 1),
            "unit": "ms beyond the interpreter",
            "against": f"import dagster, {yardstick * 1000:.0f} ms",
            "ratio": round(value / yardstick, 3),
        }
        print(json.dumps(line))
    print(json.dumps({"name": "one run from the command line", **cost}))


if __name__ == "__main__":
    main()
