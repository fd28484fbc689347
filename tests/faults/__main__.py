"""Test the whole matrix, or the cells whose fault and step have these words: [FAULT [STEP]]

With `--shell=tcsh` (bash, zsh, fish) the user of the host has this login shell, which prints before
each program and sets odd options. The whole matrix has one row with each of `SHELLS`.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext

from tests.faults.cell import untrue
from tests.faults.faults import FAULTS, STEPS, Fault
from tests.rig.fleet import Fleet, missing
from tests.rig.host import Host
from tests.support.login_shells import login_shell

WIDTH = 33


SHELLS = ("bash", "tcsh", "fish")
ANY_SHELL = "sshd restarted"
"""The fault that is tested with each shell, since all calls are made again after it."""


def main(fault_words: str = "", step_words: str = "", shell: str = "") -> int:
    """Print a row for each fault, the untrue statements, and the number of true cells."""
    if reason := missing():
        print(f"0 of 0 cells true: {reason}")
        return 1
    fleet = Fleet(1)
    try:
        fleet.start()
        chosen = [f for f in FAULTS if fault_words.lower() in f.name.lower()]
        steps = [s for s in STEPS if step_words in s]
        host = fleet.hosts["gpu1"]
        with login_shell(host, shell, noisy=True) if shell else nullcontext():
            rows = _rows(chosen, steps, fleet, host)
        if not (fault_words or step_words or shell):
            again = [f for f in FAULTS if f.name == ANY_SHELL]
            for name in SHELLS:
                print(f"with {name} as a login shell that prints:")
                with login_shell(host, name, noisy=True):
                    rows += _rows(again, steps, fleet, host)
    finally:
        fleet.stop()
    true = sum(not problems for row in rows for problems in row)
    count = sum(map(len, rows))
    print(f"{true} of {count} cells true")
    return 0 if true == count > 0 else 1


def _rows(faults: list[Fault], steps: list[str], fleet: Fleet, host: Host) -> list[list[list[str]]]:
    """Test the cells and print the rows; return each cell's untrue statements."""
    print("| fault".ljust(WIDTH + 2) + "| " + " | ".join(steps) + " |")
    print("|" + "-" * (WIDTH + 1) + "|" + "|".join("-" * (len(s) + 2) for s in steps) + "|")
    rows = []
    for fault in faults:
        print(f"| {fault.name.ljust(WIDTH - 1)} ", end="", flush=True)
        row, notes = [], []
        for step in steps:
            shown = "-"  # the fault cannot strike at this step: see faults.py
            if step in fault.strikes_at:
                began = time.monotonic()
                problems = _cell(fault, step, fleet, host)
                row.append(problems)
                notes += [f"{fault.name} / {step}: {problem}" for problem in problems]
                shown = f"{'UNTRUE' if problems else 'true'} {time.monotonic() - began:.0f} s"
            print(f"| {shown.ljust(len(step))} ", end="", flush=True)
        print("|", flush=True)
        if notes:
            print("\n".join(notes), file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def _cell(fault: Fault, step: str, fleet: Fleet, host: Host) -> list[str]:
    try:
        return untrue(fault, step, fleet, host)
    finally:
        host.heal()


if __name__ == "__main__":
    shell = next((w.removeprefix("--shell=") for w in sys.argv if w.startswith("--shell=")), "")
    fault, step, *_ = [*(w for w in sys.argv[1:] if not w.startswith("--shell=")), "", ""]
    sys.exit(main(fault, step, shell))
