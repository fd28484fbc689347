"""`cosmos host` as its user meets it, before a real host."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.cli import main
from tests.cli.conftest import Cosmos, Said
from tests.rig.fleet import Fleet
from tests.support.host_engine import IMAGE, NAME, Ready, settings_for
from tests.support.hub import serving
from tests.support.project import Project

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path
from cosmos_pipelines.cli import main
from tests.support.host_engine import registered, setup_of
with registered(setup_of(sys.argv[1], Path(sys.argv[2]))):
    sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture
def host(bare: Ready, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run `cosmos host` on the bare host's project, in this process."""

    def run(*words: object) -> Said:
        capfd.readouterr()
        code = main(["--home", str(bare.settings.home), "host", *map(str, words)])
        return Said(code, *capfd.readouterr())

    return run


def test_setup_tells_its_steps_and_prints_the_record(
    bare: Ready, host: Callable[..., Said]
) -> None:
    said = host("setup", NAME, "--from", bare.source)
    assert said.code == 0, said
    assert f"commit        {bare.commit}" in said.out
    assert "  passed        yes" in said.out
    told = said.err.splitlines()
    assert told[0].startswith("gpu1: Docker ")
    assert told[-1] == "smoke test: passed."
    again = host("setup", NAME, "--json")
    assert again.json["smoke"]["passed"]
    assert not any("building" in line for line in again.err.splitlines())


def test_a_smoke_test_that_fails_is_one_line_and_the_gpu_sides_fault(
    bare: Ready, host: Callable[..., Said]
) -> None:
    said = host("setup", NAME, "--from", bare.source / "assets", "--image", "cosmos-rig/preview:1")
    assert said.code == 4
    assert said.out == ""
    assert "The smoke test on gpu1 failed" in said.error


def test_checkpoints_answers_with_its_exit_code(
    bare: Ready, host: Callable[..., Said], fleet: Fleet
) -> None:
    bare.host.docker("tag", "cosmos-rig/preview:1", IMAGE)
    said = host("checkpoints", NAME)
    assert said.code == 4
    assert "  missing  3" in said.out
    assert "missing     huggingface: nvidia/Cosmos3-Nano/*\n" in said.out
    assert "PROBLEM huggingface: nvidia/Cosmos3-Nano/*: missing" in said.err
    with serving(f"{bare.host.address.rpartition('.')[0]}.1") as hub:
        hub.add("nvidia/Cosmos3-Super", {"model.pt": bytes(2000)})
        for repo in ("nvidia/Cosmos-Guardrail1", "Qwen/Qwen3Guard-Gen-0.6B"):
            hub.add(repo, {"model.pt": bytes(2000)})
        settings_for(bare.settings.home, fleet, f'env = {{ HF_ENDPOINT = "{hub.endpoint}" }}')
        said = host("checkpoints", NAME, "--download", "--only", "super", "--json")
        assert (said.code, said.json["counts"]) == (0, {"ok": 3})
        assert "[3/3] 100 % " in said.err
        shown = on_terminal(bare, "checkpoints", NAME, "--deep", "--only", "super")
    assert shown.code == 0
    assert "3/3 files" in shown.out
    assert "━" in shown.out


def on_terminal(bare: Ready, *words: str) -> Said:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    given = [bare.commit, str(bare.source.parent / "Dockerfile"), "--home", bare.settings.home]
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *given, "host", *words],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux says so when the terminal's other side is closed
        pass
    code = child.wait()
    os.close(ours)
    return Said(code, shown.decode(), "")


def test_all_hosts_are_set_up_at_once_and_one_that_is_away_leaves_the_others_alone(
    bare: Ready, host: Callable[..., Said]
) -> None:
    file = bare.settings.home / "cosmos.toml"
    away = '[hosts.away]\nhost = "127.0.0.1"\nport = 1\nssh_config = "/dev/null"\n'
    file.write_text(file.read_text() + away)
    said = host(
        "setup", NAME, "--from", bare.source, "--image", "cosmos-rig/preview:1", "--all", "--json"
    )
    assert said.code == 4
    here, gone = said.json
    assert (here["place"], here["smoke"]["passed"]) == ("ssh_docker", True)
    assert (gone["place"], "nothing listens" in gone["error"]) == ("away", True)
    told = said.err.splitlines()
    assert "ssh_docker: smoke test: passed." in told
    assert told[-1].startswith("error: away: 127.0.0.1 (")
    assert sorted(p.name for p in (bare.settings.outputs / "host_setup").iterdir()) == [
        f"{NAME}-away.log", f"{NAME}.log"
    ]  # fmt: skip
    said = host("checkpoints", NAME, "--host", "away")
    assert (said.code, "nothing listens" in said.error) == (4, True)
    said = host("checkpoints", NAME, "--host", "awya")
    assert (said.code, "Did you mean away?" in said.error) == (2, True)
    assert "--host cannot be combined" in host("setup", NAME, "--host", "away", "--all").error


def test_the_list_of_places_says_which_take_runs_for_any_place_and_why_others_do_not(
    project: Project, cosmos: Cosmos
) -> None:
    assert cosmos("host", "list", "--json").json[0]["refused"] is None  # this machine alone
    away = 'host = "127.0.0.1"\nport = 1\nssh_config = "/dev/null"\nprice_per_gpu_hour = 2.5\n'
    (project.settings.home / "cosmos.toml").write_text(f"[hosts.away]\n{away}")
    said = cosmos("host", "list")
    assert said.code == 0
    _, here, gone = said.out.splitlines()
    assert here.split()[:2] == ["local", "this"]
    assert "cannot run preview: it is left to the GPU hosts" in here
    assert gone.split()[0] == "away"
    assert " 2.5 " in gone
    assert re.search(r"is away: |has been away for [1-9]\d* s: ", gone)
    assert "nothing listens on its port 1" in gone
    assert cosmos("host", "list", "--engine", "moon").code == 2


def test_wrong_usage_is_told_before_anything_is_asked(cosmos: Cosmos) -> None:
    said = cosmos("host", "setup", "preview")
    assert said.code == 2
    assert "preview needs only an image" in said.error
    assert cosmos("host", "setup", "moon").code == 2
    said = cosmos("host", "setup", "cosmos_transfer1")
    assert said.code == 2
    assert "No GPU host is set" in said.error
    said = cosmos("host", "setup", "cosmos_transfer1", "--image", "x", "--base", "y")
    assert "--image builds nothing" in said.error
    assert cosmos("host", "setup", "cosmos_transfer1", "--build-arg", "x").code == 2
    said = cosmos("host", "checkpoints", "cosmos_transfer1", "--verify", "--download")
    assert "Give one of --verify, --download and --stop." in said.error
    said = cosmos("host", "checkpoints", "cosmos_transfer1", "--only", "moon")
    assert said.code == 2
    assert "No checkpoint is needed for moon." in said.error
