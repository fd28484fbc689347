"""A carrier of one's own: its file and one line in the registry are all that it takes.

It starts orders as plain processes of a host, by shell alone, and is driven through an SSH server
of this machine: the whole life of a run, doctor, status, cancelling, adoption.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.backends.carriers.base import (
    WORDS,
    Ask,
    Carried,
    Carrier,
    CarrierChecks,
    ListedOrder,
    OrderPaths,
    Start,
)
from cosmos_pipelines.backends.checks import Check, Finding, ok
from cosmos_pipelines.backends.registry import BACKENDS, Kind, host_backend, place_of
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.errors import BackendError, Unreachable
from cosmos_pipelines.operate.place_looks import look_at_place
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.operations import Order
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import Settings
from tests.support.project import settings_in, write_video
from tests.support.sshd import Sshd

NAME = "ssh_plain"
_ids = itertools.count(1)

_START = """
jobs=$1 name=$2 order=$3 project=$4; shift 4
mkdir -p -- "$jobs" && mkdir -- "$jobs/$name" || exit 1
printf '%s %s %s' "$order" "$project" "$(date +%s)" >"$jobs/$name/facts"
setsid "$@" </dev/null >/dev/null 2>"$jobs/$name/words" 9>&- &
pid=$! looks=0
until kill -s 0 -- "-$pid" 2>/dev/null || [ "$looks" -ge 200 ]; do
    looks=$((looks + 1)); sleep 0.01 # it has a group of its own once setsid has made one
done
echo "$pid" >"$jobs/$name/pid"
"""
_STATE = """
job=$1/$2
if [ ! -e "$job/pid" ]; then
    if [ -e "$job" ]; then echo created; else echo absent; fi
elif kill -s 0 -- "-$(cat "$job/pid")" 2>/dev/null; then echo running; else echo ended; fi
"""
_LOOK = f"""
state() {{ {_STATE} }}
found=$(state "$1" "$2")
[ "$found" != absent ] || {{ echo "no such job: $2" >&2; exit 1; }}
printf '%s %s' "$found" "$(cat "$1/$2/facts")"
"""
_SIGNAL = 'kill -s "$3" -- "-$(cat "$1/$2/pid")"'
_STOP = """
pid=$(cat "$1/$2/pid") looks=0
kill -s TERM "$pid"
while kill -s 0 -- "-$pid" 2>/dev/null && [ "$looks" -lt "$3" ]; do
    looks=$((looks + 1)); sleep 0.1
done
kill -s KILL -- "-$pid" 2>/dev/null || :
"""
_WAIT = 'while kill -s 0 -- "-$(cat "$1/$2/pid")" 2>/dev/null; do sleep 0.05; done'
_RUNNING = f"""
state() {{ {_STATE} }}
for job in "$1"/*; do
    [ ! -e "$job/facts" ] || [ "$(cut -d ' ' -f 2 "$job/facts")" != "$2" ] ||
        [ "$(state "$1" "${{job##*/}}")" != running ] || {{ cut -d ' ' -f 1 "$job/facts"; }}
done
"""

_LIST = f"""
state() {{ {_STATE} }}
for job in "$1"/*; do
    [ ! -e "$job/facts" ] || echo "$(state "$1" "${{job##*/}}") $(cat "$job/facts")"
done
"""


class Plain(Carrier):
    """Orders as process groups of a host."""

    noun = "process group"

    def __init__(self, jobs: Path) -> None:
        self.jobs = str(jobs)

    def _sh(self, text: str, *words: str) -> list[str]:
        return ["sh", "-c", text, "plain", self.jobs, *words]

    def name_of(self, order_id: str) -> str:
        return f"plain-{order_id}"

    def needs(self, order: Order) -> list[str]:
        return ["setsid", "--version"]

    def prepare(self, order: Order, host: str, answer: str | None, stderr: str) -> Start:
        if answer is None:
            raise BackendError("launch_failed", f"There is no setsid on {host}: {stderr}")

        def start(places: OrderPaths) -> list[str]:
            folder = self.folder(order.id, places)
            inside = {"run": folder, "scripts": places.scripts, "python": sys.executable}
            env = [f"{k}={v}" for k, v in order.environment(**inside).items()]
            program = ["sh", f"{places.scripts}/run.sh", folder, "--", *order.command(**inside)]
            name = self.name_of(order.id)
            return self._sh(_START, name, order.id, places.project, "env", *env, *program)

        return start

    def look(self, name: str) -> list[str]:
        return self._sh(_LOOK, name)

    def read(self, answer: str) -> Carried:
        state, order_id, _, started = answer.split()
        assert state in ("created", "running", "ended")
        moment = datetime.fromtimestamp(int(started), UTC)
        return Carried(order_id, state, moment)  # type: ignore[arg-type]

    def is_absent(self, stderr: str) -> bool:
        return "no such job" in stderr

    def error(self, host: str, stderr: str, order: Order | None = None) -> BackendError:
        return BackendError("launch_failed", f"On {host}: {stderr}")

    def state(self, name: str) -> list[str]:
        return self._sh(_STATE, name)

    def wait(self, name: str) -> list[str]:
        return self._sh(_WAIT, name)

    def stop(self, name: str, grace_s: float) -> list[str]:
        return self._sh(_STOP, name, str(round(grace_s * 10)))

    def kill(self, name: str) -> list[str]:
        return self._sh(_SIGNAL, name, "KILL")

    def remove(self, name: str) -> list[str]:
        return self._sh('rm -rf -- "$1/$2"', name)

    def words(self, name: str, lines: int = WORDS) -> list[str]:
        return self._sh('tail -n "$3" -- "$1/$2/words"', name, str(lines))

    def running(self, project: str) -> list[str]:
        return self._sh(_RUNNING, project)

    def list_orders(self) -> list[str]:
        return self._sh(_LIST)

    def read_orders(self, answer: str) -> list[ListedOrder]:
        words = [line.split() for line in answer.splitlines()]
        return [ListedOrder(w[1], w[2], w[0]) for w in words]  # type: ignore[arg-type]

    def facts(self, name: str | None) -> Mapping[str, list[str]]:
        return {"processes.txt": ["ps", "-ef"]}

    def examination(
        self, host: str, user: Callable[[], str], ask: Ask, *, needs_gpu: bool
    ) -> CarrierChecks:
        return PlainChecks(ask)


class PlainChecks(CarrierChecks):
    """Is the one program there that it needs?"""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def checks(self) -> list[Check]:
        return [Check("setsid", self._setsid, ("login",), "host")]

    def _setsid(self) -> Finding:
        assert self._ask(["setsid", "--version"]).exit_code == 0
        return ok("setsid is there")

    def rooms(self) -> Mapping[str, str]:
        return {}

    def image(self, engine: str, own: str | None, set_up: str | None) -> tuple[Finding, str | None]:
        return ok("no image is needed"), None


@pytest.fixture
def settings(tmp_path: Path, sshd: Sshd) -> Iterator[Settings]:
    """A project whose orders it carries, with this machine as the host; one line registers it."""
    BACKENDS[NAME] = Kind(carrier=lambda _: Plain(tmp_path / "jobs"))
    text = (
        f'[execution]\nbackend = "{NAME}"\ngrace_s = 3\n[remote]\nhost = "loop"\n'
        f'ssh_config = "{sshd.config}"\nremote_dir = "{tmp_path}/there"\n'
    )
    made = settings_in(tmp_path / "home", text)
    yield made
    OpenSsh.of(made.ssh_target(place_of(made, NAME))).close()
    del BACKENDS[NAME]
    OpenSsh.of.cache_clear()
    shutil.rmtree(tmp_path / "there", ignore_errors=True)


@pytest.fixture
def backend(settings: Settings) -> Iterator[SshBackend]:
    """The host."""
    made = host_backend(settings)
    yield made
    made.close()


def order(*argv: str) -> Order:
    run_id = f"rs_{next(_ids):032x}"
    facts: dict[str, Any] = {"engine": "none", "model_type": "transfer", "inputs": {}}
    return Order(id=run_id, run_ids=(run_id,), argv=argv, expected=(), gpus=0, **facts)


def test_a_run_is_made_verified_and_recorded_as_with_any_other(settings: Settings) -> None:
    for i, name in enumerate(("color", "depth")):
        write_video(settings.inputs / "city" / f"{name}.mp4", seed=40 * i)
    with Catalog.open(settings.catalog_url) as catalog:
        prompt, _ = register_prompt(catalog, settings, "a foggy morning", "city")
        run = enter(catalog, settings, plan_transfer(catalog, settings, prompt.id, {}))
        assert run.backend == NAME
        backend = host_backend(settings)
        (done,) = execute_runs([run.id], catalog=catalog, settings=settings, backend=backend)
        assert (done.status, done.error_message) == ("completed", None)
        assert done.host == "loop"
        assert (settings.home / done.outputs["video"]).is_file()
        assert backend.active() == []
        assert not (settings.home.parent / "there" / "runs" / run.id).exists()
        places = status(catalog, settings)["places"]
        assert [(p["backend"], p["host"], p["problem"]) for p in places] == [(NAME, "loop", None)]
        backend.close()


def test_an_order_is_followed_cancelled_and_found_by_another(
    settings: Settings, backend: SshBackend
) -> None:
    work = order("sh", "-c", "echo once; sleep 60")
    handle = backend.launch(work)
    log = backend.follow(handle)
    assert next(chunk for chunk in log if chunk) == b"once\n"
    other = host_backend(settings)
    found = other.find(work.id)
    assert found is not None
    assert other.launch(work) == found  # at most one start
    assert other.active() == [work.id]
    other.cancel(found)
    assert b"".join(log) == b""
    outcome = backend.outcome(handle)
    assert (outcome.exit_code, outcome.stopped) == (143, "cancelled")
    other.discard(work.id)
    assert backend.find(work.id) is None
    with pytest.raises(BackendError, match="was started before"):
        other.launch(work)
    other.close()


def test_before_its_start_an_order_waits_only_so_long_for_a_host_that_went_away(
    settings: Settings, backend: SshBackend
) -> None:
    first, second = order("sh", "-c", "true"), order("sh", "-c", "true")
    assert not backend.may_have_started(first.id)
    assert backend.launch(first).order_id == first.id
    config = settings.remote.ssh_config
    assert config is not None
    lines = config.read_text()
    backend.close()
    config.write_text(lines.replace("Port ", "Port 1 # "))
    try:
        backend.patience_s = 0.3  # without it: [remote] wait_s, an hour
        with pytest.raises(Unreachable):
            backend.launch(second)
    finally:
        config.write_text(lines)
    assert not backend.may_have_started(second.id)
    assert backend.launch(second).order_id == second.id


def test_doctor_asks_the_carrier_what_it_needs(settings: Settings) -> None:
    found = {checked.name: checked for checked in examine(settings)}
    assert found["setsid"].result == "ok"
    assert found["image"].found == "no image is needed"
    assert "Docker" not in found
    assert found["write access"].result == "ok"


def test_of_orders_that_run_on_other_machines_no_gpu_is_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(settings, NAME)
    assert look_at_place(settings, place).sees_gpus
    monkeypatch.setattr(Plain, "elsewhere", True)
    found = look_at_place(settings, place)
    assert (found.up, found.gpus, found.sees_gpus, found.said) == (True, (), False, None)
