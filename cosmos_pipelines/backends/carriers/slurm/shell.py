"""The texts of the Slurm carrier's programs on a login node: POSIX shell. Pure.

What is known of an order's job is in `remote_dir`, which login node and compute nodes share:

slurm/<name>            the job's own name, the project, the order, its runs, Slurm's id of the job
runs/<order>/beat       touched by the job every few seconds; removed when its processes have ended
runs/<order>/slurm_end  what Slurm has said of a job that ended without a record of run.sh
runs/<order>/slurm_kill asks the job to end its processes at once

While a job beats it is not asked for in Slurm: a look costs the cluster nothing. A job's own name
has a token of its start, so that it is found also if the answer of sbatch was lost. Slurm forgets
an ended job (MinJobAge, by default 300 s); where there is accounting, sacct still knows it.
"""

from __future__ import annotations

from typing import Final

COMMON: Final = r"""
root=$1 bin=$2 beat=$3 poll=$4 name=$5; shift 5
[ -z "$bin" ] || PATH=$bin:$PATH
LC_ALL=C; export LC_ALL
unset SQUEUE_ACCOUNT SQUEUE_PARTITION SQUEUE_STATES SQUEUE_NAMES SQUEUE_USERS SQUEUE_FORMAT
cd && [ ! -d "$root" ] || cd -- "$root" || exit 1
of() { record=slurm/$1 run=runs/${1#cosmos-}; }
of "$name"
line() { sed -n "$1p" "$record"; }
word() { printf '%s\n' "$slurm" | tr ' ' '\n' | sed -n "s/^$1=//p" | head -n 1; }
# By the clock of the disk, which stamps the beats too: the clocks of the machines do not count.
# A file of a network disk is opened first: this makes its time be asked for anew.
age() { touch slurm/.now 2>/dev/null; { : <"$1"; } 2>/dev/null; echo $(($(stat -c %Y slurm/.now) - $(stat -c %Y -- "$1"))); }
# Slurm's programs try for minutes (SlurmctldTimeout) to reach a controller that is away.
within() { # SECONDS COMMAND...
    timeout "$@" && return
    code=$?
    [ "$code" -ne 124 ] || echo "Unable to contact slurm controller: no answer in $1 s" >&2
    return "$code"
}
find_job() { # `slurm`: what Slurm knows of the job, empty if it has forgotten it; fails if unknown
    slurm=
    if [ -z "$id" ]; then
        id=$(within 10 squeue -h -t all -n "$job" -o %A) || return 1
        id=$(printf '%s\n' "$id" | tail -n 1)
        case $id in
            '') return 0 ;;
            *[!0-9]*) echo "squeue said $id" >&2; id=; return 1 ;;
        esac
    fi
    if said=$(within 10 scontrol -o show job "$id" 2>&1); then
        slurm=$(printf '%s\n' "$said" | grep '^JobId=' | tail -n 1)
        [ -n "$slurm" ] || { printf '%s\n' "$said" >&2; return 1; }
        [ "$(word JobName)" = "$job" ] || slurm= # Slurm has begun to count anew
        return 0
    fi
    case $said in *"Invalid job id"*) ;; *) printf '%s\n' "$said" >&2; return 1 ;; esac
    slurm=$(within 10 sacct -n -P -X -j "$id" -o JobName,State,ExitCode,NodeList 2>/dev/null |
        awk -F '|' -v job="$job" '$1 == job {
            split($2, state, " "); print "JobState=" state[1] " ExitCode=" $3 " NodeList=" $4 }' |
        tail -n 1)
    forgotten=1
}
decide() { # sets `state`; fails, with a reason, if it is unknown
    slurm= beats= forgotten= job= id=
    [ -e "$record" ] || { state=absent; return 0; }
    job=$(line 1) id=$(line 5)
    ls -- "$run" >/dev/null 2>&1 # makes a network disk look again for files that were missing
    if [ -e "$run/slurm_end" ]; then
        slurm=$(cat -- "$run/slurm_end") state=ended
        return 0
    fi
    if [ -e "$run/exit_code" ]; then
        state=ended
        [ ! -e "$run/stop" ] && [ "$(cat -- "$run/exit_code")" != 0 ] || return 0
        # why it was stopped is known when Slurm has done with it
        if find_job 2>/dev/null && [ "$(age "$run/exit_code")" -le 15 ]; then
            case $(word JobState) in RUNNING | COMPLETING) state=running ;; esac
        fi
        return 0
    fi
    [ ! -e "$run/beat" ] || beats=$(age "$run/beat")
    if [ -n "$beats" ] && [ "$beats" -le $((2 * beat + 1)) ]; then
        state=running
        return 0
    fi
    find_job || return 1
    case $(word JobState) in
        PENDING | CONFIGURING | REQUEUED | REQUEUE_FED | REQUEUE_HOLD | RESV_DEL_HOLD | SPECIAL_EXIT |\
            POWER_UP_NODE | EXPEDITING) state=queued ;;
        RUNNING | COMPLETING | SUSPENDED | STOPPED | SIGNALING | RESIZING | STAGE_OUT) state=running ;;
        "") if [ -z "$id" ]; then state=created; else state=ended; fi ;;
        BOOT_FAIL | CANCELLED | COMPLETED | DEADLINE | FAILED | LAUNCH_FAILED | NODE_FAIL |\
            OUT_OF_MEMORY | PREEMPTED | RECONFIG_FAIL | REVOKED | TIMEOUT) state=ended ;;
        *) [ -n "$forgotten" ] || { echo "Slurm named the state $(word JobState)" >&2; return 1; } ;;
    esac
    [ -z "$forgotten" ] || state=ended
    if [ "$state" = ended ]; then
        case $(word JobState) in
            NODE_FAIL | BOOT_FAIL | "") # the processes of a lost node may live on
                [ -z "$beats" ] || [ "$beats" -gt $((6 * beat)) ] || state=running ;;
        esac
    fi
    # An end that was told stays: a job that comes back ends itself when it sees this.
    [ "$state" != ended ] || [ ! -d "$run" ] || [ -e "$run/exit_code" ] || {
        printf '%s\n' "${slurm:-JobState=UNKNOWN}" >"$run/slurm_end.$$" &&
            mv -f -- "$run/slurm_end.$$" "$run/slurm_end"
    }
    return 0
}
"""  # noqa: E501

START: Final = r"""
project=$1 order=$2 runs=$3 job=$name.$4 script=$5; shift 5
mkdir -p slurm && : >>"$run/run.log" || exit 1 # the log is followed before the job starts
printf '%s\n' "$job" "$project" "$order" "$runs" >"$record.part" &&
    mv -f -- "$record.part" "$record" || exit 1
id=$(unset LC_ALL; printf '%s' "$script" |
    within 60 sbatch --parsable "--job-name=$job" "$@" 2>"$record.said")
code=$? said=$(cat -- "$record.said")
rm -f -- "$record.said"
id=$(printf '%s\n' "$id" | tail -n 1) id=${id%%;*}
case $id in '' | *[!0-9]*) id= ;; esac
if [ "$code" -eq 0 ] && [ -n "$id" ]; then
    printf '%s\n' "$id" >>"$record"
    exit 0
fi
printf '%s\n' "$said" >&2
case $code$said in
    0* | *ontact*controller* | *"timed out"* | *"Zero Bytes"*) ;; # the job may be there: `decide`
    *) rm -f -- "$record" ;;
esac
exit 1
"""

LOOK: Final = r"""
decide || exit 1
[ "$state" != absent ] || { echo "no such job: $name" >&2; exit 1; }
echo "state $state"
echo "order $(line 3)"
echo "job $id"
[ "$state" != running ] || [ ! -e "$run/pid" ] || echo "age $(age "$run/pid")"
[ -z "$slurm" ] || echo "slurm $slurm"
"""

STATE: Final = r"""
decide || exit 1
echo "$state"
"""

WAIT: Final = r"""
while :; do
    pauses=$poll
    if decide 2>/dev/null; then
        case $state in ended | absent) exit 0 ;; esac
    fi
    while [ "$pauses" -gt 0 ]; do
        sleep 1
        pauses=$((pauses - 1))
        ls -- "$run" >/dev/null 2>&1
        [ ! -e "$run/exit_code" ] || break
    done
done
"""

STOP: Final = r"""
decide || exit 1
case $state in
    queued) within 20 scancel "$id" ;;
    running) [ -z "$id" ] || within 5 scancel --batch --signal=TERM "$id" ;;
    *) exit 0 ;;
esac
looks=0
while [ "$looks" -lt $(($1 * 5)) ]; do
    looks=$((looks + 1))
    sleep 0.2
    decide 2>/dev/null || continue
    case $state in ended | absent) exit 0 ;; esac
done
"""

KILL: Final = r"""
: >"$run/slurm_kill" # for a job that scancel does not reach
decide || exit 1
[ -z "$id" ] || {
    within 5 scancel --full --signal=KILL "$id"
    within 5 scancel "$id"
}
"""

REMOVE: Final = r"""
decide || exit 1
case $state in queued | running) echo "The job $id has not ended." >&2; exit 1 ;; esac
rm -f -- "$record"
"""

WORDS: Final = r"""
tail -n "$1" -- "$run/start.log" 2>/dev/null
decide 2>/dev/null && [ -z "$slurm" ] || printf '%s\n' "$slurm"
"""

EACH: Final = r"""
for record in slurm/cosmos-*; do
    case $record in *.part | *.said) continue ;; esac
    [ -f "$record" ] || continue
    of "${record#slurm/}"
    {0}
done
"""
RUNNING: Final = EACH.replace(
    "{0}",
    """[ "$(line 2)" = "$1" ] || continue
    decide || exit 1
    case $state in queued | running) line 3 ;; esac""",
)
LIST: Final = EACH.replace(
    "{0}",
    """decide || exit 1
    at=
    [ "$state" != ended ] || at=$(stat -c %Y -- "$run/exit_code" 2>/dev/null ||
        stat -c %Y -- "$run/slurm_end" 2>/dev/null)
    echo "$state|$(line 3)|$(line 2)|$(line 4)|$at\"""",
)

NEEDS: Final = r"""
command -v sbatch >/dev/null || { echo "sbatch: not found" >&2; exit 127; }
case $2 in /*) [ -e "$2" ] || { echo "no image $2" >&2; exit 1; } ;; esac
said=$(within 10 scontrol -o show partition $1 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
printf '%s\n' "$said" | grep -E "^PartitionName=$1 | Default=YES "
"""

FACTS: Final = r"""
decide
[ -z "$id" ] || { within 5 scontrol show job "$id"; within 5 sacct -j "$id" -o JobID,State,ExitCode,NodeList,End; } 2>&1
head -c 20000 -- "$run/start.log" 2>/dev/null
within 5 sinfo
"""  # noqa: E501


# Not --test-only, which refuses also what merely has to wait: a held job is checked as any other.
TRIAL: Final = r"""
id=$(printf '#!/bin/sh\ntrue\n' |
    within 15 sbatch --parsable --hold --job-name=cosmos-doctor "$@") || exit 1
within 5 scancel "${id%%;*}"
"""

PROBE: Final = r"""
cd && mkdir -p -- "$root" && cd -- "$root" && mkdir -p slurm || exit 1
file=$(pwd -P)/slurm/.probe.$1 wait=$2; shift 2
trap 'rm -f -- "$file"' EXIT
id=$(printf '#!/bin/sh\nhostname >"%s"\n' "$file" | sbatch --parsable --job-name=cosmos-doctor "$@")
[ -n "$id" ] || exit 1
id=${id%%;*}
looks=0
until [ -s "$file" ]; do
    slurm=$(scontrol -o show job "$id")
    case $(word JobState) in
        PENDING | CONFIGURING) [ "$looks" -lt $((wait * 4)) ] || {
            scancel "$id"; echo "waits $slurm"; exit 0; } ;;
        RUNNING | COMPLETING) [ "$looks" -lt $((wait * 4)) ] || {
            scancel "$id"; echo "unseen $slurm"; exit 0; } ;;
        *) sleep 1; ls slurm >/dev/null; [ -s "$file" ] || { echo "unseen $slurm"; exit 0; } ;;
    esac
    looks=$((looks + 1))
    sleep 0.25
done
echo "seen $(cat -- "$file")"
"""
