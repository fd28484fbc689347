"""A soak: `python -m tests.soak --minutes 60`, as root; see tests/rig.

Writers drop scenes, each with a scene.toml that asks for three runs for any place: 200 scenes an
hour. Three dispatchers work on them, of which one is killed with -9 every minute, every second time
with all its processes. Host `a` loses its power twice. Models fail and hang (see model.py). At the
end what the hosts have written down is compared with the catalog (see account.py). Exit code 1: not
everything was as it must be.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.files import sha256_of
from tests.rig import fleet, slurm
from tests.soak.account import Made, Program, breaks
from tests.soak.dispatchers import Dispatcher, dispatchers, left_behind
from tests.soak.place import Place, soak_place
from tests.soak.writers import drop, texts_of

SCENES_AN_HOUR = 200
BURST = 10
"""Scenes that come close together."""
DROPPED = 0.85
"""Part of the time in which scenes are dropped."""
KILL_S, AGAIN_S = 60.0, 3.0
CUTS_AT = (0.3, 0.6)
"""Parts of the time after which host `a` loses its power."""
OFF_S = 45.0
LATE_S = 1800.0
"""Seconds after the time for what still waits and runs."""
LEFT_S = 60.0
"""Seconds in which all processes of the project must end after the dispatchers."""


class Soak:
    """One soak in a place."""

    def __init__(self, place: Place, minutes: float, seed: int, workers: int) -> None:
        self.place, self.seed = place, seed
        self.seconds = 60 * minutes
        self.scenes = max(1, round(SCENES_AN_HOUR * minutes / 60))
        self.dispatchers = dispatchers(place.settings.home, place.env, workers)
        self.problems: list[str] = []
        self.began = time.monotonic()
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Let it happen; return when everything has ended, or too much time has passed."""
        for dispatcher in self.dispatchers:
            dispatcher.start()
        self._at_times(self._drop_all)
        self._at_times(self._cut_all)
        kills, told = 1, 0.0
        while not self._at_end():
            now = time.monotonic() - self.began
            if now >= told:
                self._tell(now)
                told += 30
            if now >= KILL_S * kills and now < self.seconds:
                self._kill(self.dispatchers[kills % len(self.dispatchers)], whole=kills % 2 == 0)
                kills += 1
            self._look_for_ended()
            time.sleep(1)
        for thread in self._threads:
            thread.join()
        for dispatcher in self.dispatchers:
            dispatcher.end()
        left = left_behind(self.place.settings.home, LEFT_S)
        self.problems += [f"a process was left: {line}" for line in left]
        for dispatcher in self.dispatchers[1:]:  # Dagster writes one for each run that fails
            if "Traceback" in dispatcher.said:
                self.problems.append(f"{dispatcher.name} wrote a traceback")

    def _at_times(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as e:  # noqa: BLE001 - told in the table
                self.problems.append(f"the soak itself: {e!r}")

        self._threads.append(threading.Thread(target=guarded))
        self._threads[-1].start()

    def _sleep_until(self, part: float) -> None:
        time.sleep(max(0.0, self.began + part * self.seconds - time.monotonic()))

    def _drop_all(self) -> None:
        chances = random.Random(self.seed)
        aside = self.place.base / "aside"
        for number in range(self.scenes):
            if number % BURST == 0:
                self._sleep_until(DROPPED * number / self.scenes)
            own = random.Random(chances.random())
            self._at_times(partial(drop, self.place.settings.inputs, aside, number, own))
            time.sleep(chances.uniform(0.2, 3))

    def _cut_all(self) -> None:
        for part in CUTS_AT:
            self._sleep_until(part)
            self.place.cut_power("a", min(OFF_S, self.seconds / 10))

    def _kill(self, dispatcher: Dispatcher, *, whole: bool) -> None:
        number = dispatcher.kill(whole=whole)
        print(f"killed {dispatcher.name}: {number} process(es)", file=sys.stderr, flush=True)
        time.sleep(AGAIN_S)
        dispatcher.start()

    def _look_for_ended(self) -> None:
        for dispatcher in self.dispatchers:
            if (code := dispatcher.ended) is not None:
                self.problems.append(f"{dispatcher.name} ended by itself, with exit code {code}")
                dispatcher.start()

    def _at_end(self) -> bool:
        now = time.monotonic() - self.began
        if now > self.seconds + LATE_S:
            return True
        counts = self.place.catalog.count_by_status()
        ended = counts.get("completed", 0) + counts.get("failed", 0)
        return now > self.seconds and ended == sum(counts.values()) >= len(self.ordered())

    def ordered(self) -> list[str]:
        """The texts of all prompts that are ordered, one run each."""
        return [text for number in range(self.scenes) for text in texts_of(number)]

    def _tell(self, now: float) -> None:
        counts = ", ".join(f"{n} {s}" for s, n in self.place.catalog.count_by_status().items() if n)
        print(f"{now / 60:5.1f} min: {counts}", file=sys.stderr, flush=True)


def made_of(place: Place) -> list[Made]:
    """The runs of the catalog at the end, and whether their files are whole."""
    texts = {prompt.id: prompt.text for prompt in place.catalog.list_prompts(limit=None)}

    def whole(run: Run) -> bool:
        file = place.settings.home / run.outputs.get("video", "none")
        return file.is_file() and sha256_of(file) == run.outputs["sha256"]

    return [
        Made(
            run.id,
            texts[run.prompt_id or ""],
            run.status,
            run.error_kind,
            run.outputs.get("model_sha256"),
            whole(run),
        )
        for run in place.catalog.list_runs(limit=None)
    ]


def table(soak: Soak, runs: list[Made], programs: list[Program], found: list[str]) -> str:
    """The figures of the soak, a line each."""
    cuts = soak.place.cuts
    ends = Counter(run.error_kind if run.status == "failed" else run.status for run in runs)
    by_host = Counter(program.host for program in programs)
    busy = sum(program.last - program.start for program in programs)
    rows = {
        "minutes": f"{(time.monotonic() - soak.began) / 60:.1f}",
        "seed": soak.seed,
        "scenes, runs": f"{soak.scenes}, {len(runs)}",
        "ends of the runs": ", ".join(f"{n} {end}" for end, n in ends.most_common()),
        "starts of the model": f"{len(programs)} ({_counted(by_host)})",
        "samples started": sum(len(program.runs) for program in programs),
        "GPU minutes": f"{busy / 60:.0f}",
        "samples that failed": sum(len(program.failed) for program in programs),
        "samples that hung": sum(len(program.hangs) for program in programs),
        "dispatchers killed": _counted(Counter({d.name: d.kills for d in soak.dispatchers})),
        "power cuts": f"{len(cuts)}, which ended {sum(p.cut(cuts) for p in programs)} programs",
        "breaks": len(found),
    }
    return "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))


def main() -> int:
    """Soak, and print the table and each break."""
    words = argparse.ArgumentParser(description="A soak of the queue, as root: see CONTRIBUTING.md")
    words.add_argument("--minutes", type=float, default=60)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--workers", type=int, default=2, help="beside the daemon")
    words.add_argument("--sqlite", action="store_true", help="the catalog is SQLite")
    given = words.parse_args()
    if reason := fleet.missing() or slurm.missing():
        print(f"nothing was soaked: {reason}")
        return 1
    signal.signal(signal.SIGINT, signal.default_int_handler)  # dispatchers inherit an ignored one
    base = Path(tempfile.mkdtemp(prefix="soak-"))
    base.chmod(0o755)
    with soak_place(base, given.seed, sqlite=given.sqlite) as place:
        soak = Soak(place, given.minutes, given.seed, given.workers)
        soak.run()
        runs, programs = made_of(place), place.programs()
        found = [*soak.problems, *breaks(soak.ordered(), runs, programs, place.cuts)]
    print(table(soak, runs, programs, found))
    print("\n".join(found))
    print(f"logs: {base}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
