"""The job of an order: the options of sbatch, and the script that a node executes. Pure.

Facts: Slurm's sbatch(1) and gres(7); Pyxis' README; `apptainer exec --help`. SLURM_JOB_GPUS has
the node's own numbers of the GPUs, also where CUDA_VISIBLE_DEVICES counts anew from 0.
"""

from __future__ import annotations

import math
import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from cosmos_pipelines.backends.carriers.base import OrderPaths
from cosmos_pipelines.backends.carriers.container import (
    RUN,
    SCRIPTS,
    container_name,
    environment_in,
    spec_of,
)
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import Image
from cosmos_pipelines.settings import Docker
from cosmos_pipelines.settings_hosts import Slurm

NOT_SHARED: Final = 73
"""The exit code of a job whose node does not have `remote_dir`."""
NOT_WANTED: Final = 75
"""The exit code of a job that was started again, or whose order was removed."""

# `mine` fails only for what was really read: a disk that does not answer ends nothing.
_SCRIPT: Final = """#!{shell}
root={root} name={name} job={job} beat={beat} run={run}
cd -- "$root" 2>/dev/null && [ -d slurm ] || exit 73
record=slurm/$name
mine() {{
    [ ! -e "$run/slurm_end" ] && [ ! -e "$run/slurm_kill" ] || return 1
    if [ -e "$record" ]; then
        now=$(sed -n 1p "$record" 2>/dev/null) && [ -n "$now" ] && [ "$now" != "$job" ] && return 1
    else
        ls slurm >/dev/null 2>&1 && [ ! -e "$record" ] && return 1
    fi
    return 0
}}
[ "$(sed -n 1p "$record" 2>/dev/null)" = "$job" ] && mine && [ ! -e "$run/pid" ] || exit 75
# Its own number, in case the answer of sbatch was lost.
[ -n "$(sed -n 5p "$record")" ] || printf '%s\n' "$SLURM_JOB_ID" >>"$record"
exec >>"$run/start.log" 2>&1
{before}
child= asked=
trap 'asked=1; [ -z "$child" ] || kill -TERM "$child"' TERM INT
beats() {{ # while the program lives, also if this script was killed
    told= nap=
    trap 'kill $nap 2>/dev/null; exit 0' TERM INT # no process is left to hold the job's GPUs
    while kill -0 "$child" 2>/dev/null; do
        touch -- "$run/beat" 2>/dev/null
        if ! mine; then
            kill -TERM "$child" 2>/dev/null
            {kill}
            sleep 3
            rm -f -- "$run/beat"
            kill -KILL 0
        fi
        if [ -z "$told" ] && [ -e "$run/stop" ]; then
            told=1
            kill -TERM "$child" 2>/dev/null
        fi
        sleep "$beat" &
        nap=$!
        wait "$nap"
    done
    rm -f -- "$run/beat"
}}
{program} &
child=$!
beats </dev/null &
heart=$!
[ -z "$asked" ] || kill -TERM "$child"
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
done
kill "$heart" 2>/dev/null
{after}
rm -f -- "$run/beat"
exit "$code"
"""

# The client of Docker may be killed alone: its container sees the end of its standard input then.
_WITH_CLIENT: Final = """\
exec 3<&0; { cat <&3 >/dev/null; kill -KILL -1; } & exec /bin/sh "$@" 3<&-"""


def options_of(order: Order, slurm: Slurm, limit_s: float) -> list[str]:
    """Return the options of sbatch; `limit_s`: after how many seconds Slurm ends the job."""
    given = {
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "mem": slurm.memory,
        "cpus-per-task": slurm.cpus,
    }
    kind = f":{slurm.gpu_type}" if slurm.gpu_type else ""
    return [
        *("--no-requeue", "--nodes=1", "--ntasks=1", "--chdir=/"),
        *("--output=/dev/null", "--error=/dev/null"),
        *([f"--gres=gpu{kind}:{order.gpus}"] if order.gpus else []),
        f"--time={math.ceil(limit_s / 60)}",
        *(f"--{name}={value}" for name, value in given.items() if value is not None),
        *slurm.options,
    ]


def script_of(
    order: Order, slurm: Slurm, containers: Docker, image: str, places: OrderPaths, *,
    token: str, beat_s: int,
) -> str:  # fmt: skip
    """Return the script of an order's job; `token`: of this start."""
    name = container_name(order.id)
    program, after, kill = _program(order, slurm, containers, image, places)
    return _SCRIPT.format(
        shell="/bin/bash -l" if slurm.before else "/bin/sh",
        root=shlex.quote(places.root),
        name=shlex.quote(name),
        job=shlex.quote(f"{name}.{token}"),
        beat=beat_s,
        run=shlex.quote(f"{places.root}/runs/{order.id}"),
        before="\n".join(slurm.before),
        program=program,
        after=after or ":",
        kill=kill or ":",
    )


def _program(
    order: Order, slurm: Slurm, containers: Docker, image: str, places: OrderPaths
) -> tuple[str, str, str]:
    """Return the command of run.sh, and commands for after its end and to end it at once."""
    if slurm.images == "docker":
        name = shlex.quote(container_name(order.id))
        command = _in_docker(order, containers, image, places)
        return command, "", f"docker kill {name} >/dev/null 2>&1"
    if slurm.images == "pyxis":
        return _in_pyxis(order, slurm, containers, image, places), "", ""
    if slurm.images == "apptainer":
        return _in_apptainer(order, containers, image, places), 'rm -rf -- "$tmp"', ""
    return shlex.join(_words(order, containers, places, inside=False)), "", ""


def _words(order: Order, containers: Docker, places: OrderPaths, *, inside: bool) -> list[str]:
    """Return run.sh with the order's command and environment; `inside`: in a container."""
    run = RUN if inside else f"{places.root}/runs/{order.id}"
    scripts = SCRIPTS if inside else places.scripts
    names = {"run": run, "scripts": scripts, "python": containers.python}
    for d in order.directories:
        names[d.name] = d.target if inside else posixpath.join(places.root, d.source)
    env = order.environment(**names)
    env = environment_in(env, containers) if inside else {**containers.env, **env}
    return [
        "env",
        *(f"{key}={value}" for key, value in sorted(env.items())),
        *("/bin/sh", f"{scripts}/run.sh", run, "--", *order.command(**names)),
    ]


def _mounts(
    order: Order, containers: Docker, places: OrderPaths
) -> Iterator[tuple[str, str, bool]]:
    """Yield source, target and whether it is read only."""
    folder = f"{places.root}/runs/{order.id}"
    yield folder, RUN, False
    if order.inputs:
        yield f"{folder}/inputs", f"{RUN}/inputs", True
    yield places.scripts, SCRIPTS, True
    for d in order.directories:
        yield posixpath.join(places.root, d.source), d.target, False
    for mount in containers.mounts:
        source, target, *mode = mount.split(":")
        yield source, target, mode == ["ro"]


def _in_docker(order: Order, containers: Docker, image: str, places: OrderPaths) -> str:
    spec = spec_of(order, containers, Image(image, (), 0), places)
    spec = replace(spec, gpus=None, argv=("-c", _WITH_CLIENT, "sh", *spec.argv))
    run, detach, *words = docker.run_argv(spec)[1:]
    assert (run, detach) == ("run", "--detach")
    gpus = '--gpus "\\"device=${SLURM_JOB_GPUS:-$CUDA_VISIBLE_DEVICES}\\"" ' if order.gpus else ""
    return f"tail -f /dev/null | docker run --rm --interactive {gpus}{shlex.join(words)}"


def _in_pyxis(
    order: Order, slurm: Slurm, containers: Docker, image: str, places: OrderPaths
) -> str:
    mounts = ",".join(
        f"{source}:{target}{':ro' if read_only else ''}"
        for source, target, read_only in _mounts(order, containers, places)
    )
    return shlex.join([
        *("srun", "--export=ALL", "--ntasks=1", "--kill-on-bad-exit=0"),
        *([f"--cpus-per-task={slurm.cpus}"] if slurm.cpus else []),
        f"--container-image={image}",
        f"--container-mounts={mounts}",
        *(f"--container-workdir={RUN}", "--no-container-mount-home", "--no-container-entrypoint"),
        *_words(order, containers, places, inside=True),
    ])  # fmt: skip


def _in_apptainer(order: Order, containers: Docker, image: str, places: OrderPaths) -> str:
    # /tmp of --containall has 64 MB; the environment of the job is not passed on
    binds = [
        word
        for source, target, read_only in _mounts(order, containers, places)
        for word in ("--bind", f"{source}:{target}{':ro' if read_only else ''}")
    ]
    words = _words(order, containers, places, inside=True)
    gpus = '"CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES" ' if order.gpus else ""
    start = ["apptainer", "exec", *(["--nv"] if order.gpus else []), "--containall"]
    start += ["--writable-tmpfs", "--pwd", RUN, *binds]
    return (
        'tmp=$(mktemp -d "${TMPDIR:-/tmp}/cosmos.XXXXXX") || exit 1\n'
        f'{shlex.join(start)} --bind "$tmp:/tmp" {shlex.quote(image)} '
        f"env {gpus}{shlex.join(words[1:])}"
    )
