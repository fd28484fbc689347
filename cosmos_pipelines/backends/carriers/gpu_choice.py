"""Which GPUs of a host an order gets: those that no order and no other program uses. Pure.

The host chooses under its lock (`ssh.script.start`), so that two clients never choose the same GPU.
The container that runs is the lease of its GPUs: nothing has to be given back.

The program prints the ids, `0,1`, or fails and prints why, one fact a line:

    used <id> container <name> | used <id> process <pid> <MiB> <user>
    free <id> | absent <id> | known <id> | unasked <what the carrier said>

Sources: `nvidia-smi --help-query-compute-apps` (gpu_uuid, pid, used_gpu_memory: the processes with
a compute context, of all users); HostConfig.DeviceRequests of the Docker Engine API (`Count` -1 is
all GPUs, n the first n; `DeviceIDs` are indices or UUIDs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosmos_pipelines.errors import BackendError, GpusBusy
from cosmos_pipelines.lines import plain

GPUS_LOCK: Final = "/tmp/cosmos-gpus.lock"  # noqa: S108 - see `ssh.gpu_lock`
"""Locked on a host while somebody chooses: in a directory that all its users share."""
MOST: Final = 64
"""Number of lines that are read of a host's answer."""
UNASKED: Final = "unasked "

# Without the program `timeout` a driver that hangs holds the start up until the client gives up.
_CHOOSE: Final = r"""
wanted=$1 only=$2 own=$3
shift 3
ask() { if command -v timeout >/dev/null; then timeout -k 1 20 nvidia-smi "$@"; else nvidia-smi "$@"; fi; }
held=$("$@" 2>&1) || { printf 'unasked %s\n' "$held"; exit 1; }
{
    ask --query-gpu=index,uuid --format=csv,noheader 2>/dev/null | sed 's/^/gpu, /'
    ask --query-compute-apps=gpu_uuid,pid,used_gpu_memory --format=csv,noheader,nounits 2>/dev/null |
        while IFS=', ' read -r uuid pid mib rest; do
            case $pid in
            '' | *[!0-9]*) user= ;;
            *) user=$(stat -c %U -- "/proc/$pid" 2>/dev/null) ;;
            esac
            printf 'app, %s, %s, %s, %s\n' "$uuid" "$pid" "$mib" "$user"
        done
    printf '%s\n' "$held" | sed 's/^/held, /'
} | awk -F', *' -v wanted="$wanted" -v only="$only" -v own="$own" '
function id_of(word) { return word in index_of ? index_of[word] : word }
function take(id, by) { if (!(id in user)) user[id] = by }
$1 == "gpu" && $2 ~ /^[0-9]+$/ { order[++n] = $2; index_of[$3] = $2; there[$2] = 1 }
$1 == "app" && $2 != "" { app[++apps] = $2; by[apps] = "process " $3 " " $4 " " $5 }
$1 == "held" && $3 ~ /^(-?[0-9]+:[^;:]*;)+$/ {
    sub(/^\//, "", $2)
    if ($2 != own) { name[++holders] = $2; request[holders] = $3 }
}
END {
    if (only != "" && only != "all") {
        words = split(only, word, ",")
        for (i = 1; i <= words; i++) {
            id = id_of(word[i])
            if (n && !(id in there) && id !~ /^MIG-/) { print "absent " word[i]; wrong = 1 }
            if (!(id in named)) { may[++m] = id; named[id] = 1 }
        }
    } else if (n) { for (i = 1; i <= n; i++) may[++m] = order[i] }
    else { for (i = 0; i < wanted; i++) may[++m] = i } # nvidia-smi does not say which there are
    if (wrong || m < wanted) {
        for (i = 1; i <= (wrong ? n : m); i++) print "known " (wrong ? order[i] : may[i])
        exit 1
    }
    for (i = 1; i <= holders; i++) {
        asked = split(request[i], piece, ";")
        for (j = 1; j <= asked; j++) {
            split(piece[j], half, ":")
            ids = split(half[2], id_word, "/")
            for (k = 1; k <= ids; k++) take(id_of(id_word[k]), "container " name[i])
            if (half[1] < 0) for (k = 1; k <= m; k++) take(may[k], "container " name[i])
            for (k = 1; k <= half[1] + 0; k++) take(n ? order[k] : k - 1, "container " name[i])
        }
    }
    for (i = 1; i <= apps; i++) take(id_of(app[i]), by[i])
    for (i = 1; i <= m && got < wanted; i++)
        if (!(may[i] in user)) { chosen = chosen (got++ ? "," : "") may[i] }
    if (got == wanted) { print chosen; exit 0 }
    for (i = 1; i <= m; i++) print (may[i] in user ? "used " may[i] " " user[may[i]] : "free " may[i])
    exit 1
}'
"""  # noqa: E501


def choose_argv(wanted: int, only: str | None, own: str, holders: Sequence[str]) -> list[str]:
    """Return the program that chooses `wanted` GPUs of a host.

    Args:
        only: the GPUs that may be chosen, as `0,1` or UUIDs; None or `all`: every GPU.
        own: the order's own name: an attempt of its start that was cut off holds nothing.
        holders: a program that prints, a line for each running order of every project, the name
            and the GPUs that it was given: `name, <count>:<id>/<id>;`.
    """
    named = "all" if only is None else only.replace(" ", "")
    return ["sh", "-c", _CHOOSE, "cosmos", str(wanted), named, own, *holders]


def refusal(host: str, wanted: int, said: str) -> BackendError:
    """Return why no GPUs were chosen, from what the program of `choose_argv` has printed."""
    facts = [plain(line).split() for line in said.splitlines()[:MOST]]
    absent = [words[1] for words in facts if words[:1] == ["absent"] and len(words) > 1]
    known = [words[1] for words in facts if words[:1] == ["known"] and len(words) > 1]
    there = f"it has {', '.join(known)}" if known else "it has none"
    if absent:
        return BackendError(
            "launch_failed",
            f"{host} has no GPU {', '.join(absent)}: {there}.",
            hint="Correct gpus in cosmos.toml; `nvidia-smi -L` there lists the GPUs.",
        )
    if known:
        return BackendError(
            "launch_failed",
            f"The run needs {wanted} GPUs of {host}, where it may use {len(known)}: "
            f"{', '.join(known)}.",
            hint="Order the run with fewer GPUs, or give it more by gpus in cosmos.toml.",
        )
    users, shown = [], []
    for words in facts:
        if words[:1] == ["used"] and len(words) > 3:
            users.append(" ".join(words[1:4]))
            shown.append(f"GPU {words[1]} is used by {_user(words[2:])}")
    if not users:
        why = plain(said.strip())[:300] or "it printed nothing"
        return BackendError(
            "launch_failed",
            f"{host} could not say which GPUs are free: {why}",
            hint="Run `cosmos doctor`.",
        )
    need = "a free GPU" if wanted == 1 else f"{wanted} free GPUs"
    return GpusBusy(f"{host} does not have {need} now: {'; '.join(shown)}.", tuple(users))


def _user(words: Sequence[str]) -> str:
    kind, name, *more = words
    if kind != "process":
        return f"the {kind} {name}"
    memory = f", {more[0]} MiB" if more and more[0].isdecimal() else ""
    whose = f" of {more[1]}" if len(more) > 1 else ""
    return f"the process {name}{whose}{memory}"
