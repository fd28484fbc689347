"""A process is told from all others, and whether it lives, without a clock of the wall."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_pipelines.backends.owner import (
    owner_holds,
    owner_name,
    owner_seen_from_here,
    owner_shown,
    owner_state,
)
from cosmos_pipelines.catalog.records import utc_now
from cosmos_pipelines.identity import Identity, own_identity, stat_of
from tests.support.processes import (
    CONTAINER,
    TIME_NAMESPACE,
    gone_owner,
    needs,
    owner_of_another_boot,
    python_in,
)
from tests.support.waiting import until

TELL = (
    "import sys; from cosmos_pipelines.backends.owner import owner_name, owner_state\n"
    "print(owner_name(), owner_state(owner_name()), *map(owner_state, sys.argv[1:]), flush=True)\n"
    "sys.stdin.read()"
)
"""Says its own name and state, and the states of others, and waits."""


@contextmanager
def telling(namespace: tuple[str, ...], *others: str) -> Iterator[list[str]]:
    """What a living process in a namespace says of itself and of others."""
    process = python_in(namespace, TELL, *others)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()
    finally:
        process.communicate()


def of(pid: int) -> Identity:
    fields = stat_of(pid)
    assert fields is not None
    return replace(own_identity(), pid=pid, started=int(fields[19]))


def test_this_process_and_its_children_live() -> None:
    child = subprocess.Popen(["sleep", "60"])
    assert own_identity().state() == "alive"
    assert of(child.pid).state() == "alive"
    child.kill()
    child.wait()


def test_a_process_that_has_ended_is_gone_before_and_after_its_parent_knows() -> None:
    child = subprocess.Popen(["sleep", "60"])
    known = of(child.pid)
    child.kill()
    until(lambda: (stat_of(child.pid) or "Z")[0] == "Z", "the end of the child")
    assert known.state() == "gone"
    child.wait()
    assert known.state() == "gone"


def test_a_stopped_process_is_neither_gone_nor_at_work() -> None:
    child = subprocess.Popen(["sleep", "60"])
    known = of(child.pid)
    child.send_signal(signal.SIGSTOP)
    until(lambda: known.state() == "stopped", "the stop")
    assert known.lives()
    child.send_signal(signal.SIGCONT)
    until(lambda: known.state() == "alive", "the continuation")
    child.kill()
    child.wait()


def test_a_later_process_with_the_same_id_is_not_taken_for_it() -> None:
    own = own_identity()
    assert replace(own, started=own.started - 1).state() == "gone"
    assert owner_state(gone_owner()) == "gone"


def test_a_process_of_another_boot_or_of_a_clone_of_this_machine_is_unknown() -> None:
    assert owner_name().partition(":")[0] == socket.gethostname()
    assert owner_state(owner_of_another_boot()) == "unknown"
    assert not owner_seen_from_here(owner_of_another_boot())


@pytest.mark.parametrize("pid", [0, 4_194_305])
def test_nothing_is_asked_of_a_process_id_that_cannot_be(pid: int) -> None:
    assert replace(own_identity(), pid=pid).state() == ("gone" if pid else "unknown")


def test_processes_of_two_containers_with_one_host_name_do_not_judge_each_other() -> None:
    with telling(needs(CONTAINER), owner_name()) as inside:
        name, itself, of_us = inside
        assert name.split(":")[:2] == [socket.gethostname(), "1"]
        assert (itself, of_us) == ("alive", "unknown")
        assert owner_state(name) == "unknown"
        with telling(CONTAINER, name) as another:
            assert another[1:] == ["alive", "unknown"]
    assert owner_state(name) == "unknown"


def test_another_time_namespace_counts_its_ticks_from_elsewhere_and_is_not_judged() -> None:
    with telling(needs(TIME_NAMESPACE), owner_name()) as inside:
        name, itself, of_us = inside
        assert (itself, of_us) == ("alive", "unknown")
        assert owner_state(name) == "unknown"


def test_nothing_is_known_where_proc_shows_the_processes_of_another_namespace() -> None:
    needs(CONTAINER)
    with telling(("unshare", "--pid", "--fork", "--kill-child"), owner_name()) as inside:
        name, itself, of_us = inside
        assert (itself, of_us) == ("unknown", "unknown")
        assert owner_state(name) == "unknown"


def test_a_process_that_proc_hides_is_not_taken_for_gone() -> None:
    if os.getuid():
        pytest.skip("only root may mount /proc with hidepid")
    looks = (
        "import os, sys; from cosmos_pipelines.backends.owner import owner_state, owner_name\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(owner_state(owner_name()), owner_state(sys.argv[1]), owner_state(sys.argv[2]))"
    )
    mount = 'mount -t proc -o hidepid=invisible proc /proc && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", looks]
    said = subprocess.run(
        [*words, owner_name(), gone_owner().replace(f":{os.getpid()}:", ":4194305:")],
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    if said.returncode:
        pytest.skip(f"this kernel may not mount /proc anew: {said.stderr.strip()}")
    assert said.stdout.split() == ["alive", "unknown", "gone"]


@pytest.mark.parametrize(
    "name", ["gpu1:999999:1759.25", "gpu1:1:1.0", "me", "", "a:b:c:d:e", "x:1:2::", ":::::"]
)
def test_names_that_earlier_versions_gave_are_of_unknown_processes(name: str) -> None:
    assert owner_state(name) == "unknown"
    assert not owner_seen_from_here(name)


def test_a_name_is_shown_as_process_and_host() -> None:
    assert owner_shown(owner_name()) == f"process {os.getpid()} on {socket.gethostname()}"
    assert owner_shown("gpu1:12:1759.25") == "gpu1:12:1759.25"
    assert owner_shown(None) == "no process"


def test_a_clock_that_was_set_takes_no_lease_from_a_process_that_lives() -> None:
    ended, lasts = utc_now().replace(year=2000), utc_now().replace(year=2999)
    unknown = owner_of_another_boot()
    assert owner_holds(owner_name(), ended)
    assert not owner_holds(gone_owner(), lasts)
    assert [owner_holds(unknown, until) for until in (ended, lasts)] == [False, True]
    assert not owner_holds(None, lasts)
