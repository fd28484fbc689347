"""The same work for several places: an interrupt reaches each of them."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.support.waiting import LONG_S

WORK = """
import time
from cosmos_pipelines.backends.at_once import at_once

def do(name):
    try:
        print(f"{name} begins\\n", end="", flush=True)  # in one piece
        while True:
            time.sleep(0.05)
    except KeyboardInterrupt:
        time.sleep(0.2)
        print(f"{name} has cleaned up\\n", end="", flush=True)
        raise

at_once(["a", "b"], do)
"""


def test_an_interrupt_reaches_the_work_of_each_place_and_is_waited_for() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        begun = {process.stdout.readline() for _ in range(2)}
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=LONG_S)
    assert begun == {"a begins\n", "b begins\n"}
    assert {*said.splitlines()} == {"a has cleaned up", "b has cleaned up"}
    assert "KeyboardInterrupt" in errors
    assert process.returncode == -signal.SIGINT
