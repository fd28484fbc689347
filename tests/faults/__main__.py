"""Test the whole matrix, or the cells with these words: [FAULT [STEP [BACKEND]]]

A row for each fault at each step, a column for each backend. A cell that cannot exist says why.
`ssh_docker` is a host whose user has each of `SHELLS` in turn for one fault besides, which print
before each program and set odd options; with `--shell=tcsh` for all.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from tests.faults.cell import Rig, untrue
from tests.faults.faults import BACKENDS, FAULTS, STEPS, Fault
from tests.rig import fleet, slurm
from tests.support.login_shells import login_shell

SHELLS: Final = ("bash", "tcsh", "fish")
ANY_SHELL: Final = "sshd restarted"
"""The fault that is tested with each shell, since all calls are made again after it."""
WIDTHS: Final = (max(len(fault.name) for fault in FAULTS), max(map(len, STEPS)), 24)


def main(
    fault_words: str = "", step_words: str = "", backend_words: str = "", *, shell: str = ""
) -> int:
    """Print a row for each fault and step, the untrue statements, and the number of true cells."""
    backends = [name for name in BACKENDS if backend_words in name]
    if reason := _missing(backends):
        print(f"0 of 0 cells true: {reason}")
        return 1
    chosen = [fault for fault in FAULTS if fault_words.lower() in fault.name.lower()]
    table = Table(backends, [step for step in STEPS if step_words in step])
    with ExitStack() as stack:
        hosts = cluster = None
        if "ssh_docker" in backends:
            hosts = fleet.Fleet(1)
            stack.callback(hosts.stop)
            hosts.start()
        if "slurm" in backends:
            cluster, _ = stack.enter_context(slurm.running_cluster())
        rig = Rig(hosts, cluster)
        table.head()
        table.rows(chosen, rig, shell)
        if hosts is not None and not (fault_words or step_words or shell):
            again = [fault for fault in FAULTS if fault.name == ANY_SHELL]
            for name in SHELLS:
                table.rows(again, rig, name)
    return table.foot()


def _missing(backends: Sequence[str]) -> str | None:
    reasons = {"ssh_docker": fleet.missing, "slurm": slurm.missing}
    return next((why for name in backends if (why := reasons.get(name, lambda: None)())), None)


class Table:
    """The table as it is printed, and how many of its cells are true."""

    def __init__(self, backends: list[str], steps: list[str]) -> None:
        self.backends, self.steps = backends, steps
        self.true: Counter[str] = Counter()
        self.count: Counter[str] = Counter()

    def head(self) -> None:
        """Print the head."""
        words = ("fault", "step", *self.backends)
        widths = (*WIDTHS[:2], *[WIDTHS[2]] * len(self.backends))
        print("| " + " | ".join(map(str.ljust, words, widths)) + " |")
        print("|" + "|".join("-" * (width + 2) for width in widths) + "|", flush=True)

    def rows(self, faults: Sequence[Fault], rig: Rig, shell: str) -> None:
        """Test cells and print their rows; `shell`: the login shell, on a host with Docker."""
        for fault in faults:
            for step in self.steps:
                if any(self._strikes(fault, step, backend) for backend in self.backends):
                    self._row(fault, step, rig, shell)

    def _strikes(self, fault: Fault, step: str, backend: str) -> bool:
        there = fault.on(backend)
        return not isinstance(there, str) and step in there.strikes_at

    def _row(self, fault: Fault, step: str, rig: Rig, shell: str) -> None:
        name = f"{fault.name} ({shell})" if shell else fault.name
        print(f"| {name.ljust(WIDTHS[0])} | {step.ljust(WIDTHS[1])} ", end="", flush=True)
        notes: list[str] = []
        struck: dict[str, Future[tuple[list[str], float]]] = {}
        with ThreadPoolExecutor(len(self.backends)) as pool:  # a cell waits most of its time
            for backend in self.backends:
                there = fault.on(backend)
                meant = not shell or backend == "ssh_docker"
                if meant and not isinstance(there, str) and step in there.strikes_at:
                    struck[backend] = pool.submit(_cell, there, step, backend, rig, shell)
        for backend in self.backends:
            if backend in struck:
                problems, seconds = struck[backend].result()
                notes += [f"{name} / {step} / {backend}: {problem}" for problem in problems]
                self.count[backend] += 1
                self.true[backend] += not problems
                shown = f"{'UNTRUE' if problems else 'true'} {seconds:.0f} s"
            else:
                shown = f"- {'only of users of a host' if shell else _why_not(fault, backend)}"
            print(f"| {shown.ljust(WIDTHS[2])} ", end="", flush=True)
        print("|", flush=True)
        if notes:
            print("\n".join(notes), file=sys.stderr, flush=True)

    def foot(self) -> int:
        """Print how many cells are true; return the exit code."""
        each = (f"{name} {self.true[name]} of {self.count[name]}" for name in self.backends)
        true, count = self.true.total(), self.count.total()
        print(f"{true} of {count} cells true: {', '.join(each)}")
        return 0 if true == count > 0 else 1


def _why_not(fault: Fault, backend: str) -> str:
    there = fault.on(backend)
    return there if isinstance(there, str) else there.otherwise


def _cell(fault: Fault, step: str, backend: str, rig: Rig, shell: str) -> tuple[list[str], float]:
    """Return the untrue statements and the seconds that the cell took."""
    began = time.monotonic()
    with ExitStack() as stack:
        if shell and rig.fleet is not None:
            host = rig.fleet.hosts["gpu1"]
            stack.enter_context(login_shell(host, shell, noisy=True))
        problems = untrue(fault, step, backend, rig)
    return problems, time.monotonic() - began


if __name__ == "__main__":
    shell = next((w.removeprefix("--shell=") for w in sys.argv if w.startswith("--shell=")), "")
    words = [word for word in sys.argv[1:] if not word.startswith("--shell=")]
    sys.exit(main(*words, shell=shell))
