"""What the ssh_docker backend costs beyond the container itself, on a host of the rig.

One JSON object a line. A run that does nothing, against `ssh host docker run` by hand, best of the
rounds; the start of an order whose inputs are hashed; from a container's print to our line; what a
cut of the link of 5 s costs. Needs root.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cosmos_pipelines.backends.carriers.docker import DockerCarrier
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.operations import Order, Video
from cosmos_pipelines.remote.ssh.connection import Target
from cosmos_pipelines.settings import Docker
from tests.rig.fleet import Fleet, missing

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LINES = 200
CUT_S = 5.0
INPUT = 64 << 20

# The rig's hosts share this machine's kernel, hence its clock.
PRINTS = (
    "import time\n"
    f"for _ in range({LINES}):\n"
    "    time.sleep(0.02)\n"
    "    print(time.monotonic(), flush=True)"
)
COUNTS = "n=0; while [ $n -lt 50 ]; do n=$((n + 1)); echo line $n; sleep 0.2; done"


class Bench:
    """A host and ways to it."""

    def __init__(self, fleet: Fleet) -> None:
        self.host = fleet.hosts["gpu1"]
        self.image = self.host.image("preview")
        self.config = str(fleet.ssh_config)
        self._count = 0

    def backend(self) -> SshBackend:
        """A new one, not connected."""
        target = Target("gpu1", config_file=Path(self.config))
        carrier = DockerCarrier(Docker(image=self.image))
        return SshBackend("ssh_docker", target, "/data/cosmos", carrier, "bench")

    def order(self, *argv: str) -> Order:
        """An order with an id of its own."""
        self._count += 1
        name = f"bench_{self._count}"
        return Order(
            id=name, run_ids=(name,), engine="none", model_type="transfer", argv=argv,
            inputs={}, expected=(), gpus=0,
        )  # fmt: skip

    def run(self, backend: SshBackend, order: Order) -> list[tuple[float, bytes]]:
        """Launch, follow, ask for the outcome, remove; chunks with when they came."""
        handle = backend.launch(order)
        chunks = [(time.monotonic(), chunk) for chunk in backend.follow(handle)]
        assert backend.outcome(handle).exit_code == 0
        backend.discard(order.id)
        return chunks

    def by_hand(self, *options: str) -> None:
        """`ssh gpu1 docker run`."""
        words = ["ssh", "-F", self.config, *options, "gpu1"]
        command = ["docker", "run", "--rm", "--pull=never", "--ipc=host", self.image, "true"]
        subprocess.run([*words, *command], check=True, stdin=subprocess.DEVNULL)

    def anew(self) -> None:
        """A run that does nothing, from no connection at all."""
        backend = self.backend()
        self.run(backend, self.order("true"))
        backend.close()


def best(act: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        act()
        took.append(time.monotonic() - began)
    return round(min(took), 3)


def say(name: str, value: float, unit: str, **compared: object) -> None:
    """One line; `compared`: what it is measured against, and the ratio."""
    print(json.dumps({"name": name, "value": value, "unit": unit, **compared}), flush=True)


def overhead(bench: Bench) -> None:
    """A run that does nothing."""
    open_backend = bench.backend()
    bench.run(open_backend, bench.order("true"))  # scripts are there, connected
    shared = ("-o", "ControlMaster=auto", "-o", f"ControlPath={bench.config}.mux",
              "-o", "ControlPersist=30")  # fmt: skip
    bench.by_hand(*shared)
    pairs = {
        "with login": (bench.anew, bench.by_hand),
        "connected": (
            lambda: bench.run(open_backend, bench.order("true")),
            lambda: bench.by_hand(*shared),
        ),
    }
    for what, (ours, by_hand) in pairs.items():
        mine, theirs = best(ours), best(by_hand)
        say(f"no-op run, {what}", mine, "s", against=f"ssh host docker run, {theirs} s",
            ratio=round(mine / theirs, 2))  # fmt: skip
    open_backend.close()


def hashing(bench: Bench) -> None:
    """The start of an order with uploaded inputs, which are hashed, against one without."""
    backend = bench.backend()
    with tempfile.TemporaryDirectory() as place:
        inputs = {}
        for n in range(4):
            path = Path(place, f"{n}.mp4")
            path.write_bytes(content := os.urandom(INPUT))
            inputs[path.name] = Video(
                path=str(path), sha256=hashlib.sha256(content).hexdigest(), size=len(content),
                width=64, height=48, fps="24", frames=1,
            )  # fmt: skip

        def start(given: dict[str, Video]) -> float:
            order = bench.order("true").model_copy(update={"inputs": given})
            began = time.monotonic()
            handle = backend.launch(order)
            took = time.monotonic() - began
            list(backend.follow(handle))
            backend.discard(order.id)
            return took

        start(inputs)  # uploads
        times = [(start({}), start(inputs)) for _ in range(ROUNDS)]
    without, hashed = map(min, zip(*times, strict=True))
    say(f"start of an order with {len(inputs)} x {INPUT >> 20} MiB of inputs, uploaded before",
        round(hashed, 3), "s", against=f"without inputs, {without:.3f} s",
        ratio=round(hashed / without, 2))  # fmt: skip
    backend.close()


def delay(bench: Bench) -> None:
    """From the container's print to our line."""
    backend = bench.backend()
    chunks = bench.run(backend, bench.order("{python}", "-c", PRINTS))
    backend.close()
    late = sorted(
        1000 * (at - float(line)) for at, chunk in chunks for line in chunk.split() if line
    )
    assert len(late) == LINES
    p99 = late[int(len(late) * 0.99) - 1]
    say("print to line, p50", round(statistics.median(late), 2), "ms")
    say("print to line, p99", round(p99, 2), "ms")


def cut(bench: Bench) -> None:
    """A run of 10 s, undisturbed and with the link cut for 5 s in its middle, or at its end."""
    undisturbed = 0.0
    expected = b"".join(b"line %d\n" % n for n in range(1, 51))
    for what, after_s in (("not cut", None), ("in the middle", 3.0), ("over its end", 8.0)):
        backend = bench.backend()
        backend.find("nothing")
        if after_s is not None:
            threading.Timer(after_s, bench.host.cut).start()
            threading.Timer(after_s + CUT_S, bench.host.mend).start()
        began = time.monotonic()
        chunks = bench.run(backend, bench.order("sh", "-c", COUNTS))
        took = time.monotonic() - began
        if b"".join(chunk for _, chunk in chunks) != expected:
            raise AssertionError(f"The log is not whole: {what}.")
        undisturbed = undisturbed or took
        say(f"run of 10 s, link cut for 5 s: {what}", round(took, 2), "s",
            against=f"not cut, {undisturbed:.2f} s",
            ratio=round(took / undisturbed, 2))  # fmt: skip
        backend.close()


def main() -> int:
    """All of them."""
    if reason := missing():
        print(f"skipped: {reason}", file=sys.stderr)
        return 0
    fleet = Fleet(1)
    try:
        fleet.start()
        bench = Bench(fleet)
        overhead(bench)
        hashing(bench)
        delay(bench)
        cut(bench)
    finally:
        fleet.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
