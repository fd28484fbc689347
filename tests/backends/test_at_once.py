"""The same work for several places: an interrupt reaches each of them."""

from __future__ import annotations

import signal
import subprocess
import sys

WORK = """
import time
from cosmos_pipelines.backends.at_once import at_once

def do(name):
    try:
        print(name, "begins", flush=True)
        while True:
            time.sleep(0.05)
    except KeyboardInterrupt:
        time.sleep(0.2)
        print(name, "has cleaned up", flush=True)
        raise

at_once(["a", "b"], do)
"""


def test_an_interrupt_reaches_the_work_of_each_place_and_is_waited_for() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        begun = {process.stdout.readline() for _ in range(2)}
        assert begun == {"a begins\n", "b begins\n"}
        process.send_signal(signal.SIGINT)
        assert {*process.stdout} == {"a has cleaned up\n", "b has cleaned up\n"}
        assert "KeyboardInterrupt" in process.stderr.read()
    assert process.returncode == -signal.SIGINT
