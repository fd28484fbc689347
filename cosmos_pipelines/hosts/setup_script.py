"""The scripts of a GPU host's set-up: POSIX shell with constant text, as in `backends.ssh.script`.

An unfinished file or directory is called `.<name>.<token>.part` and is removed after a day.

A script that replaces the code or builds from the code holds `.lock` of the engine's directory.

Exit codes: 65 the received code is incomplete or another commit, 69 git is not installed, 70 Docker
does not list the containers that use the code, 73 a directory cannot be written, 74 the commit
cannot be fetched, 75 containers use the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosmos_pipelines.backends.carriers.container import PROJECT_LABEL
from cosmos_pipelines.backends.ssh.host_shell import script
from cosmos_pipelines.remote.docker import commands as docker

WRONG: Final = 65
NO_GIT: Final = 69
NO_DOCKER: Final = 70
NO_COMMIT: Final = 74
IN_USE: Final = 75

COMMIT: Final = ".cosmos-commit"
"""In copied code: the commit, or the name of the content."""
SUMS: Final = ".cosmos-sums"
"""In copied code: the SHA-256 of each file, in the format of `sha256sum`."""
UNSUMMED: Final = "# not compared  "
"""In `SUMS` before the name of a link, or of a file whose name `sha256sum` would escape."""
WHOLE: Final = ".cosmos-whole-"
"""The last member of code that is sent, with a token that its source cannot know."""
RECORD: Final = "setup.json"

_COMMON: Final = """
part_() { echo ".$1.$token.part"; }
# Never asks for a password; fetches no large sample files; accepts any owner of the directory.
git_() {
    GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 \\
        git -c safe.directory='*' -c advice.detachedHead=false "$@" </dev/null 9>&-
}
commit_of() { # DIRECTORY
    if [ -f "$1/.cosmos-commit" ]; then
        cat -- "$1/.cosmos-commit"
    elif [ -e "$1/.git" ]; then # not the repository of a directory above
        git_ -C "$1" rev-parse --verify --quiet HEAD 2>/dev/null
    fi
}
added_() { # files and links in the copied code that were added later
    find . \\( -path ./checkpoints -o -path ./outputs -o -name __pycache__ \\
        -o -path ./.cosmos-commit -o -path ./.cosmos-sums \\) -prune \\
        -o \\( -type f -o -type l \\) -print |
        awk 'FILENAME != "-" { sub(/^(# not compared|[0-9a-f]+)  /, ""); known[$0]; next }
            { sub(/^\\.\\//, ""); if (!($0 in known)) print $0 ": ADDED" }' .cosmos-sums -
}
code() { # DIRECTORY: path and commit of the code, and its changed files
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
    echo 'another set-up of this engine runs on this host: waiting for it ...' >&2
    flock 9 || exit 73
}
unused() { # exits if a container uses the code
    [ -e code ] || return 0
    used=$(users) || exit 70
    used=$(printf '%s\\n' "$used" | grep -v ' checkpoints$' | cut -d ' ' -f 1)
    [ -z "$used" ] || { echo $used >&2; exit 75; }
}
replace() { # NEW NAME: the old directory is kept until the new directory has its name
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
# Remove tokens that no container has read. A new token may be on its way into a container.
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

_INSTALLED: Final = """
cd && cd -- "$1" 2>/dev/null || exit 0
part free "$(df -Pk . | tail -n 1)"
shift
while [ $# -gt 1 ]; do
    file=engines/$1/setup.json
    [ ! -f "$file" ] || part "record.$1" "$(head -c 1000000 "$file")"
    [ ! -d "$2" ] || part "code.$1" "$2"
    shift 2
done
"""

# One line of input for each file: target, directory, branch or -, path or *; answers with its size.
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
        case $path in */\\*) base=$base/${path%/\\*} path='*' ;; esac
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
    """Make the directories; print `remote_dir`, the free space and the state of the code."""
    mounts = docker.ps_argv(running=True, shown="{{.Mounts}}")
    return script(_COMMON + _ARRIVE, remote_dir, engine, code, *directories, mounts=mounts)


def users(engine: str) -> list[str]:
    """List the names of an engine's containers, each with its operation."""
    shown = '{{.Names}} {{.Label "cosmos.operation"}}'
    labels = {PROJECT_LABEL: None, "cosmos.engine": engine}
    return docker.ps_argv(labels, running=True, shown=shown)


def root_argv(remote_dir: str) -> list[str]:
    """Print the path of `remote_dir`; make nothing."""
    return script(_ROOT, remote_dir)


def code_argv(remote_dir: str, code: str) -> list[str]:
    """Print the state of the code; make nothing."""
    return script(_COMMON + _CODE, remote_dir, code)


def record_argv(remote_dir: str, engine: str) -> list[str]:
    """Print the record of the set-up."""
    return script(_RECORD, remote_dir, engine)


def installed_argv(remote_dir: str, *engines: str) -> list[str]:
    """Print the records of set-ups (`record.NAME`), and where code is (`code.NAME`).

    `engines`: the name of each engine, then the directory of its code.
    """
    return script(_INSTALLED, remote_dir, *engines)


def sizes_argv(remote_dir: str, checkpoints: str, huggingface: str) -> list[str]:
    """Print the sizes of the files that standard input names, in its order; - if missing."""
    return script(_SIZES, remote_dir, checkpoints, huggingface)


def clone(root: str, engine: str, url: str, commit: str, token: str) -> list[str]:
    """Fetch a commit into `code`; print each step as a line."""
    return script(_COMMON + _CLONE, root, engine, url, commit, token, users=users(engine))


def take(root: str, engine: str, token: str) -> list[str]:
    """Unpack a tar into `code`; the tar's last member must be `WHOLE` with this token."""
    return script(_COMMON + _TAKE, root, engine, token, users=users(engine))


def write(root: str, engine: str, name: str, token: str) -> list[str]:
    """Write standard input to a file of the engine's directory, whole or not at all."""
    return script(_WRITE, root, engine, name, token)


def build(
    root: str, engine: str, dockerfile: str, code: str, commit: str, argv: Sequence[str]
) -> list[str]:
    """Run `argv`, which reads the Dockerfile; print each step as a line.

    `dockerfile`: the file's name until it is renamed to Dockerfile. `code` must still be at
    `commit`.
    """
    return script(_COMMON + _BUILD, root, engine, dockerfile, code, commit, build=argv)


def put_token(root: str, engine: str, name: str) -> list[str]:
    """Write standard input to a file that only the user can read."""
    return script(_KEEP, root, engine, name)


def forget_token(root: str, engine: str, name: str) -> list[str]:
    """Remove the token's directory."""
    return script(_FORGET, root, engine, name)
