"""Login shells, quiet and noisy, for a server of `tests.support.sshd` and for hosts of the rig."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.rig.host import Host
from tests.support.sshd import Sshd, running_sshd

SHELLS: Final = {
    "sh": "/bin/sh",
    "bash": "/bin/bash",
    "dash": "/bin/dash",
    "zsh": "/usr/bin/zsh",
    "tcsh": "/usr/bin/tcsh",
    "fish": "/usr/bin/fish",
    "ash": "/bin/busybox ash",
}

_TALKS: Final = """\
echo 'Welcome to gpu-box'
echo 'a warning' >&2
printf 'no line break'
"""
NOISE: Final = {
    "bash": (
        ".bashrc",
        f"{_TALKS}alias ls=false sh=false printf=false\nset -fuxC; set -o pipefail\n",
    ),
    "zsh": (
        ".zshenv",
        f"{_TALKS}alias ls=false sh=false printf=false\n"
        "setopt rcquotes ksharrays extendedglob cshjunkiequotes xtrace noclobber\n",
    ),
    "tcsh": (
        ".cshrc",
        "echo 'Welcome to gpu-box'\nprintf 'no line break'\nalias ls false; alias sh false\n"
        "/bin/sh -c 'echo a warning >&2'\nset noclobber noglob backslash_quote\nset echo verbose\n",
    ),
    "fish": (
        ".config/fish/config.fish",
        f"{_TALKS}function ls; false; end\nfunction sh; false; end\nset fish_trace 1\n",
    ),
}
"""The start file that each shell reads without a terminal, and what it may do there. sh, dash and
busybox read none; there the server itself talks."""

_LOGIN: Final = """\
#!/bin/sh
HOME=$HOME/login # the shell that runs this script does not read its start files
export HOME
[ ! -e "$HOME/talks" ] || . "$HOME/talks"
read -r SHELL <"$HOME/shell"
export SHELL
exec $SHELL -c "$SSH_ORIGINAL_COMMAND"
"""


_WRITE: Final = 'mkdir -p "${1%/*}" && cat >"$1"'


def require(name: str) -> None:
    """Skip the test, with the reason, if this shell is not installed."""
    if not Path(SHELLS[name].split()[0]).exists():
        pytest.skip(f"no {name} (Debian: apt-get install {name})")


@dataclass(frozen=True)
class ShellHost:
    """A server whose user's login shell a test can change; connections stay open."""

    sshd: Sshd

    @property
    def home(self) -> Path:
        """The directory with the start files."""
        return self.sshd.home / "login"

    def use(self, name: str, *, noisy: bool = False) -> None:
        """Set the login shell, without or with a start file that talks and sets odd options."""
        require(name)
        self.command(SHELLS[name])
        if noisy:
            file, text = NOISE.get(name, ("talks", _TALKS))
            self.start_file(file, text)

    def command(self, words: str) -> None:
        """Set any program as the login shell, without start files."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        (self.home / "shell").write_text(f"{words}\n")

    def start_file(self, name: str, text: str) -> None:
        """Write a start file."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@contextmanager
def shell_host() -> Iterator[ShellHost]:
    """Start such a server."""
    with tempfile.TemporaryDirectory() as directory:
        login = Path(directory) / "login"
        login.write_text(_LOGIN)
        login.chmod(0o755)
        with running_sshd(lambda _: f"ForceCommand {login}\n") as server:
            yield ShellHost(server)


@contextmanager
def login_shell(host: Host, name: str, *, noisy: bool) -> Iterator[None]:
    """Give the user ops of a host of the rig another login shell, also after a reboot."""
    require(name)
    (host.root / "home/ops/.login-shell").write_text(SHELLS[name])
    host.console("usermod", "-s", SHELLS[name], "ops")
    file, text = NOISE[name]
    try:
        if noisy:
            host.console("sh", "-c", _WRITE, "sh", f"/home/ops/{file}", input=text.encode())
        yield
    finally:
        host.console("rm", "-f", f"/home/ops/{file}", "/home/ops/.login-shell")
        host.console("usermod", "-s", SHELLS["bash"], "ops")
