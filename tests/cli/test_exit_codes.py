"""Errors leave as one line and one exit code."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos_pipelines.cli.exit_codes import ClosedPipe, exit_code, one_line
from cosmos_pipelines.errors import CosmosError, InputError, RunFailed, StateError
from tests.cli.conftest import Cosmos, spawn
from tests.support.project import Project


def told(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = exit_code(error)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CosmosError("x"), 1),
        (InputError("x"), 2),
        (StateError("x"), 3),
        (RunFailed("rs_1", "out_of_memory", "x"), 4),
        (RunFailed("rs_1", "validation", "x"), 2),
    ],
)
def test_each_error_has_its_exit_code(
    error: CosmosError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(error, capsys) == (code, "error: x\n")


def test_the_hint_follows_on_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = InputError("two\nlines.", hint="Do\tthis.")
    assert told(error, capsys) == (2, "error: two lines. Do this.\n")


def test_no_control_character_reaches_the_terminal() -> None:
    assert one_line("a\x1b[31mred\r\nb\x9b0m") == "ared b"


def test_an_unusable_file_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/some/file")
    assert told(error, capsys) == (2, "error: /some/file: Permission denied.\n")


def test_a_full_disk_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = told(OSError(errno.ENOSPC, "No space left on device", "/some/file"), capsys)
    assert code == 1
    assert "no room left" in line


def test_the_unexpected_is_one_line_with_the_place_of_its_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, line = told(KeyError("what"), capsys)
    [file] = tmp_path.iterdir()
    assert code == 1
    assert line.count("\n") == 1
    assert str(file) in line
    assert "KeyError: 'what'" in file.read_text(encoding="utf-8")


def test_debug_shows_the_traceback(cosmos: Cosmos, project: Project) -> None:
    (project.settings.home / "cosmos.toml").write_text("[nonsense]\nx = 1\n", encoding="utf-8")
    said = cosmos("--debug", "list", "runs")
    assert said.code == 2
    assert "Traceback" in said.err
    assert "nonsense" in said.error
    assert "Traceback" not in cosmos("list", "runs").err


def test_a_closed_pipe_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClosedPipe), ClosedPipe.told_apart():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    for i in range(400):
        project.catalog.put_recipe(f"recipe_{i:04}", "preview", "transfer", {"seed": i})
    home = project.settings.home
    words = f"'{home}' list recipes --json | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m cosmos_pipelines.cli --home {words}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[\n", "")


def test_output_that_cannot_be_written_is_an_error(project: Project) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cosmos_pipelines.cli", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_names_that_are_no_valid_text_can_be_shown(tmp_path: Path) -> None:
    said = spawn("--home", tmp_path, "show", b"\xff.mp4".decode("utf-8", "surrogateescape"))
    assert said.code == 2
    assert "\\udcff.mp4" in said.error
