"""What people brought from the field: inputs that once went wrong, through the `cosmos` command.

`cases/field/NN/` has a case's files and `right.txt`: a paragraph that says what it is about, an
empty line, and the right value, line by line. A function here tries the case in a fresh project and
yields those lines. A new case is a folder and a function.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.cli import main
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.probe import Probe, probe
from cosmos_pipelines.media.shown import Shown
from cosmos_pipelines.runs.scene_requests import read_request, register_request
from cosmos_pipelines.settings import load_settings
from tests.cli.conftest import Said, spawn
from tests.support.disks import mounted

FIELD = Path(__file__).parent / "cases" / "field"

SENSOR = """
import sys, time
from pathlib import Path
import dagster as dg
from cosmos_pipelines.resources.dagster_resources import resources_of
from cosmos_pipelines.sensors.new_scenes import new_scenes
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import load_settings
settings = load_settings(Path(sys.argv[1]))
cursor = None
for look in range(3):
    time.sleep(1.1 if look else 0)
    resources = {"catalog": resources_of(settings)["catalog"]}
    instance = dg.DagsterInstance.ephemeral()
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = new_scenes(context)
        cursor = getattr(result, "cursor", None) or context.cursor
print([scene.key for scene in Catalog.open(settings.catalog_url).list_scenes()])
"""
"""Ticks the sensor of a project; prints the keys of the scenes that it registered."""


@dataclass(frozen=True)
class Case:
    """A copy of a case's files in `files`, and a fresh project beside it."""

    files: Path
    project: Path
    capture: pytest.CaptureFixture[str]

    def cosmos(self, *words: object) -> Said:
        """Run a command in the project."""
        self.capture.readouterr()
        with chdir(self.project):
            code = main([*map(str, words)])
        return Said(code, *self.capture.readouterr())

    def put(self, scene: str, **passes: str) -> Path:
        """A directory with files of the case under the names of passes: `color="vfr.mp4"`."""
        directory = self.files / scene
        directory.mkdir(parents=True)
        for name, file in passes.items():
            shutil.copy(self.files / file, directory / f"{name}{Path(file).suffix}")
        return directory

    def made(self, scene: str, file: str = "color.mp4") -> Probe:
        """A video of a scene of the project."""
        return probe(self.project / "inputs/videos" / scene / file)

    def listed(self, scene: str) -> dict[str, Any]:
        """The color pass of a scene, as the catalog has it."""
        [found] = [s for s in self.cosmos("list", "scenes", "--json").json if s["key"] == scene]
        facts: dict[str, Any] = found["facts"]["color"]
        return facts


def told(said: Said, words: str) -> Iterator[str]:
    """The lines on stderr that hold `words`."""
    yield from (f"told: {line}" for line in said.err.splitlines() if words in line)


Tried = Callable[[Case], Iterator[str]]
CASES: dict[str, Tried] = {}


def case(number: str) -> Callable[[Tried], Tried]:
    """Registers the function that tries the case with this number."""

    def register(function: Tried) -> Tried:
        CASES[number] = function
        return function

    return register


def test_every_case_has_a_folder_and_a_function() -> None:
    assert sorted(p.name for p in FIELD.iterdir()) == sorted(CASES)


@pytest.mark.parametrize("number", sorted(p.name for p in FIELD.iterdir()))
def test_a_case_from_the_field_has_its_right_value(
    tmp_path: Path, number: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FIELD / number, tmp_path / "files")
    (tmp_path / "project").mkdir()
    tried = Case(tmp_path / "files", tmp_path / "project", capfd)
    assert tried.cosmos("init").code == 0
    _, _, right = (FIELD / number / "right.txt").read_text(encoding="utf-8").partition("\n\n")
    assert list(CASES[number](tried)) == right.splitlines()


@case("01")
def negative_frame_numbers(tried: Case) -> Iterator[str]:
    for name in ("neg_only", "neg_dot"):
        passes = tried.cosmos("prepare", tried.files / name, "--json").json["passes"]
        found = tried.made(name)
        blue = [float(picture[..., 2].mean()) for picture in pictures_of(found.path)]
        rises = "rises" if blue == sorted(blue) and blue[-1] > blue[0] + 32 else f"goes {blue}"
        yield f"{name}: {_numbers(passes['color'])}, blue {rises} from the first to the last"
    yield f"neg_dot depth: {_numbers(passes['depth'])}"


def _numbers(entry: dict[str, Any]) -> str:
    source = entry["source"]
    return f"{entry['frames']} frames from {source['first']} to {source['last']}"


@case("02")
def turned_by_a_display_matrix(tried: Case) -> Iterator[str]:
    said = tried.cosmos("prepare", tried.put("a", color="color.mov"), "--name", "s")
    yield f"prepared from color.mov: {_size(tried.made('s'))}"
    yield from told(said, "turned")
    scene = tried.put("../project/inputs/videos/t", color="color_h264.mp4")
    before = sha256_of(scene / "color.mp4")
    assert tried.cosmos("create", "prompt", "x", "t").code == 0
    listed = tried.listed("t")
    size = f"{listed['width']}x{listed['height']}"
    yield f"color_h264.mp4 as it lies in the scene: listed as {size}"
    yield f"what the scene uses of it: {_size(tried.made('t', listed['file']))}"
    same = "as it was" if sha256_of(scene / "color.mp4") == before else "changed"
    yield f"the file itself: {same}"
    refused = tried.cosmos("upscale", "--video", scene / "color.mp4", "--dry-run")
    why = "turned left by 90 degrees" if "turned left by 90 degrees" in refused.err else refused.err
    yield f"its 4K from the file: {'refused' if refused.code == 2 else refused.code} ({why})"


def _size(found: Probe) -> str:
    plain = "plain" if found.shown == Shown() else " and ".join(found.shown.changes)
    return f"{found.width}x{found.height}, {plain}"


@case("04")
def one_rate_in_two_spellings(tried: Case) -> Iterator[str]:
    source = tried.put("s", color="color.mp4", depth="depth.mp4")
    yield f"without --fps: {_rate(tried.cosmos('prepare', source, '--json').json)}"
    yield from told(tried.cosmos("prepare", source, "--name", "told"), "another way to write")
    for n, rate in enumerate(("30000/1001", "29.97")):
        made = tried.cosmos("prepare", source, "--fps", rate, "--name", f"s{n}", "--json").json
        yield f"with --fps {rate}: {_rate(made)}"
    tried.put("../project/inputs/videos/t", color="color.mp4", depth="depth.mp4")
    assert tried.cosmos("create", "prompt", "x", "t").code == 0
    yield f"as they lie in the scene: listed as {tried.listed('t')['fps']} fps"


def _rate(made: dict[str, Any]) -> str:
    return ", ".join([made["fps"], *(f"{n} {p['made']}" for n, p in made["passes"].items())])


@case("05")
def rates_that_a_model_does_not_know(tried: Case) -> Iterator[str]:
    for with_fps in (False, True):
        for file in ("vfr.mp4", "ntsc.mp4"):
            name = file.partition(".")[0] + ("30" if with_fps else "")
            source = tried.put(name, color=file)
            said = tried.cosmos("prepare", source, *(("--fps", 30) if with_fps else ()))
            found = tried.made(name)
            what = f"{file} with --fps 30" if with_fps else file
            yield f"{what}: {found.frames} frames at {found.fps}, {_cosmos3(tried, name)}"
            yield f"at 30 {_cosmos3(tried, name, '--fps', 30)}"
            yield from told(said, "the same 24 frames" if with_fps else "its rate varies")


def _cosmos3(tried: Case, scene: str, *more: object) -> str:
    tried.cosmos("create", "prompt", "a street", scene, "--name", f"p{scene}")
    words = ("--engine", "cosmos3", "--weights", 0.5, 0.5, 0, 0, "--dry-run")
    said = tried.cosmos("inference", f"p{scene}", *words, *more)
    if said.code == 0:
        return "Cosmos 3 takes it"
    return f"Cosmos 3 refuses: {said.err[said.err.index('`cosmos prepare`') :].strip().rstrip('.')}"


@case("06")
def links_that_lead_back(tried: Case) -> Iterator[str]:
    several: list[dict[str, str]] = [{"archive/all": ".."}, {"latest": ".", "today": "."}]
    for links in several:
        there = _another(tried, tried.project / "-".join(links).replace("/", "_"))
        there.put(f"{there.project}/inputs/videos/city", color="color.mp4")
        for name, target in links.items():
            link = there.project / "inputs/videos" / name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(target)
        done = subprocess.run(
            [sys.executable, "-c", SENSOR, there.project],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield f"with {links}: scenes {done.stdout.splitlines()[-1]}"


def _another(tried: Case, project: Path) -> Case:
    """The same files, and another fresh project."""
    project.mkdir(exist_ok=True)
    there = replace(tried, project=project)
    assert there.cosmos("init").code == 0
    return there


@case("08")
def byte_order_marks_in_requests(tried: Case) -> Iterator[str]:
    settings = load_settings(tried.project)
    for name, file in (("a", "prompt.txt"), ("b", "scene.toml")):
        scene = tried.put(f"../project/inputs/videos/{name}", color="color.mp4")
        shutil.copy(tried.files / name / file, scene)
        request = read_request(scene)
        assert request is not None
        with Catalog.open(settings.catalog_url) as catalog:
            prompts, runs = register_request(catalog, settings, scene, request)
        yield f"{file}: {[prompt.text for prompt in prompts]}, {len(runs)} run"
    typed = tried.cosmos("create", "prompt", "A wet street at night", "a")
    yield from told(typed, "exists already")


@case("14")
def a_project_that_was_moved(tried: Case) -> Iterator[str]:
    tried.put(f"{tried.project}/inputs/videos/town", color="color.mp4")
    assert tried.cosmos("create", "prompt", "first street", "town", "--name", "one").code == 0
    moved = replace(tried, project=tried.project.rename(tried.project.with_name("elsewhere")))
    for words in (
        ("inference", "one", "--dry-run"),
        ("verify", "--fix"),
        ("create", "prompt", "third street", "town"),
        ("inference", "one", "--dry-run"),
    ):
        said = moved.cosmos(*words)
        missing = [line for line in said.err.splitlines() if "There is no" in line]
        yield f"{' '.join(words)}: exit code {said.code}, missing: {missing or 'nothing'}"


class Apart(Case):
    """The same, but each command is a process: what it leaves open is on the disk of the test."""

    def cosmos(self, *words: object) -> Said:
        """Run a command in the project, in a process of its own."""
        return spawn(*words, cwd=self.project)


@case("16")
def a_disk_that_fills_under_dagster_s_records(tried: Case) -> Iterator[str]:
    with mounted(tried.project.with_name("tiny"), "2700k") as disk:
        there = Apart(tried.files, disk, tried.capture)
        assert there.cosmos("init").code == 0
        there.put(f"{disk}/inputs/videos/town", color="color.mp4")
        assert there.cosmos("create", "prompt", "first street", "town", "--name", "one").code == 0
        filler = disk / "filler"
        filler.write_bytes(bytes(1_300_000))
        said = there.cosmos("inference", "one", "--num-steps", "5")
        full = "no room is left" in said.error or "disk_full" in said.error
        one_line = full and "unexpected" not in said.err
        why = "the disk is full, in one line" if one_line else said.err
        yield f"inference: exit code {said.code}, {why}"
        yield f"why latest: {there.cosmos('why', 'latest', '--json').json['error_kind']}"
        filler.unlink()
        shutil.rmtree(disk / ".dagster")  # every try takes its part of so small a disk
        again = there.cosmos("run", "latest")
        yield f"run latest, with room again: exit code {again.code}"
