"""The whole matrix, or the cells whose fault and step hold these words: faults [FAULT [STEP]]"""

from __future__ import annotations

import sys
import time

from tests.faults.cell import untrue
from tests.faults.faults import FAULTS, STEPS, Fault
from tests.rig.fleet import Fleet, missing
from tests.rig.host import Host

WIDTH = 33


def main(fault_words: str = "", step_words: str = "") -> int:
    """Print a row for each fault, what was not true, and how many cells were."""
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
    true = sum(not said for row in rows for said in row)
    count = sum(map(len, rows))
    print(f"{true} of {count} cells true")
    return 0 if true == count > 0 else 1


def _rows(faults: list[Fault], steps: list[str], fleet: Fleet, host: Host) -> list[list[list[str]]]:
    """Each cell's untrue statements, told as they are found."""
    print("| fault".ljust(WIDTH + 2) + "| " + " | ".join(steps) + " |")
    print("|" + "-" * (WIDTH + 1) + "|" + "|".join("-" * (len(s) + 2) for s in steps) + "|")
    rows = []
    for fault in faults:
        print(f"| {fault.name.ljust(WIDTH - 1)} ", end="", flush=True)
        row, notes = [], []
        for step in steps:
            shown = "-"  # it cannot strike there: see faults.py
            if step in fault.strikes_at:
                began = time.monotonic()
                said = _cell(fault, step, fleet, host)
                row.append(said)
                notes += [f"{fault.name} / {step}: {one}" for one in said]
                shown = f"{'UNTRUE' if said else 'true'} {time.monotonic() - began:.0f} s"
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
