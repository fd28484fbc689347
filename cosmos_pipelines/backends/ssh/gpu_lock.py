"""One choice of GPUs at a time on a whole host, by all its users: shell functions of our scripts.

The lock is held until the container runs, which shows the GPUs that it has. It ends with the script
that holds it, also if the script is killed.
"""

from __future__ import annotations

from typing import Final

# The file belongs to whoever came first. A sticky /tmp refuses O_CREAT on the files of others
# (sysctl fs.protected_regular), hence two opens; `set -C` opens with O_EXCL, which follows no link.
# A file that was removed meanwhile (by systemd-tmpfiles) locks nobody out: it is locked anew.
GPU_LOCK: Final = """
lock_gpus() { # FILE
    command -v flock >/dev/null || return 0
    tries=0
    while [ "$tries" -lt 600 ]; do
        tries=$((tries + 1))
        [ -e "$1" ] || (umask 0; set -C; : >"$1") 2>/dev/null
        [ -f "$1" ] && [ -r "$1" ] && [ ! -L "$1" ] || { part no_lock "$(ls -ld -- "$1" 2>&1)"; return 1; }
        exec 8<"$1"
        if flock -n 8; then
            [ "$(stat -L -c %d:%i "/proc/$$/fd/8")" != "$(stat -c %d:%i -- "$1" 2>/dev/null)" ] || return 0
        else
            sleep 0.1
        fi
    done
    part lock_held "$1"
    return 1
}
unlock_gpus() { exec 8<&-; }
tell_gpus() { # the ids as part gpus, or why none were chosen as part no_gpus
    if gpus=$(choose 2>/dev/null); then part gpus "$gpus"; else part no_gpus "$gpus"; return 1; fi
}
"""  # noqa: E501
"""Functions: `lock_gpus FILE`, `unlock_gpus`, and `tell_gpus`, which calls `choose`."""
