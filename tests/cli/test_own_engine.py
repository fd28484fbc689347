"""An engine of another package: found, used, set and examined, and no danger to the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cosmos_pipelines.operations import Transfer
from tests.cli.conftest import ROOT, Said, spawn
from tests.support.dagster_project import add_prompt
from tests.support.own_engine import install, install_tint
from tests.support.project import Project

Run = Callable[..., Said]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where the example of docs/engines.md is installed."""
    return install_tint(tmp_path / "site")


@pytest.fixture
def cosmos(project: Project, site: Path) -> Run:
    """Run a command on the project in a process of its own, which finds the packages of `site`."""

    def run(*words: object, **env: str) -> Said:
        home = project.settings.home
        return spawn("--home", home, *words, env={"PYTHONPATH": str(site), **env})

    return run


@pytest.fixture
def prompt(project: Project) -> str:
    """A prompt's id; the scene has only its colour pass."""
    scene = project.scene()
    (scene / "depth.mp4").unlink()
    (scene / "segmentation.mp4").unlink()
    return add_prompt(project, "A street").id


def set_(project: Project, text: str) -> None:
    """Write the project's cosmos.toml."""
    (project.settings.home / "cosmos.toml").write_text(text, encoding="utf-8")


def colour_of(project: Project, run: dict[str, Any]) -> np.ndarray:
    """The mean red, green and blue of a run's video."""
    with av.open(str(project.settings.home / run["outputs"]["video"])) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return np.stack(frames).mean((0, 1, 2))


def test_its_program_makes_a_video_with_its_own_setting(
    project: Project, cosmos: Run, prompt: str
) -> None:
    words = ("inference", prompt, "--engine", "tint", "--seed", "4", "--fps", "12", "--json")
    set_(project, "[tint]\nstrength = 1.0\n")
    said = cosmos(*words)
    assert said.code == 0, said.err
    run = said.json
    assert (run["engine"], run["status"], run["notes"]) == ("tint", "completed", [])
    assert (run["outputs"]["frames"], run["outputs"]["fps"]) == (6, "12")
    assert "frame 6 of 6 in /" in said.err
    red, green, blue = colour_of(project, run)
    assert green > 240 and max(red, blue) < 100  # a third of the circle of hues
    plain = cosmos(*words, COSMOS_TINT__STRENGTH="0").json
    assert np.ptp(colour_of(project, plain)) < 60


def test_what_it_refuses_ignores_and_checks_is_told(
    project: Project, cosmos: Run, prompt: str
) -> None:
    inference = ("inference", prompt, "--engine", "tint", "--dry-run")
    region = json.dumps([{"prompt": "a car", "mask_prompt": "car"}])
    said = cosmos(*inference, "--regional-prompts", region)
    assert said.code == 2
    assert "Studio Tint has no regional_prompts: the whole picture has one colour." in said.error
    notes = cosmos(*inference, "--num-steps", "9", "--json").json[0]["notes"]
    assert notes == ["Studio Tint does not use: num_steps."]
    assert cosmos("upscale", "--video", "x.mp4", "--engine", "tint").error.startswith(
        "error: The engine tint has no upscale."
    )


@pytest.mark.parametrize(
    ("text", "env", "wrong"),
    [
        ("[tint]\n\nstrenght = 1", {}, "cosmos.toml, line 3: tint.strenght is not a setting"),
        ("[tint]\nstrength = 7", {}, "line 2: tint.strength 7: Input should be less than"),
        ("", {"COSMOS_TINT__STRENGTH": "x"}, "environment variable COSMOS_TINT__STRENGTH"),
        ("[tind]\na = 1", {}, "line 1: tind is not a setting, nor the table of an engine"),
        ("tind = 1", {}, "line 1: tind is not a setting"),
        ("[preview]\na = 1", {}, "line 1: preview is not a setting, nor the table of an engine"),
        ("[tint]\nstrength = 7\n[ui]\nport = 0", {}, "line 4: ui.port 0: Input should be"),
        ("[tint]\nstrength = 7\n[ui]\nport = 0", {}, "line 2: tint.strength 7: Input should be"),
    ],
)
def test_its_table_is_as_strict_as_any(
    project: Project, cosmos: Run, text: str, env: dict[str, str], wrong: str
) -> None:
    set_(project, text)
    said = cosmos("list", "runs", **env)
    assert said.code == 2
    assert wrong in said.error


def test_without_its_package_its_table_and_its_name_are_unknown(
    project: Project, cosmos: Run
) -> None:
    set_(project, "[tint]\nstrength = 0.5\n")
    assert cosmos("list", "runs").code == 0
    said = cosmos("list", "runs", PYTHONPATH="")
    assert "tint is not a setting, nor the table of an engine that is here" in said.error
    set_(project, '[execution]\nengine = "tint"\n')
    checks = {check["name"]: check for check in cosmos("doctor", "--json", PYTHONPATH="").json}
    assert "line 2: execution.engine: There is no engine 'tint'" in checks["engine"]["found"]


def test_a_new_project_has_its_table(site: Path, tmp_path: Path) -> None:
    assert spawn("init", tmp_path / "new", env={"PYTHONPATH": str(site)}).code == 0
    text = (tmp_path / "new" / "cosmos.toml").read_text(encoding="utf-8")
    assert "[tint]\nstrength = 0.5  # how much of the colour is laid over\n" in text


ON_THE_PAGE = """
import json, sys
from pathlib import Path
from cosmos_pipelines.assets.partitions import VIDEOS
from cosmos_pipelines.resources.instance import open_instance
from tests.support.dagster_project import materialize, metadata_of, run_job
from tests.support.project import Project
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import load_settings

settings, prompt = load_settings(Path(sys.argv[1])), sys.argv[2]
project = Project(settings, Catalog.open(settings.catalog_url), backend_for(settings))
with open_instance(settings, captures=False) as instance:
    form = {"prompts": [prompt], "engine": "tint", "settings": {"seed": 4}, "queue": False}
    filled = run_job(project, instance, "create_runs", "register_runs", **form)
    [run] = filled.output_for_node("register_runs")
    made = materialize(project, instance, VIDEOS, run)
    shown = metadata_of(instance, VIDEOS, run)
print(json.dumps([made.success, shown["engine"], shown["frames"], shown["size"]]))
"""


def test_the_form_of_the_page_makes_a_run_of_it_and_the_asset_its_video(
    project: Project, site: Path, prompt: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_THE_PAGE, str(project.settings.home), prompt],
        env={**os.environ, "PYTHONPATH": f"{site}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [True, "Studio Tint", 6, "64 x 48"]


def test_what_its_tables_say_is_held_by_the_same_properties_as_ours(site: Path) -> None:
    words = ["-q", "-p", "no:cacheprovider", "tests/engines/test_fields.py", "-k", "tint"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        env={**os.environ, "PYTHONPATH": str(site), "PYTEST_ADDOPTS": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # its tables, every field, and what is no engine's business
    assert f"{1 + len(Transfer.model_fields) + 1} passed" in done.stdout


def test_doctor_shows_it(cosmos: Run) -> None:
    found = {check["name"]: check for check in cosmos("doctor", "--json").json}
    assert found["engine tint"]["result"] == "ok"
    assert found["engine tint"]["found"] == "Studio Tint, of the package studio-tint 1.0"


# ---- packages that cannot be used, beside it

ENGINE = """
from cosmos_pipelines.engines.preview import Preview
class {0}(Preview):
    name = "{1}"
    label = "Another"
"""
BROKEN = {
    "no-torch 2.0": ("torchy", "import torch_that_is_not_there", "made:Engine",
                     "ModuleNotFoundError: No module named 'torch_that_is_not_there'"),
    "quits 1.1": ("quits", "import sys; sys.exit('no GPU')", "made:Engine", "SystemExit: no GPU"),
    "gone 1.0": ("gone", "", "made:Engine", "has no attribute 'Engine'"),
    "number 1.0": ("number", "Engine = 3", "made:Engine", "it is not an Engine, but of the type"),
    "half 1.0": ("half", "from cosmos_pipelines.engines.base import Engine", "made:Engine",
                 "TypeError: Can't instantiate abstract class Engine"),
    "shadow 1.0": ("preview", ENGINE.format("Shadow", "preview"), "made:Shadow",
                   "its name is in use: Cosmos Pipelines itself has the same name"),
    "table 1.0": ("docker", ENGINE.format("Docker", "docker"), "made:Docker",
                  "its name is in use: docker is another setting of cosmos.toml"),
    "alias 1.0": ("alias", ENGINE.format("Alias", "other"), "made:Alias",
                  "its class has the name 'other'"),
    "terse 1.0": ("terse", ENGINE.format("Terse", "terse") + (
        "    refuses = {'transfer': {'seed'}}\n"
    ), "made:Terse", "its refuses gives fields without reasons"),
    "dashed 1.0": ("my-engine", ENGINE.format("Dashed", "my-engine"), "made:Dashed",
                   "other characters than small letters"),
    "needy 1.0": ("needy", ENGINE.format("Needy", "needy") + (
        "    from cosmos_pipelines.engines.base import EngineOptions\n"
        "    class options_type(EngineOptions):\n        must: int\n"
    ), "made:Needy", "ValidationError: 1 validation error"),
}  # fmt: skip
"""By package: the entry point's name, the module, what the entry point names, and what is told."""


@pytest.fixture
def beside(site: Path) -> None:
    """All of these are installed beside the example."""
    for package, (name, text, where, _) in BROKEN.items():
        module = f"broken_{package.split()[0].replace('-', '_')}"
        install(site, package, {name: where.replace("made", module)}, {f"{module}.py": text})


@pytest.mark.usefixtures("beside")
def test_packages_that_cannot_be_used_are_told_by_doctor_and_harm_nobody(
    cosmos: Run, prompt: str
) -> None:
    checks = cosmos("doctor", "--json")
    assert checks.code == 0
    found = {check["name"]: check for check in checks.json}
    for package, (name, _, _, why) in BROKEN.items():
        check = found[f"engine {name}"]
        assert check["result"] == "warn"
        assert f"The engine {name!r} of the package {package} cannot be used: " in check["found"]
        assert why in check["found"]
        assert "\n" not in check["found"]
    assert found["engine tint"]["result"] == "ok"
    assert cosmos("inference", prompt, "--engine", "tint", "--json").json["status"] == "completed"
    assert cosmos("inference", prompt, "--json").json["engine"] == "preview"
    assert cosmos("list", "runs").out.count("Studio Tint") == 1


@pytest.mark.usefixtures("beside")
def test_one_that_cannot_be_used_is_told_in_one_line_where_it_is_named(
    project: Project, cosmos: Run, prompt: str
) -> None:
    why = (
        "The engine 'torchy' of the package no-torch 2.0 cannot be used: ModuleNotFoundError: "
        "No module named 'torch_that_is_not_there'."
    )
    said = cosmos("inference", prompt, "--engine", "torchy")
    assert (said.code, said.out) == (2, "")
    assert said.error.startswith(f"error: {why}")
    # with a table that nobody can check, and as the engine of the project
    set_(project, '[torchy]\nany = 1\n[execution]\nengine = "torchy"\n')
    said = cosmos("inference", prompt)
    assert said.code == 2
    assert f"cosmos.toml, line 4: execution.engine: {why}" in said.error
    assert cosmos("status").code == cosmos("list", "runs").code == 0
    checks = {check["name"]: check for check in cosmos("doctor", "--json").json}
    assert checks["engine"]["result"] == "fail"
    assert why in checks["engine"]["found"]
    assert cosmos("inference", prompt, "--engine", "tint", "--json").json["status"] == "completed"


def test_two_packages_that_claim_one_name_are_both_left_out(
    site: Path, cosmos: Run, prompt: str
) -> None:
    install(site, "copycat 3.0", {"tint": "copycat:Tint"}, {"copycat.py": "Tint = 3"})
    found = [c["found"] for c in cosmos("doctor", "--json").json if c["name"] == "engine tint"]
    assert len(found) == 2
    said = cosmos("inference", prompt, "--engine", "tint")
    assert said.code == 2
    assert "studio-tint 1.0" in said.error and "copycat 3.0" in said.error
    assert cosmos("inference", prompt, "--json").json["status"] == "completed"


def test_no_other_package_is_loaded_by_a_command_that_does_not_use_it(
    project: Project, site: Path, cosmos: Run
) -> None:
    loud = "raise SystemExit('loaded')"
    install(site, "loud 1.0", {"loud": "loud:Engine"}, {"loud.py": f"print('LOUD')\n{loud}"})
    set_(project, "[tint]\nstrength = 0.1\n[cosmos3]\nmax_batch = 3\n")
    for words in (["list", "runs"], ["status"], ["--help"], ["inference", "--help"]):
        said = cosmos(*words)
        assert said.code == 0
        assert "LOUD" not in said.out + said.err


def test_an_engine_may_be_called_as_something_that_settings_have_for_themselves(
    project: Project, site: Path, cosmos: Run, prompt: str
) -> None:
    module = ENGINE.format("Work", "work") + (
        "    from cosmos_pipelines.engines.base import EngineOptions\n"
        "    class options_type(EngineOptions):\n        level: int = 1\n"
    )
    install(site, "work 1.0", {"work": "work_engine:Work"}, {"work_engine.py": module})
    for text in ("", "[work]\nlevel = 2\n"):
        set_(project, text)
        run = cosmos("inference", prompt, "--engine", "work", "--json").json
        assert (run["engine"], run["status"]) == ("work", "completed")
