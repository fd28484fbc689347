"""Test the whole matrix, or the cells whose fault and step have these words: [FAULT [STEP]]"""

from __future__ import annotations

import sys
import time

from tests.faults.cell import untrue
from tests.faults.faults import FAULTS, STEPS, Fault
from tests.rig.fleet import Fleet, missing
from tests.rig.host import Host

WIDTH = 33


def main(fault_words: str = "", step_words: str = "") -> int:
    """Print a row for each fault, the untrue statements, and the number of true cells."""
    if reason := missing():
        print(f"0 of 0 cells true: {reason}")
        return 1
    fleet = Fleet(1)
    try:
        fleet.start()
        chosen = [f for f in FAULTS if fault_words.lower() in f.name.lower()]
        steps = [s for s in STEPS if step_words in s]
        rows = _rows(chosen, steps, fleet, fleet.hosts["gpu1"])
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
    sys.exit(main(*sys.argv[1:]))
