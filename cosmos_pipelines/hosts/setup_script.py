"""What is executed on a GPU host to set it up: POSIX shell with constant text, as `host_script`.

What is half made is called `.<name>.<token>.part`; one that was left is removed after a day.

Whoever replaces the code or builds of it holds `.lock` of the engine's directory meanwhile.

Exit codes: 65 what came is not what was asked for, 69 git is not there, 70 Docker does not say who
uses the code, 73 cannot be written there, 74 the commit cannot be had, 75 the code is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosmos_pipelines.backends.ssh_docker.container import PROJECT_LABEL
from cosmos_pipelines.backends.ssh_docker.script import script
from cosmos_pipelines.remote.docker import commands as docker

WRONG: Final = 65
NO_GIT: Final = 69
NO_DOCKER: Final = 70
NO_COMMIT: Final = 74
IN_USE: Final = 75

COMMIT: Final = ".cosmos-commit"
"""In code that was copied: the commit, or what its content is called."""
SUMS: Final = ".cosmos-sums"
"""In code that was copied: the SHA-256 of each file, as `sha256sum` writes it."""
UNSUMMED: Final = "# not compared  "
"""In `SUMS` before the name of a link, or of a file whose name is none for `sha256sum`."""
WHOLE: Final = ".cosmos-whole-"
"""The last member of code that is sent, with a token that its source cannot know."""
RECORD: Final = "setup.json"

_COMMON: Final = """
part_() { echo ".$1.$token.part"; }
# Asks nobody for a password; leaves large files of samples where they are; any owner will do.
git_() {
    GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 \\
        git -c safe.directory='*' -c advice.detachedHead=false "$@" </dev/null 9>&-
}
commit_of() { # DIRECTORY
    if [ -f "$1/.cosmos-commit" ]; then
        cat -- "$1/.cosmos-commit"
    elif [ -e "$1/.git" ]; then # not of a directory above it
        git_ -C "$1" rev-parse --verify --quiet HEAD 2>/dev/null
    fi
}
added_() { # files and links of the copied code here that did not come with it
    find . \\( -path ./checkpoints -o -path ./outputs -o -name __pycache__ \\
        -o -path ./.cosmos-commit -o -path ./.cosmos-sums \\) -prune \\
        -o \\( -type f -o -type l \\) -print |
        awk 'FILENAME != "-" { sub(/^(# not compared|[0-9a-f]+)  /, ""); known[$0]; next }
            { sub(/^\\.\\//, ""); if (!($0 in known)) print $0 ": ADDED" }' .cosmos-sums -
}
code() { # DIRECTORY: which code it is, and whether it is as it came
    [ -d "$1" ] || return 0
    part code "$(cd -- "$1" && pwd -P)"
    part commit "$(commit_of "$1")"
    if [ -f "$1/.cosmos-sums" ]; then
        part changed "$(cd -- "$1" && {
            sha256sum -c .cosmos-sums 2>/dev/null | grep -v ': OK$'
            added_
        } | head -n 3)"
    elif [ -e "$1/.git" ]; then
        part changed "$(git_ -C "$1" status --porcelain --untracked-files=all -- . \\
            ':(exclude,top)checkpoints' ':(exclude,top)outputs' \\
            ':(exclude,glob)**/__pycache__/**' 2>&1 | head -n 3)"
    fi
}
one_at_a_time() { # until this shell ends
    exec 9>>.lock || exit 73
    command -v flock >/dev/null && ! flock -n 9 || return 0
    echo 'another set-up of this engine works there: waiting for it ...' >&2
    flock 9 || exit 73
}
unused() { # no container has the code that is there
    [ -e code ] || return 0
    used=$(users) || exit 70
    used=$(printf '%s\\n' "$used" | grep -v ' checkpoints$' | cut -d ' ' -f 1)
    [ -z "$used" ] || { echo $used >&2; exit 75; }
}
replace() { # NEW NAME: the old one is kept until the new one is there
    one_at_a_time
    unused
    old=$(part_ "$2.old")
    if [ -e "$2" ] || [ -L "$2" ]; then
        mv -T -- "$2" "$old" || exit 73
    fi
    mv -T -- "$1" "$2" || { mv -T -- "$old" "$2"; exit 73; }
    rm -rf -- "$old" 2>/dev/null || echo "warning: $old cannot be removed: remove it as root" >&2
}
"""

_ARRIVE: Final = """
cd && mkdir -p -- "$1" && cd -- "$1" || exit 73
root=$(pwd -P) engine=$2 code=$3
shift 3
part root "$root"
mkdir -p -- "engines/$engine" || exit 73
find "engines/$engine" -mindepth 1 -maxdepth 1 -name '.*.part' -mtime +0 -exec rm -rf {} +
# A token that nobody has taken. One of this moment may be on its way into a container.
mounted=$(mounts 2>/dev/null) && for token in "engines/$engine"/.token-*; do
    case $mounted in *"/${token##*/}"*) continue ;; esac
    [ ! -d "$token" ] || find "$token" -maxdepth 0 -mmin +5 -exec rm -rf {} +
done
for directory do mkdir -p -- "$directory" || exit 73; done
part free "$(df -Pk . | tail -n 1)"
code "$code"
"""

_CODE: Final = """
cd && cd -- "$1" 2>/dev/null || exit 0
code "$2"
"""

_ROOT: Final = """
cd && cd -- "$1" 2>/dev/null || exit 0
part root "$(pwd -P)"
"""

_RECORD: Final = """
cd && cd -- "$1/engines/$2" 2>/dev/null || exit 0
[ ! -f setup.json ] || part record "$(head -c 17000000 setup.json)"
"""

# One line of input a file: target, directory, branch or -, path or *; one word of answer each.
_SIZES: Final = """
cd && cd -- "$1" 2>/dev/null || exit 0
checkpoints=$2 huggingface=$3
sizes() { [ ! -f "$1/.cosmos-sizes.json" ] || head -c 17000000 "$1/.cosmos-sizes.json"; }
part checkpoints "$(sizes "$checkpoints")"
part huggingface "$(sizes "$huggingface")"
part sizes "$(
    while IFS='	' read -r target base branch path; do
        case $target in checkpoints) base=$checkpoints/$base ;; *) base=$huggingface/$base ;; esac
        [ "$branch" = - ] || base=$base/snapshots/$(cat "$base/refs/$branch" 2>/dev/null || echo -)
        if [ "$path" = '*' ]; then
            any=$(find -L "$base" -type f -size +0c ! -name '*.part' 2>/dev/null | head -n 1)
            [ -n "$any" ] && echo 0 || echo -
        else
            stat -L -c %s -- "$base/$path" 2>/dev/null || echo -
        fi
    done
)"
"""

_CLONE: Final = """
exec 2>&1
cd -- "$1/engines/$2" || exit 73
url=$3 commit=$4 token=$5
command -v git >/dev/null || exit 69
new=$(part_ code)
trap 'rm -rf -- "$new"' EXIT
mkdir -- "$new" && git_ -C "$new" init --quiet && git_ -C "$new" remote add origin "$url" || exit 73
git_ -C "$new" fetch --depth 1 origin "$commit" || git_ -C "$new" fetch origin || exit 74
git_ -C "$new" checkout --quiet --detach "$commit" || exit 74
if [ -f "$new/.gitmodules" ]; then
    git_ -C "$new" submodule update --init --recursive --depth 1 || exit 74
fi
[ "$(commit_of "$new")" = "$commit" ] || exit 65
replace "$new" code
"""

_TAKE: Final = """
cd -- "$1/engines/$2" || exit 73
token=$3
new=$(part_ code)
trap 'rm -rf -- "$new"' EXIT
mkdir -- "$new" && tar -x -o -m -f - -C "$new" || exit 73
[ -e "$new/.cosmos-whole-$token" ] || exit 65
rm -- "$new/.cosmos-whole-$token"
chmod -R u+rwX,a+rX -- "$new" && replace "$new" code
part commit "$(commit_of code)"
"""

_WRITE: Final = """
cd -- "$1/engines/$2" || exit 73
new=.$3.$4.part
trap 'rm -f -- "$new"' EXIT
cat >"$new" && mv -T -- "$new" "$3" || exit 73
"""

_BUILD: Final = """
exec 2>&1
cd -- "$1/engines/$2" || exit 73
given=$3 code=$4 commit=$5
trap 'rm -f -- "$given"' EXIT
one_at_a_time
found=$(commit_of "$code")
[ "${found:-unverified}" = "$commit" ] || {
    echo "another set-up has replaced the code: it is at ${found:-no commit}, not at $commit"
    exit 65
}
mv -T -- "$given" Dockerfile || exit 73
export BUILDKIT_PROGRESS=plain
build <Dockerfile
"""

_KEEP: Final = """
cd -- "$1/engines/$2" || exit 73
umask 077
mkdir -- ".token-$3" && cat >".token-$3/token" || exit 73
"""

_FORGET: Final = """
cd -- "$1/engines/$2" || exit 73
rm -rf -- ".token-$3"
"""


def arrive(remote_dir: str, engine: str, code: str, *directories: str) -> list[str]:
    """Make our directories; say where they are, and what code and which record are there."""
    mounts = docker.ps_argv(running=True, shown="{{.Mounts}}")
    return script(_COMMON + _ARRIVE, remote_dir, engine, code, *directories, mounts=mounts)


def users(engine: str) -> list[str]:
    """Names of the containers of an engine, each with its operation."""
    shown = '{{.Names}} {{.Label "cosmos.operation"}}'
    labels = {PROJECT_LABEL: None, "cosmos.engine": engine}
    return docker.ps_argv(labels, running=True, shown=shown)


def root_argv(remote_dir: str) -> list[str]:
    """Where our directory is; nothing is made."""
    return script(_ROOT, remote_dir)


def code_argv(remote_dir: str, code: str) -> list[str]:
    """Say which code is there; nothing is made."""
    return script(_COMMON + _CODE, remote_dir, code)


def record_argv(remote_dir: str, engine: str) -> list[str]:
    """The record of the set-up."""
    return script(_RECORD, remote_dir, engine)


def sizes_argv(remote_dir: str, checkpoints: str, huggingface: str) -> list[str]:
    """Sizes of the files that standard input names, in its order; - for what is not there."""
    return script(_SIZES, remote_dir, checkpoints, huggingface)


def clone(root: str, engine: str, url: str, commit: str, token: str) -> list[str]:
    """Have a commit as `code`; tells what it does line by line."""
    return script(_COMMON + _CLONE, root, engine, url, commit, token, users=users(engine))


def take(root: str, engine: str, token: str) -> list[str]:
    """Have a tar as `code`, whose last member is `WHOLE` with this token."""
    return script(_COMMON + _TAKE, root, engine, token, users=users(engine))


def write(root: str, engine: str, name: str, token: str) -> list[str]:
    """Have standard input as a file of the engine's directory, whole or not at all."""
    return script(_WRITE, root, engine, name, token)


def build(
    root: str, engine: str, dockerfile: str, code: str, commit: str, argv: Sequence[str]
) -> list[str]:
    """Run `argv`, which reads the Dockerfile; tells what it does line by line.

    `dockerfile`: its name now; it will be called Dockerfile. `code` must be at `commit` still.
    """
    return script(_COMMON + _BUILD, root, engine, dockerfile, code, commit, build=argv)


def put_token(root: str, engine: str, name: str) -> list[str]:
    """Have standard input as a file that nobody but the user can read."""
    return script(_KEEP, root, engine, name)


def forget_token(root: str, engine: str, name: str) -> list[str]:
    """Remove it."""
    return script(_FORGET, root, engine, name)
