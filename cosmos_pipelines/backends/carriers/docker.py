"""The carrier that runs orders as Docker containers. Pure: see `Carrier`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, Final

from cosmos_pipelines.backends.carriers.base import (
    WORDS,
    Ask,
    Carried,
    Carrier,
    ListedOrder,
    OrderPaths,
    Start,
    State,
)
from cosmos_pipelines.backends.carriers.container import (
    IMAGE_LABEL,
    ORDER_LABEL,
    PROJECT_LABEL,
    RUN,
    RUNS_LABEL,
    container_name,
    image_of,
    spec_of,
)
from cosmos_pipelines.backends.carriers.docker_checks import DockerChecks
from cosmos_pipelines.backends.carriers.gpu_choice import UNASKED, choose_argv, refusal
from cosmos_pipelines.backends.run_folder import can_be_order
from cosmos_pipelines.errors import BackendError, InputError, NotUnderstood, Unreachable
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.operations.base import OWN_CHECKPOINT, Order
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import (
    ALIVE,
    STATUSES,
    Container,
    Image,
    parse_images,
    parse_inspect,
    parse_time,
)
from cosmos_pipelines.remote.docker.problems import parse_problem
from cosmos_pipelines.settings import Docker

LAST_LINES: Final = 200
"""Number of last lines of a container's log that are kept to explain a failure."""

_NO_PROCESS: Final = re.compile(r"(?i)cannot fork|fork: |failed to create new OS thread|newosproc")
"""What sh, bash and Docker's client (Go) print where the login user may start no more processes."""

_STATE: Final = """
if found=$("$@" 2>/dev/null); then
    # a client or its wrapper may print warnings as well
    words='created|running|paused|restarting|removing|exited|dead'
    case $(printf '%s\n' "$found" | grep -xE "$words") in
        created) echo created ;;
        running | paused | restarting) echo running ;;
        removing | exited | dead) echo ended ;;
        *) echo "Docker named the state $found" >&2; exit 1 ;;
    esac
else
    found=$("$@" 2>&1 >/dev/null)
    case $found in *"o such container"*) echo absent ;; *) echo "$found" >&2; exit 1 ;; esac
fi
"""
"""Of standard error only a failure is read: a client may warn there of its own settings."""


def _json_list(*values: str) -> str:
    """A template that prints values as a JSON list in one line, whatever characters they have."""
    return f"[{','.join(f'{{{{json {value}}}}}' for value in values)}]"


_LIST: Final = """
format=$1; shift
ids=$("$@") || exit 1
[ -n "$ids" ] || exit 0
if listed=$(docker container inspect "--format=$format" -- $ids 2>/dev/null); then
    printf '%s\\n' "$listed"
    exit 0
fi
for id in $ids; do # one of them was removed meanwhile, or the daemon has ended
    docker container inspect "--format=$format" -- "$id" 2>/dev/null && continue
    said=$(docker container inspect "--format=$format" -- "$id" 2>&1 >/dev/null)
    case $said in *"o such container"*) ;; *) echo "$said" >&2; exit 1 ;; esac
done
"""
"""Prints a line for each container; one that is removed meanwhile is left out."""
_LISTED: Final = _json_list(
    ".Name",
    *(f'(index .Config.Labels "{x}")' for x in (ORDER_LABEL, PROJECT_LABEL, RUNS_LABEL)),
    ".State.Status",
    ".State.FinishedAt",
)
_HOLDING: Final = r"""
listed=$("$@") || exit 1
printf '%s\n' "$listed" | while read -r state id ago; do
    case "$state $ago" in
    running* | paused* | restarting* | created*second*) echo "$id" ;;
    esac
done
"""
"""Prints the ids of containers that run or are being started: created less than a minute ago."""
_GIVEN: Final = (
    '{{.Name}}, {{range .HostConfig.DeviceRequests}}{{.Count}}:{{join .DeviceIDs "/"}};{{end}}'
)
_ACTIVE: Final = _json_list(".Names", f'(.Label "{ORDER_LABEL}")')


class DockerCarrier(Carrier):
    """Runs orders as Docker containers, as set in `[docker]` of the settings."""

    noun: ClassVar[str] = "container"
    remembers: ClassVar[bool] = True

    def __init__(self, containers: Docker) -> None:
        self.containers = containers

    def name_of(self, order_id: str) -> str:
        """See `Carrier.name_of`."""
        return container_name(order_id)

    def folder(self, order_id: str, places: OrderPaths) -> str:  # noqa: ARG002
        """See `Carrier.folder`: the run folder is mounted."""
        return RUN

    def needs(self, order: Order) -> list[str]:
        """See `Carrier.needs`: the image."""
        return docker.image_argv(self._image(order))

    def prepare(self, order: Order, host: str, answer: str | None, stderr: str) -> Start:
        """See `Carrier.prepare`."""
        if images := parse_images(answer or ""):
            return partial(self._start, order, images[0])
        problem = parse_problem(stderr)
        if problem.kind == "no_image":
            wanted = self._image(order)
            raise BackendError(
                "launch_failed", f"The image {wanted} is not on {host}.", hint=problem.hint
            )
        raise self.error(host, stderr)

    def _start(self, order: Order, image: Image, places: OrderPaths) -> list[str]:
        return docker.run_argv(spec_of(order, self.containers, image, places))

    def choose_gpus(self, order: Order) -> list[str] | None:
        """See `Carrier.choose_gpus`: those of `[docker] gpus` that no container was given."""
        if not order.gpus:
            return None
        listed = docker.ps_argv({ORDER_LABEL: None}, shown="{{.State}} {{.ID}} {{.RunningFor}}")
        holding = ["sh", "-c", _HOLDING, "cosmos", *listed]
        holders = ["sh", "-c", _LIST, "cosmos", _GIVEN, *holding]
        return choose_argv(order.gpus, self.containers.gpus, self.name_of(order.id), holders)

    def gpus_refused(self, order: Order, host: str, said: str) -> BackendError:
        """See `Carrier.gpus_refused`."""
        if said.startswith(UNASKED):
            return self.error(host, said.removeprefix(UNASKED), order)
        return refusal(host, order.gpus, said)

    def _image(self, order: Order) -> str:
        return image_of(self.containers, order.engine, order.image)

    def look(self, name: str) -> list[str]:
        """See `Carrier.look`."""
        return docker.inspect_argv(name)

    def read(self, answer: str) -> Carried:
        """See `Carrier.read`."""
        containers = parse_inspect(answer)
        if len(containers) != 1:
            raise BackendError(
                "launch_failed", f"Docker named {len(containers)} containers, not one."
            )
        found = containers[0]
        marks = {"container_id": found.id, "container_name": found.name}
        if digest := found.labels.get(IMAGE_LABEL):
            marks["image_digest"] = digest
        return Carried(
            order_id=found.labels.get(ORDER_LABEL),
            state=_state_of(found),
            started_at=found.started_at,
            out_of_memory=found.oom_killed,
            marks=marks,
            gpus=found.gpus,
        )

    def is_absent(self, stderr: str) -> bool:
        """See `Carrier.is_absent`."""
        return parse_problem(stderr).kind == "no_container"

    def error(self, host: str, stderr: str, order: Order | None = None) -> BackendError:
        """See `Carrier.error`: a daemon that does not answer, or not to this user, may do later."""
        problem = parse_problem(stderr)
        if problem.kind == "daemon_down" or not stderr.strip():
            return Unreachable(host, f"Docker on {host}: {problem.message}", hint=problem.hint)
        refused = problem.error(host)
        if problem.kind == "not_permitted" or (
            problem.kind == "other" and _NO_PROCESS.search(stderr)
        ):
            return NotUnderstood(host, refused.message, hint=refused.hint)
        if order is not None and order.directories and "bind source path" in refused.message:
            bring = f"Set the host up: `cosmos host setup {order.engine}`."
            own = [d.source for d in order.directories if d.name == OWN_CHECKPOINT]
            if own and own[0] in refused.message:
                bring = f"Set checkpoint in [{order.engine}] of cosmos.toml to a path on {host}."
            return BackendError(refused.kind, refused.message, hint=bring)
        return refused

    def state(self, name: str) -> list[str]:
        """See `Carrier.state`."""
        return ["sh", "-c", _STATE, "cosmos", *docker.state_argv(name)]

    def wait(self, name: str) -> list[str]:
        """See `Carrier.wait`."""
        return docker.wait_argv(name)

    def stop(self, name: str, grace_s: float) -> list[str]:
        """See `Carrier.stop`."""
        return docker.stop_argv(name, round(grace_s))

    def kill(self, name: str) -> list[str]:
        """See `Carrier.kill`."""
        return docker.kill_argv(name)

    def remove(self, name: str) -> list[str]:
        """See `Carrier.remove`."""
        return docker.rm_argv(name)

    def words(self, name: str, lines: int = WORDS) -> list[str]:
        """See `Carrier.words`."""
        return docker.logs_argv(name, tail=lines)

    def running(self, project: str) -> list[str]:
        """See `Carrier.running`."""
        return docker.ps_argv({PROJECT_LABEL: project}, running=True, shown=_ACTIVE)

    def read_running(self, answer: str) -> list[str]:
        """See `Carrier.read_running`; a container with our labels and another name is not ours."""
        words = [found for line in answer.splitlines() if (found := _texts(line, 2))]
        return [order for names, order in words if self._is_of(order, names)]

    def _is_of(self, order_id: str, names: str) -> bool:
        """Whether a container of these names is an order's; images hand their labels down."""
        return can_be_order(order_id) and self.name_of(order_id) in names.lstrip("/").split(",")

    def list_orders(self) -> list[str]:
        """See `Carrier.list_orders`."""
        return ["sh", "-c", _LIST, "cosmos", _LISTED, *docker.ps_argv({ORDER_LABEL: None})]

    def read_orders(self, answer: str) -> list[ListedOrder]:
        """See `Carrier.read_orders`."""
        orders = []
        for line in answer.splitlines():
            words = _texts(line, 6)
            if words is None or not self._is_of(words[1], words[0]):
                orders.append(ListedOrder("", "", "running"))  # of somebody: nothing is known of it
                continue
            _, order_id, project, runs, status, finished = words
            state = _state_named(status) if status in STATUSES else "running"  # it may be
            ended_at = parse_time(finished) if state == "ended" else None
            run_ids = tuple(run for run in runs.split(",") if run)
            orders.append(ListedOrder(order_id, project, state, ended_at, run_ids))
        return orders

    def marks(self, name: str, carried: Carried | None) -> Mapping[str, str]:
        """See `Carrier.marks`."""
        return carried.marks if carried else {"container_name": name}

    def facts(self, name: str | None) -> Mapping[str, list[str]]:
        """See `Carrier.facts`."""
        asked = {"docker.json": docker.info_argv()}
        if name is not None:
            asked["container.json"] = docker.inspect_argv(name)
            asked["container_log.txt"] = docker.logs_argv(name, tail=LAST_LINES)
        return asked

    def examination(
        self, host: str, user: Callable[[], str], ask: Ask, *, needs_gpu: bool
    ) -> DockerChecks:
        """See `Carrier.examination`."""
        return DockerChecks(self.containers, host, user, ask, needs_gpu=needs_gpu)


def _texts(line: str, number: int) -> list[str] | None:
    """Return the texts that a line of `_json_list` has; None if it has others."""
    try:
        found = parse_json(line, "a line of Docker")
    except InputError:
        return None
    sound = isinstance(found, list) and len(found) == number
    return found if sound and all(isinstance(text, str) for text in found) else None


def _state_of(container: Container) -> State:
    return _state_named(container.status)


def _state_named(status: str) -> State:
    if status == "created":
        return "created"
    return "running" if status in ALIVE else "ended"
