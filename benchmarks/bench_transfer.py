"""How fast files go to a host and back, against scp and rsync over the same sshd on the loopback.

One JSON object a line; a ratio below 1 is faster than they are. All take turns, so that a busy
moment hits all alike; the best of the rounds counts. Ours hashes at both ends and has all bytes on
the disk before a file gets its name; scp and rsync do neither.

"with logins": nothing is connected before, as for scp and rsync. Otherwise our connections are
open, as they are in a session.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.remote.files.transfer import LocalFile, Wanted, get_files, put_files
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from tests.support.sshd import Sshd, running_sshd

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "4"))
LARGE = 512 << 20
SMALL, COUNT = 50_000, 200

Times = dict[str, dict[str, float]]
"""Task -> who -> best seconds."""


def written(path: Path, size: int) -> LocalFile:
    """A file of random bytes."""
    path.write_bytes(content := os.urandom(size))
    return LocalFile(path, hashlib.sha256(content).hexdigest(), size)


class Bench:
    """A server, files, and a place for copies that is empty at the start of each measurement."""

    def __init__(self, sshd: Sshd, place: Path) -> None:
        self.config = str(sshd.config)
        self.target = Target("loop", config_file=sshd.config)
        self.copies = place / "copies"
        (place / "small").mkdir()
        self.sets = {
            "512 MiB": [written(place / "large", LARGE)],
            "200 x 50 kB": [written(place / "small" / f"{n}.png", SMALL) for n in range(COUNT)],
        }
        self.times: Times = defaultdict(lambda: defaultdict(lambda: float("inf")))

    def timed(self, task: str, who: str, act: Callable[[], object]) -> None:
        """Measure once."""
        subprocess.run(["sync"], check=True)
        begin = time.perf_counter()
        act()
        took = time.perf_counter() - begin
        self.times[task][who] = min(self.times[task][who], took)

    def clean(self) -> None:
        """Remove all copies."""
        shutil.rmtree(self.copies, ignore_errors=True)
        self.copies.mkdir()

    def ours(self, name: str, who: str, connection: Connection) -> None:
        """Up, up again, down."""
        files, cas = self.sets[name], str(self.copies / "cas")
        wanted = [Wanted(f"{cas}/{f.sha256}", self.copies / f.path.name, *f[1:]) for f in files]
        self.clean()
        self.timed(f"{name} up", who, lambda: put_files(connection, files, cas))
        self.timed(f"{name} up again", who, lambda: put_files(connection, files, cas))
        self.timed(f"{name} down", who, lambda: get_files(connection, wanted))

    def ours_cold(self, name: str) -> None:
        """Up and down, each with the logins that it needs."""
        files, cas = self.sets[name], str(self.copies / "cas")
        wanted = [Wanted(f"{cas}/{f.sha256}", self.copies / f.path.name, *f[1:]) for f in files]

        def up() -> None:
            with Connection(self.target) as connection:
                put_files(connection, files, cas)

        def down() -> None:
            with Connection(self.target) as connection:
                get_files(connection, wanted)

        self.clean()
        for way, act in (("up", up), ("down", down)):
            OpenSsh.of(self.target).close()
            self.timed(f"{name} {way}", "ours with logins", act)

    def theirs(self, name: str, who: str, words: list[str]) -> None:
        """Up, up again, down, by a command that takes source and destination."""
        source = self.sets[name][0].path
        source = source if len(self.sets[name]) == 1 else source.parent
        there, here = f"loop:{self.copies}/there", str(self.copies / "here")
        slash = "/" if source.is_dir() and "rsync" in who else ""

        def copy(a: str, b: str) -> Callable[[], object]:
            return lambda: subprocess.run([*words, a, b], check=True)

        self.clean()
        self.timed(f"{name} up", who, copy(f"{source}{slash}", there))
        self.timed(f"{name} up again", who, copy(f"{source}{slash}", there))
        if not slash and source.is_dir():
            shutil.rmtree(self.copies / "there" / source.name)  # scp -r again goes one deeper
        self.timed(f"{name} down", who, copy(f"{there}{slash}", here))

    def round(self, name: str) -> None:
        """Everybody once."""
        control = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60",
                   "-o", f"ControlPath={self.copies.parent}/s"]  # fmt: skip
        scp = ["scp", "-q", "-r", "-F", self.config]
        self.theirs(name, "scp", scp)
        self.theirs(name, "rsync", ["rsync", "-rt", "-e", f"ssh -F {self.config}"])
        subprocess.run(["ssh", "-F", self.config, *control, "loop", "true"], check=True,
                       stderr=subprocess.DEVNULL)  # fmt: skip
        self.theirs(name, "scp over a shared connection", [*scp, *control])
        self.ours_cold(name)
        shared = OpenSsh.of(self.target)
        with Connection(self.target) as connection:
            connection.open()
            assert shared.usable(), shared.problem
            self.ours(name, "ours", connection)
            shared.usable = lambda: False  # not in this turn
            self.ours(name, "ours by paramiko", connection)
            del shared.usable

    def lines(self) -> list[dict[str, object]]:
        """What was measured, as a line a comparison."""
        return [
            {"name": f"{task}, {who}" if who != "ours" else task, "value": round(value, 3),
             "unit": "s", "against": f"{other}, {theirs:.3f} s", "ratio": round(value / theirs, 2)}
            for task, times in self.times.items()
            for who, value in times.items() if who.startswith("ours")
            for other, theirs in times.items() if not other.startswith("ours")
        ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    if missing := [p for p in ("scp", "rsync", "sshd") if not shutil.which(p)]:
        sys.exit(f"bench_transfer needs {', '.join(missing)}.")
    with tempfile.TemporaryDirectory(prefix="bt-", dir="/var/tmp") as directory:
        with running_sshd() as sshd:
            bench = Bench(sshd, Path(directory))
            for _ in range(ROUNDS):
                for name in bench.sets:
                    bench.round(name)
            OpenSsh.of(bench.target).close()
        for line in bench.lines():
            print(json.dumps(line))


if __name__ == "__main__":
    main()
