#!/bin/sh
# Execute an order and write its record into the run folder: the contract with the GPU side.
#
#   run.sh RUN_DIR -- PROGRAM [ARGUMENT...]
#
# RUN_DIR/run.log      the program's output, appended at once
# RUN_DIR/pid          "<pid> <start time in clock ticks> <boot id> <PID and time namespace>"; also the
#                      start lock
# RUN_DIR/boot_id      id of this machine's boot
# RUN_DIR/result.json  exit code, times, and name, SHA-256 and size of every file below outputs/
# RUN_DIR/exit_code    written last: if it exists, the files above are complete and on the disk
#
# An order is started at most once: a second start exits with 64 and changes nothing. This script
# sends TERM and INT on to the program, waits for its end and records it. The script's exit code is
# the program's (128 + n if signal n ended it, 127 if it does not exist, 126 if it cannot run).
# The program starts in RUN_DIR, or in COSMOS_CWD, with COSMOS_RUN_DIR and COSMOS_SCRIPTS set.
# Needs a POSIX shell (dash, bash or busybox) and sha256sum.

LC_ALL_OF_PROGRAM=${LC_ALL-unset}
LC_ALL=C
export LC_ALL

refuse() {
    printf 'run.sh: %s\n' "$1" >&2
    exit 64
}

[ "$#" -ge 3 ] && [ "$2" = -- ] || refuse 'usage: run.sh RUN_DIR -- PROGRAM [ARGUMENT...]'
SCRIPTS=$(cd -- "$(dirname -- "$0")" && pwd -P) || refuse "no directory of scripts: $0"
RUN=$(cd -- "$1" 2>/dev/null && pwd -P) || refuse "no such run folder: $1"
shift 2
cd -- "$RUN" || refuse "no such run folder: $RUN"
COSMOS_RUN_DIR=$RUN COSMOS_SCRIPTS=${COSMOS_SCRIPTS:-$SCRIPTS} PYTHONUNBUFFERED=1
PYTHONDONTWRITEBYTECODE=1 # the scripts stay as they were sent
export COSMOS_RUN_DIR COSMOS_SCRIPTS PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE

child=
asked=
stopped=
interrupted=
# shellcheck disable=SC2329 # a trap calls it
pass_on() {
    stopped=1
    interrupted=1
    [ -z "$child" ] || ask
}
# A background job of a shell ignores INT, hence TERM for both. A child that was forked but is not the
# program yet still has this script's trap and loses the signal (dash): wait until it is the program.
ask() {
    asked=1
    tries=0
    while [ "$tries" -lt 500 ] && same_words "$child" $$; do tries=$((tries + 1)); done
    kill -TERM "$child" 2>/dev/null
}
same_words() { [ "$(cat "/proc/$1/cmdline")" = "$(cat "/proc/$2/cmdline")" ]; } 2>/dev/null
trap pass_on TERM INT
trap '' HUP

start_ticks() { # field 22 of /proc/PID/stat; the name in field 2 may hold blanks
    read -r stat <"/proc/$1/stat" || return
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    echo "${20}"
}

namespace() { # PID KIND: its number; 0 if this kernel has no such namespaces
    name=$(readlink "/proc/$1/ns/$2" 2>/dev/null) || name=
    name=${name#*:\[} name=${name%]}
    echo "${name:-0}"
}

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

sync_file() { sync -- "$1" 2>/dev/null || sync; }

replace() { # NAME: write standard input to the file, whole or not at all
    cat >"$1.part" 2>/dev/null && sync_file "$1.part" && mv -f -- "$1.part" "$1" && return
    rm -f -- "$1.part"
    return 1
}

outputs() { # the files below outputs/ as members of a JSON object; `refused` for a bad name
    [ -d outputs ] || return 0
    find outputs -type f ! -name '*.part' -exec sh -c '
        for path do
            name=${path#outputs/}
            case $name in
            *[!\ -~]* | *\"* | *\\*) echo refused; continue ;;
            esac
            sum=$(sha256sum <"$path") && size=$(wc -c <"$path") || { echo refused; continue; }
            sync -- "$path" 2>/dev/null
            printf "\"%s\":{\"sha256\":\"%s\",\"size\":%d}\n" "$name" "${sum%% *}" "$size"
        done' sh {} +
}

result() { # CODE: the text of result.json
    members=$(outputs)
    refused=$(printf '%s\n' "$members" | grep -c '^refused$')
    members=$(printf '%s\n' "$members" | grep -v '^refused$' | sort | paste -s -d, -)
    printf '{"exit_code":%d,"outputs":{%s},"refused":%d,' "$1" "$members" "$refused"
    printf '"started_at":"%s","ended_at":"%s","boot_id":"%s"}\n' "$started_at" "$(now)" "$boot_id"
}

boot_id=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
started_at=$(now)
: >>run.log || refuse "cannot write in $RUN"
space=$(namespace $$ pid).$(namespace $$ time)
echo "$$ $(start_ticks $$ 2>/dev/null || echo 0) $boot_id $space" >"pid.$$" || refuse "cannot write in $RUN"
# `ln` makes a hard link whole or not at all, and never replaces an existing file.
if ! ln "pid.$$" pid 2>/dev/null; then
    rm -f "pid.$$"
    [ ! -e pid ] || refuse "$RUN was already started"
    refuse "cannot make hard links in $RUN"
fi
rm -f "pid.$$"
exec </dev/null # standard input may be a lock that the starting process holds until here
echo "$boot_id" | replace boot_id
# A reserve for the record on a disk that the program fills.
dd if=/dev/zero of=reserve bs=1024 count=64 2>/dev/null

code=
if [ -z "$stopped" ]; then
    (
        trap - TERM INT HUP
        if [ "$LC_ALL_OF_PROGRAM" = unset ]; then unset LC_ALL; else LC_ALL=$LC_ALL_OF_PROGRAM; fi
        cd -- "${COSMOS_CWD:-$RUN}" || exit 126
        exec "$@"
    ) </dev/null >>run.log 2>&1 &
    child=$!
    [ -z "$stopped" ] || [ -n "$asked" ] || ask
    while :; do
        interrupted=
        wait "$child"
        ended=$?
        # 127 from a second wait: the first wait, though interrupted, returned the exit code.
        # bash loses the code if TERM reached the program at the same time, and returns -1.
        [ "$ended" -ge 0 ] || ended=127
        [ -n "$code" ] && [ "$ended" = 127 ] || code=$ended
        [ -n "$interrupted" ] || break
    done
    child= # another process may have its id now
fi
code=${code:-143}
# The program has ended: a signal now could only damage the record.
trap '' TERM INT

text=$(result "$code")
[ -n "$text" ] || exit "$code"
if ! printf '%s\n' "$text" | replace result.json; then
    rm -f reserve
    # Without result.json there is no exit_code either: the run counts as vanished.
    printf '%s\n' "$text" | replace result.json || exit "$code"
    echo 'run.sh: No space left on device' >>run.log
fi
rm -f reserve
sync_file run.log
echo "$code" | replace exit_code
exit "$code"
