"""Any login shell, quiet or noisy, runs our programs unchanged: over both ways to a real sshd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_pipelines.errors import ShellFailed
from cosmos_pipelines.remote.files.transfer import Wanted, get_files, put_files
from cosmos_pipelines.remote.ssh.connection import Completed, Connection, Target
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from cosmos_pipelines.remote.ssh.shell import MOST_NOISE, Output, call
from cosmos_pipelines.remote.ssh.streams import draw, feed
from tests.support.contents import random_file
from tests.support.login_shells import NOISE, SHELLS, ShellHost, require, shell_host
from tests.support.sshd import require_sshd
from tests.support.waiting import LONG_S, until
from tests.support.ways import without_openssh

NASTY = [
    "", " ", "two words", "it's", "''", '"quoted"', "line\nbreak\n", "$(reboot)", "`reboot`",
    "$HOME", "a;b && c | d > e", "*", "{a,b}", "~", "\\", "\\\\", "\\'", "\\0101", "\\c", "%s",
    "a!b", "!!", "!", "^a^b", "#", "\t", "雨の東京、ネオン", "-n", "--", "\x01\x7f\r",
]  # fmt: skip
ALL = [pytest.param(name, noisy, id=f"{name}-{word}") for name in SHELLS
       for noisy, word in ((False, "quiet"), (True, "noisy"))]  # fmt: skip
SHELL = pytest.mark.parametrize(("shell", "noisy"), ALL)
BOTH = pytest.mark.parametrize("way", ["paramiko", "openssh"])
MUCH = 1 << 30


@pytest.fixture(scope="module")
def host() -> Iterator[ShellHost]:
    require_sshd()
    with shell_host() as made:
        yield made


@pytest.fixture(scope="module")
def ways(host: ShellHost) -> Iterator[dict[str, Connection]]:
    """Two connections to the same server; one takes OpenSSH for much data, the other does not."""
    host.use("sh")
    targets = {
        "paramiko": Target("loop", config_file=host.sshd.config, connect_timeout_s=11),
        "openssh": Target("loop", config_file=host.sshd.config, connect_timeout_s=12),
    }
    without_openssh(OpenSsh.of(targets["paramiko"]))
    assert OpenSsh.of(targets["openssh"]).usable()
    connections = {name: Connection(target) for name, target in targets.items()}
    yield connections
    for connection in connections.values():
        connection.close()
    OpenSsh.of(targets["openssh"]).close()


def ended(stream: Generator[bytes, None, Completed]) -> tuple[bytes, Completed]:
    got = b""
    while True:
        try:
            got += next(stream)
        except StopIteration as end:
            return got, end.value


@SHELL
def test_words_environment_output_and_exit_code_are_unchanged(
    host: ShellHost, ways: dict[str, Connection], shell: str, noisy: bool
) -> None:
    host.use(shell, noisy=noisy)
    connection = ways["paramiko"]
    done = connection.run(["printf", r"%s\0", *NASTY], timeout_s=LONG_S)
    assert done.stdout.decode().split("\0")[:-1] == NASTY
    assert (done.exit_code, done.stderr) == (0, b"")
    assert (b"Welcome to gpu-box" in done.noise) == noisy == (b"a warning" in done.noise)
    env = {f"COSMOS_{n}": word for n, word in enumerate(NASTY)}
    there = connection.run(["env", "-0"], timeout_s=LONG_S, env=env).stdout.decode().split("\0")
    assert {f"{name}={value}" for name, value in env.items()} <= set(there)
    done = connection.run(["sh", "-c", "echo err >&2; kill -9 $$"], timeout_s=LONG_S)
    assert (done.exit_code, done.stdout) == (137, b"")
    assert done.stderr.startswith(b"err\n")  # sh adds "Killed"


@SHELL
def test_a_stream_is_unchanged_and_its_program_ends_with_it(
    host: ShellHost, ways: dict[str, Connection], shell: str, noisy: bool
) -> None:
    host.use(shell, noisy=noisy)
    connection = ways["paramiko"]
    out, done = ended(connection.stream(["sh", "-c", "printf 'a\\nb'; echo err >&2; exit 3"]))
    assert (out, done.exit_code, done.stderr) == (b"a\nb", 3, b"err\n")
    stream = connection.stream(["sh", "-c", "echo $$; exec sleep 4712"])
    pid = int(next(chunk for chunk in stream if chunk))
    until(lambda: psutil.Process(pid).name() == "sleep", "the program")
    stream.close()
    until(lambda: not psutil.pid_exists(pid), "the end of the program")


@BOTH
@SHELL
def test_files_and_much_data_are_unchanged(
    host: ShellHost, ways: dict[str, Connection], tmp_path: Path,
    shell: str, noisy: bool, way: str,
) -> None:  # fmt: skip
    host.use(shell, noisy=noisy)
    connection = ways[way]
    data = os.urandom(3 << 20)
    script = ["sh", "-c", "cat; echo err >&2; exit 7", *NASTY]
    done = feed(connection, script, [data, b"!\n"], amount=MUCH)
    assert (done.exit_code, done.stdout, done.stderr) == (7, data + b"!\n", b"err\n")
    out, done = ended(draw(connection, ["sh", "-c", "printf out; kill -15 $$"], amount=MUCH))
    assert (out, done.exit_code) == (b"out", 143)
    cas = tmp_path / "it's !a\\ 雨" / "cas"
    files = [random_file(tmp_path / f"file{n}", n) for n in (0, 70_000, (5 << 20) + 3)]
    put_files(connection, files, str(cas))
    assert {p.name: p.read_bytes() for p in cas.iterdir() if p.is_file()} == {
        file.sha256: file.path.read_bytes() for file in files
    }
    wanted = [Wanted(str(cas / f.sha256), tmp_path / f"got {f.size}", f.sha256) for f in files]
    get_files(connection, wanted)
    for one, file in zip(wanted, files, strict=True):
        assert one.local.read_bytes() == file.path.read_bytes()


@BOTH
def test_many_files_with_long_names_come_within_the_limit_of_a_command(
    host: ShellHost, ways: dict[str, Connection], tmp_path: Path, way: str
) -> None:
    host.use("sh")
    (tmp_path / "there").mkdir()
    files = [random_file(tmp_path / "there" / f"{'雨の東京' * 12} {n}", 9) for n in range(250)]
    wanted = [Wanted(str(f.path), tmp_path / "here" / f.path.name, f.sha256) for f in files]
    get_files(ways[way], wanted)
    assert len(list((tmp_path / "here").iterdir())) == 250


@BOTH
@pytest.mark.parametrize(
    ("shell", "text", "said"),
    [
        ("/usr/sbin/nologin", "", "exit code 1 and ran no program. It printed: This account"),
        ("/bin/bash", "echo bye\nexit 4\n", "exit code 4 and ran no program. It printed: bye"),
        ("/bin/bash", "exec true\n", "exit code 0 and ran no program. It printed nothing."),
        ("/bin/bash", "exec cat >/dev/null\n", "exit code 0 and ran no program."),
        ("/bin/echo", "", "It printed: -c exec /bin/sh"),
        ("/bin/bash", f"head -c {MOST_NOISE + 99} /dev/zero", "prints more than 64 KiB"),
        ("/bin/bash", "yes\n", "prints more than 64 KiB"),
    ],
)  # fmt: skip
def test_a_shell_that_runs_no_program_is_one_error_with_its_own_words(
    host: ShellHost, ways: dict[str, Connection], shell: str, text: str, said: str, way: str
) -> None:
    host.command(shell)
    host.start_file(".bashrc", text)
    with pytest.raises(ShellFailed) as caught:
        feed(ways[way], ["cat"], [b"touch nothing\n"], amount=MUCH)
    assert said in caught.value.message
    assert f"The login shell of {host.sshd.user} on loop" in caught.value.message
    assert "`ssh loop true`" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["yes >&2\n", f"head -c {MOST_NOISE + 99} /dev/zero >&2\n"])
def test_endless_words_on_standard_error_are_an_error_too(
    host: ShellHost, ways: dict[str, Connection], text: str
) -> None:
    host.command("/bin/bash")
    host.start_file(".bashrc", text)
    with pytest.raises(ShellFailed, match="prints more than 64 KiB"):
        ways["paramiko"].run(["true"], timeout_s=LONG_S)


def test_a_stream_of_a_shell_that_runs_no_program_fails_too(
    host: ShellHost, ways: dict[str, Connection]
) -> None:
    host.command("/usr/sbin/nologin")
    with pytest.raises(ShellFailed, match="ran no program"):
        ended(ways["paramiko"].stream(["echo", "out"]))


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        f"head -c {MOST_NOISE - 9} /dev/urandom; head -c {MOST_NOISE - 9} /dev/urandom >&2",
        "exec 2>/dev/null",
        "exec 2>&1; echo both",
        "cd /; umask 077; trap 'echo end' EXIT",
        "printf '\\1'",
    ],
)
def test_what_a_start_file_did_is_not_the_program_s(
    host: ShellHost, ways: dict[str, Connection], text: str, way: str
) -> None:
    host.use("bash")
    host.start_file(".bashrc", f"{text}\n")
    done = feed(ways[way], ["sh", "-c", "cat; exit 3"], [b"in"], amount=MUCH)
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"in", b"")


def test_a_program_begins_in_the_home_directory_and_cd_prints_nothing(
    host: ShellHost, ways: dict[str, Connection]
) -> None:
    host.use("bash")
    host.start_file(".bashrc", f"export CDPATH={host.home}\ncd /\n")
    (host.home / "made").mkdir()
    done = ways["paramiko"].run(["sh", "-c", "cd made && pwd"], timeout_s=LONG_S)
    assert (done.stdout.decode(), done.stderr) == (f"{host.home}/made\n", b"")


def test_a_program_that_prints_the_command_does_not_print_the_mark() -> None:
    made = call(["echo"])
    assert made.out_mark not in made.line.encode() and made.err_mark not in made.line.encode()
    output = Output(made.out_mark)
    assert output.own(made.line.encode() + made.out_mark[:-1]) == b""
    assert output.own(made.out_mark[-1:] + b"own") == b"own"
    assert output.noise == made.line.encode()


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("piece", [1 << 10, MOST_NOISE, 1 << 20])
def test_noise_of_over_64_kib_is_too_much_in_whatever_pieces_it_comes(
    more: int, piece: int
) -> None:
    made = call(["echo"])
    output = Output(made.out_mark)
    sent = b"x" * (MOST_NOISE + more) + made.out_mark + b"own"
    own = b"".join(output.own(sent[at : at + piece]) for at in range(0, len(sent), piece))
    assert (own, output.too_noisy()) == ((b"", True) if more else (b"own", False))


def test_the_host_s_ps_shows_the_words(host: ShellHost, ways: dict[str, Connection]) -> None:
    host.use("tcsh")
    show = ["sh", "-c", "tr '\\0' ' ' </proc/$PPID/cmdline"]
    shown = ways["paramiko"].run(["env", "A=two words", *show], timeout_s=LONG_S).stdout.decode()
    assert shown.startswith("/bin/sh -c eval")
    assert "two words" in shown and "/proc/$PPID/cmdline" in shown


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
@pytest.mark.parametrize("shell", ["sh", "tcsh", "fish"])
def test_any_words_arrive_unchanged(shell: str, words: list[str]) -> None:
    require(shell)
    made = call(["printf", r"%s\0", "", *words])
    said = subprocess.run([SHELLS[shell], "-c", made.line], capture_output=True, check=True)
    assert said.stdout == made.out_mark + b"".join(f"{word}\0".encode() for word in ["", *words])
    assert said.stderr == made.err_mark


def test_every_noisy_shell_is_known() -> None:
    assert set(NOISE) < set(SHELLS)
