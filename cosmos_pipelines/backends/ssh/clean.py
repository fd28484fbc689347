"""What ended orders have left on a host, and the removal of what no order uses any more.

Nothing here follows a link below `remote_dir`. An order that is being launched while its inputs or
scripts are removed gets them again: see `launch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, cast, get_args

from cosmos_pipelines.backends.base import KeptOrder, SweptFile, SweptKind
from cosmos_pipelines.backends.carriers.base import ListedOrder
from cosmos_pipelines.backends.ssh.folder import Answer, HostFolder
from cosmos_pipelines.backends.ssh.host_shell import script
from cosmos_pipelines.foreign import whole

SWEEP_S: Final = 600.0
"""Seconds that a host may take to measure and remove files."""
DAY_S: Final = 24 * 3600
"""Scripts and unfinished files are kept for this long at least: a transfer may be continued."""

_RUN_ID: Final = re.compile(r"rs_[0-9a-f]{32}")

# A line for each run folder: its last change, its size without the inputs, its runs, its name.
# Only the record's own key begins its line with one space: texts in it are JSON strings.
_LIST: Final = """
clock
answer orders list_orders
folders() {
    cd -- "$1/runs" 2>/dev/null || return 0
    for name in *; do
        [ -d "$name" ] && [ ! -L "$name" ] || continue
        changed=$(stat -c %Y -- "$name" "$name/run.log" "$name/exit_code" 2>/dev/null |
            sort -n | tail -n 1)
        all=$(du -sk -- "$name" 2>/dev/null | cut -f 1)
        links=$(du -sk -- "$name/inputs" 2>/dev/null | cut -f 1)
        runs=$(sed -n '/^ "run_ids": \\[/,/\\]/p' "$name/order.json" 2>/dev/null |
            tr -cd 'rs_0-9a-f,' | head -c 40000)
        printf '%s %s %s %s\\n' "${changed:-0}" "$((${all:-0} - ${links:-0}))" "$runs," "$name"
    done
}
part folders "$(folders "$1")"
"""

# `used`: the last change of a file's links, thus the last launch or removal of a run folder.
_SWEEP: Final = """
cd -- "$1" 2>/dev/null || { part swept ""; exit 0; }
root=$(pwd -P) older=$2 day=$3 current=$4 dry=$5
now=$(date +%s)
enter() { cd -- "$root/$1" 2>/dev/null; }
old() { [ $((now - $1)) -ge "$2" ]; }
gone() { # KIND BYTES NAME PATH: remove PATH and say what it was; `-`: it could not be removed
    [ -n "$dry" ] || rm -rf -- "$4" 2>/dev/null || set -- "-$1" "$2" "$3"
    printf '%s %s %s\\n' "$1" "$2" "${3#./}"
}
size() { kib=$(du -sk -- "$1" 2>/dev/null | cut -f 1); echo $((${kib:-0} * 1024)); }
inputs() {
    enter cas || return 0
    find . -mindepth 1 -maxdepth 1 -type f -exec stat -c '%Z %Y %h %s %n' -- {} + |
    while read -r used written links bytes name; do
        kind=inputs
        case $name in
            *.part) kind=unfinished; old "$written" "$day" || continue ;;
            *) [ "${#name}" -eq 66 ] && [ "$links" -eq 1 ] && old "$used" "$older" || continue ;;
        esac
        gone "$kind" "$bytes" "$name" "$name"
    done
}
scripts() {
    enter scripts || return 0
    for name in [0-9a-f]*; do
        [ -d "$name" ] && [ ! -L "$name" ] && [ "${#name}" -eq 16 ] || continue
        [ "$name" != "$current" ] && old "$(stat -c %Y -- "$name")" "$day" || continue
        bytes=$(size "$name")
        aside=$name
        if [ -z "$dry" ] && mv -T -- "$name" ".$name.gone.part" 2>/dev/null; then
            aside=.$name.gone.part # whoever looks for the scripts finds all of them, or none
        fi
        gone scripts "$bytes" "$name" "$aside"
    done
}
unfinished() {
    for place in cas/.incoming scripts runs; do
        enter "$place" || continue
        for name in .*.part *; do
            [ -d "$name" ] && [ ! -L "$name" ] || continue
            case $place/$name in cas/* | */.*.part) ;; *) continue ;; esac
            old "$(stat -c %Y -- "$name")" "$day" || continue
            gone unfinished "$(size "$name")" "$name" "$name"
        done
    done
}
part swept "$(inputs; unfinished; [ -z "$current" ] || scripts)"
"""


def list_kept(host: HostFolder, project: str) -> list[KeptOrder]:
    """Return the ended orders on a host that have a run folder or belong to a project's containers.

    Raises:
        BackendError: the carrier cannot be asked.
        Unreachable: see `Connection`.
    """
    answer = _ask(host, _LIST, host.remote_dir)
    listed = {order.order_id: order for order in _listed(host, answer)}
    now = float(answer.part("now"))
    kept = {}
    for order_id, changed, size, run_ids in _folders(answer):
        order = listed.get(order_id)
        if order is not None and (order.state != "ended" or order.project != project):
            continue
        kept[order_id] = KeptOrder(order_id, run_ids, max(0.0, now - changed), size)
    for order_id, order in listed.items():
        if order.state == "ended" and order.project == project and order_id not in kept:
            idle_s = max(0.0, now - order.ended_at.timestamp()) if order.ended_at else 0.0
            kept[order_id] = KeptOrder(order_id, order.run_ids, idle_s, 0)
    return list(kept.values())


def sweep(host: HostFolder, older_s: float, scripts: str, *, dry_run: bool) -> list[SweptFile]:
    """Remove inputs, scripts and unfinished files of a host that no order uses; return them.

    `scripts`: the name of the present scripts. Scripts stay while any project's order runs.
    """
    asked = _ask(host, "\nclock\nanswer orders list_orders\n", host.remote_dir)
    runs = any(order.state in ("created", "queued", "running") for order in _listed(host, asked))
    older, day = str(int(older_s)), str(int(max(older_s, DAY_S)))
    words = [older, day, "" if runs else scripts, "dry" if dry_run else ""]
    return list(_swept(_ask(host, _SWEEP, host.remote_dir, *words)))


def _ask(host: HostFolder, text: str, *words: str) -> Answer:
    argv = script(text, *words, list_orders=host.carrier.list_orders())
    return host.ask(argv, timeout_s=SWEEP_S)


def _listed(host: HostFolder, answer: Answer) -> list[ListedOrder]:
    if "orders" not in answer.parts:
        raise host.carrier.error(host.host, answer.parts.get("no_orders", ""))
    return host.carrier.read_orders(answer.parts["orders"])


def _folders(answer: Answer) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
    """Yield the name, the last change, the bytes and the runs of each run folder."""
    for line in answer.part("folders").splitlines():
        words = line.split(" ", 3)
        if len(words) < 4 or not words[3]:  # the rest of a name with a line break: not ours
            continue
        changed, kib, runs, name = words
        run_ids = tuple(_RUN_ID.findall(runs))
        yield name, whole(changed) or 0, 1024 * (whole(kib) or 0), run_ids


def _swept(answer: Answer) -> Iterator[SweptFile]:
    for line in answer.part("swept").splitlines():
        word, size, name = line.split(" ", 2)
        if (kind := word.removeprefix("-")) in get_args(SweptKind):
            problem = f"{name} cannot be removed there." if word != kind else None
            yield SweptFile(cast(SweptKind, kind), name, whole(size) or 0, problem)
