"""Files, names and words that come from elsewhere: one line each, and nothing is touched."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.cli import main
from tests.cli.conftest import Cosmos, Said, spawn
from tests.cli.test_bad_input import refused
from tests.media import renders
from tests.support.project import Project, write_video

BOM, ZWSP = "\ufeff", "\u200b"
LONG = "x" * (1 << 20)


def everything(home: Path) -> dict[str, bytes]:
    """All files of a project but the catalog's."""
    return {
        str(p): p.read_bytes()
        for p in home.rglob("*")
        if p.is_file() and not p.name.startswith("cosmos.db")
    }


# --- scene.json -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["../../../victim.txt", "{home}/victim.txt", "prompt.txt"])
def test_a_scene_json_deletes_and_overwrites_nothing(
    project: Project, cosmos: Cosmos, file: str
) -> None:
    home = project.settings.home
    (home / "victim.txt").write_text("mine")
    city = project.settings.inputs / "city"
    renders.sequence(city, "color.%04d.png", renders.colour)
    (city / "prompt.txt").write_text("mine")
    entry = {"file": file.format(home=home), "made": "encoded"}
    for record in (
        {"passes": {"depth": entry}},
        {"created_by": "cosmos prepare 0.1.0", "passes": {"depth": entry}},
    ):
        (city / "scene.json").write_text(json.dumps(record))
        before = everything(home)
        refused(cosmos("create", "prompt", "A street", "city"), "scene.json")
        refused(cosmos("prepare", city), "scene.json")
        assert everything(home) == before
    assert project.catalog.list_scenes() == []


# --- names, before anything is encoded ------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "../up", "/abs", "a/../b", "a//b", ".hidden", "a/.b", "x" * 256, "é" * 130,
     "a,b", "a...b", "a\nb", f"a{ZWSP}b", "a\x1b[31m", "a/", "\udce9", "x/" * 3000],
)  # fmt: skip
def test_a_scene_name_that_is_none_is_refused_before_anything_is_encoded(
    project: Project, cosmos: Cosmos, tmp_path: Path, name: str
) -> None:
    source = renders.render(tmp_path / "renders")
    before = everything(tmp_path)
    said = refused(cosmos("prepare", source, "--name", name))
    assert len(said) < 500
    assert everything(tmp_path) == before
    assert list(project.settings.inputs.glob("*")) == []
    assert project.catalog.list_scenes() == []


@pytest.mark.parametrize(
    "words",
    [["--name", ZWSP], ["--name", "x" * 201], ["--name", ""], ["--negative", "x" * 10_001],
     ["--parameter", "novalue"]],
)  # fmt: skip
def test_a_prompt_is_checked_before_its_scene_is_encoded(
    project: Project, cosmos: Cosmos, words: list[str]
) -> None:
    renders.render(project.settings.inputs / "city")
    before = everything(project.settings.home)
    refused(cosmos("create", "prompt", "A street", "city", *words))
    assert everything(project.settings.home) == before
    assert project.catalog.list_scenes() == []


@pytest.mark.parametrize("name", ["", ZWSP, "x" * 201, LONG, "\x1b"])
def test_a_recipe_name_that_is_none_is_refused(cosmos: Cosmos, name: str) -> None:
    refused(cosmos("create", "recipe", name, "--seed", "3"), "name")
    assert cosmos("list", "recipes", "--json").json == []


def test_a_scene_of_the_longest_name_is_registered_and_shown(
    project: Project, cosmos: Cosmos
) -> None:
    deep = "/".join(["x" * 255] * 3)
    project.scene(deep)
    assert cosmos("create", "prompt", "A street", deep).code == 0
    [scene] = cosmos("list", "scenes", "--json").json
    assert scene["key"] == deep


def test_scenes_of_names_that_look_alike_have_pictures_of_their_own(
    project: Project, cosmos: Cosmos
) -> None:
    project.scene("a/b")
    project.scene("a__b", frames=9)
    for key in ("a/b", "a__b"):
        assert cosmos("create", "prompt", "A street", key).code == 0
    pictures = list((project.settings.outputs / "previews" / "scenes").iterdir())
    assert len(pictures) == len({p.read_bytes() for p in pictures}) == 2


# --- ids of a megabyte, Latin-1 names, what is no file --------------------------------------------


@pytest.mark.parametrize(
    "words",
    [["show"], ["why"], ["logs"], ["run"], ["kill", "--run"], ["kill"], ["upscale"], ["inference"],
     ["prompt-enhance"], ["delete", "prompt"], ["delete", "run"], ["rate", "5"], ["tag", "rs_1"],
     ["search"], ["list", "runs", "--status"], ["list", "prompts", "--scene"], ["prepare"],
     ["create", "prompt", "x"], ["create", "run"], ["upscale", "--video"], ["export", "runs"],
     ["backup"], ["inference", "--prompts-file"], ["inference", "ps_1", "--recipe"],
     ["inference", "ps_1", "--regional-prompts"], ["create", "recipe", "x", "--engine"],
     ["--home"], ["nonsense"], ["--nonsense"], ["init"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("word", [LONG, "caf\udce9", "ps_" + LONG, "[" * (1 << 20)],
                         ids=["long", "latin-1", "ps_long", "deep"])  # fmt: skip
def test_a_word_that_nobody_meant_is_one_line(
    cosmos: Cosmos, words: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cosmos(*words, word)
    if said.code == 0:  # a name that nobody meant, and that may be
        assert words[0] in ("search", "list", "export", "backup", "init")
        assert "error" not in said.err
        return
    assert said.code in (1, 2, 3), said.err
    assert "error: unexpected" not in said.err
    assert len(said.error) < 1500
    assert said.err.count("error: ") == 1


@pytest.fixture
def odd(tmp_path: Path) -> Callable[[str], Path]:
    """What is no file: made where it is asked for."""
    bound = socket.socket(socket.AF_UNIX)

    def make(kind: str, path: Path | None = None) -> Path:
        path = path or tmp_path / kind
        path.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            here = Path.cwd()
            os.chdir(path.parent)  # the name of a socket has 107 bytes at most
            bound.bind(path.name)
            os.chdir(here)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            path.symlink_to(path)
        return path

    return make


KINDS = {"pipe": "is a pipe", "socket": "socket", "device": "is a device", "loop": "loop"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_waited_for(
    project: Project, cosmos: Cosmos, odd: Callable[..., Path], kind: str
) -> None:
    file = odd(kind)
    for words in (["inference", "--prompts-file"], ["upscale", "--video"], ["show"], ["prepare"]):
        refused(cosmos(*words, file))
    city = project.scene("city")
    (city / "color.mp4").unlink()
    file.rename(city / "color.mp4")
    refused(cosmos("create", "prompt", "A street", "city"), "color")


def test_renders_of_any_name_become_a_scene_of_a_name_that_can_be_written(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    source = tmp_path / "caf\udce9"  # a byte of Latin-1
    renders.sequence(source, "color_\udce9.%04d.png", renders.colour)
    renders.sequence(source, "na\udcefve.%04d.png", renders.colour)
    refused(cosmos("prepare", source), "no UTF-8", "Rename it")
    assert list(project.settings.inputs.glob("*")) == []
    made = cosmos("prepare", source, "--name", "cafe", "--json").json
    assert made["passes"]["color"]["frames"] == 6
    assert any("na?ve" in label for label in made["ignored"])
    assert cosmos("prepare", source, "--name", "cafe").code == 0
    assert cosmos("create", "prompt", "A street", "cafe").code == 0


def test_a_scene_or_video_of_a_name_that_cannot_be_written_is_refused(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    away = write_video(tmp_path / "caf\udce9" / "city" / "color.mp4")
    refused(cosmos("create", "prompt", "A street", away.parent), "no UTF-8")
    refused(cosmos("upscale", "--video", away), "no UTF-8")
    assert project.catalog.list_scenes() == []
    write_video(project.settings.inputs / "town" / "beauty_\udce9.mp4")
    assert cosmos("create", "prompt", "A street", "town").code == 0  # of a copy called color.mp4


# --- texts: prompts files, stdin, settings --------------------------------------------------------


@pytest.fixture
def prompt(project: Project, cosmos: Cosmos) -> str:
    project.scene()
    return cosmos("create", "prompt", "A warm street", "city", "--name", "warm").out.strip()


def test_a_prompts_file_may_begin_with_a_byte_order_mark(
    cosmos: Cosmos, prompt: str, tmp_path: Path
) -> None:
    for text in (f"{BOM}{prompt}\r\n", f"# mine\n{BOM}wa{ZWSP}rm\n", f"{prompt}\r"):
        (tmp_path / "p.txt").write_text(text, encoding="utf-8", newline="")
        said = cosmos("inference", "--prompts-file", tmp_path / "p.txt", "--dry-run", "--json")
        assert len(said.json) == 1


def test_a_prompts_file_in_another_encoding_is_told(cosmos: Cosmos, tmp_path: Path) -> None:
    for encoding, told in (("utf-16", "UTF-16"), ("latin-1", "no UTF-8")):
        (tmp_path / "p.txt").write_bytes("caf\xe9_street\n".encode(encoding))
        refused(cosmos("inference", "--prompts-file", tmp_path / "p.txt"), "p.txt", told, "Save it")


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_prompts_on_standard_input_may_begin_with_a_byte_order_mark(
    project: Project, cosmos: Cosmos, prompt: str, name: str
) -> None:
    words = ["--home", project.settings.home, "inference", "--prompts-file", name, "--dry-run"]
    said = spawn(*words, "--json", stdin_bytes=f"{BOM}{prompt}\n".encode())
    assert len(said.json) == 1
    refused(spawn(*words, stdin_bytes="caf\xe9\n".encode("utf-16")), "UTF-16", "standard input")
    refused(spawn(*words, stdin_bytes="caf\xe9\n".encode("latin-1")), "0xE9", "standard input")


def test_prompts_come_through_a_pipe_of_the_shell(project: Project, prompt: str) -> None:
    home = project.settings.home
    command = f"'{sys.executable}' -m cosmos_pipelines.cli --home {home} inference"
    said = spawn_shell(f"{command} --prompts-file <(echo {prompt}) --dry-run --json")
    assert len(said.json) == 1


def spawn_shell(line: str) -> Said:
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


def test_settings_may_begin_with_a_byte_order_mark(project: Project, cosmos: Cosmos) -> None:
    file = project.settings.home / "cosmos.toml"
    file.write_text(f"{BOM}[execution]\nengine = 'preview'\n", encoding="utf-8")
    assert cosmos("list", "runs").code == 0
    for encoding, told in (("utf-16", "UTF-16"), ("latin-1", "no UTF-8")):
        file.write_bytes("owner = 'team:caf\xe9'\n".encode(encoding))
        refused(cosmos("list", "runs"), "cosmos.toml", told)
    file.write_text("a = " + "[" * 100_000)
    refused(cosmos("list", "runs"), "cosmos.toml")
    file.unlink()
    os.mkfifo(file)
    refused(cosmos("list", "runs"), "cosmos.toml", "pipe")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('{"engine": ', "is not valid JSON"),
        ("{'engine': 'preview'}", "is not valid JSON"),
        ("[" * 100_000, "COSMOS_EXECUTION"),
        ("preview", "COSMOS_EXECUTION__ENGINE"),
        ("[1]", "COSMOS_EXECUTION"),
        ("3", "COSMOS_EXECUTION"),
        ('{"grace_s": "soon"}', "execution.grace_s"),
        ('{"gracs_s": 3}', "execution.gracs_s"),
        ('{"grace_s": NaN}', "execution.grace_s"),
        ('{"engine": 3}', "execution.engine"),
        ("caf\udce9", "COSMOS_EXECUTION"),
    ],
)
def test_a_broken_variable_is_told_by_its_name(
    cosmos: Cosmos, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    monkeypatch.setenv("COSMOS_EXECUTION", value)
    said = refused(cosmos("list", "runs"), told, "environment variable COSMOS_EXECUTION")
    assert "pydantic" not in said
    assert len(said) < 700


def test_a_table_may_be_given_as_json(cosmos: Cosmos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_EXECUTION", '{"engine": "cosmos3"}')
    assert cosmos("status", "--json").json["engine"] == "cosmos3"


@pytest.mark.parametrize("home", ["/nowhere/at/all", "/dev/null", "{file}", LONG, "a\udce9"])
def test_a_home_that_is_none_is_one_line(
    tmp_path: Path, home: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    code = main(["--home", home.format(file=tmp_path / "file"), "list", "runs"])
    said = Said(code, *capfd.readouterr())
    refused(said)
    assert len(said.error) < 1200
