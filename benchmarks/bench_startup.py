"""How long commands take before they do anything, beyond the bare interpreter.

One JSON object a line. The yardstick is `import dagster`: what any command line pays that imports
it at its start. Best of several rounds, taken in turns so that a busy moment hits all alike; the
first round, which writes bytecode, is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 10
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


if __name__ == "__main__":
    main()
