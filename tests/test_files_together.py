"""Eight processes do the same at the same moment, and each of them comes to a good end."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from cosmos_pipelines.catalog.export import export
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.cli import main
from cosmos_pipelines.cli.init import settings_file
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import copy_verified, sha256_of, write_text
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.pictures import preview
from cosmos_pipelines.media.prepare import load_scene, prepare_scene
from cosmos_pipelines.resources.instance import TEMPLATE, instance_directory
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.settings import Settings, load_settings
from tests.catalog.rows import add_prompt
from tests.media import renders
from tests.support.project import make_project
from tests.support.together import EIGHT, meet, together

WELL = [0] * EIGHT
WRITES = 30


def parts(directory: Path) -> list[Path]:
    return [p for p in directory.rglob("*") if p.name.endswith(".part")]


def me(act: object) -> str:
    """A function of this file as `together` takes it."""
    return f"{__name__}:{act.__name__}"  # type: ignore[attr-defined]


def write_or_read(number: int, path: str) -> None:
    """Five write, three read; each content is one letter, and longer than a page."""
    for _ in range(WRITES):
        if number < 5:
            write_text(Path(path), "abcde"[number] * (100_000 + number))
        else:
            text = Path(path).read_text()
            assert text in {letter * (100_000 + n) for n, letter in enumerate("abcde")}


def test_readers_see_one_whole_content_while_others_write_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_text(file, "a" * 100_000)
    assert together(me(write_or_read), file) == WELL
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def copy(_: int, source: str, target: str) -> None:
    copy_verified(Path(source), Path(target), sha256_of(Path(source)))


def test_one_content_is_kept_by_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    assert together(me(copy), tmp_path / "source", tmp_path / "kept") == WELL
    assert (tmp_path / "kept").read_bytes() == (tmp_path / "source").read_bytes()
    assert parts(tmp_path) == []


def show(_: int, video: str, picture: str) -> None:
    preview(Path(video), Path(picture))


def test_the_preview_of_one_video_is_made_by_all_of_them(tmp_path: Path) -> None:
    renders.video(tmp_path / "a.mp4", frames=24, width=320, height=176)
    picture = tmp_path / "previews" / "a.webp"
    assert together(me(show), tmp_path / "a.mp4", picture) == WELL
    with Image.open(picture) as made:
        made.load()
        assert made.n_frames == 24  # type: ignore[attr-defined]
    assert [p.name for p in picture.parent.iterdir()] == ["a.webp"]


def test_prompts_for_a_scene_that_nobody_has_registered_yet(tmp_path: Path) -> None:
    project = make_project(tmp_path / "home")
    project.scene(frames=24, width=640, height=352)
    words = [sys.executable, "-m", "cosmos_pipelines.cli", "--home", project.settings.home]
    started = [
        subprocess.Popen(
            [*words, "create", "prompt", f"A street, number {n}", "city"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for n in range(EIGHT)
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == WELL, said
    assert {p.id for p in project.catalog.list_prompts()} == {line.strip() for line in said}
    assert [s.key for s in project.catalog.list_scenes()] == ["city"]
    assert parts(project.settings.home) == []


def register(number: int, home: str) -> None:
    settings = load_settings(Path(home))
    with Catalog.open(settings.catalog_url) as catalog:
        register_prompt(catalog, settings, f"A street, number {number}", "city")


def test_prompts_for_pictures_that_nobody_has_prepared_yet(tmp_path: Path) -> None:
    project = make_project(tmp_path / "home")
    renders.render(project.settings.inputs / "city")
    assert together(me(register), project.settings.home) == WELL
    assert len(project.catalog.list_prompts()) == EIGHT
    (scene,) = project.catalog.list_scenes()
    assert set(scene.facts) == {"color", "depth", "segmentation"}
    assert parts(project.settings.home) == []


def prepare(_: int, source: str, dest: str) -> None:
    made = prepare_scene(Path(source), Path(dest), Asked(fps=Fraction(24)))
    assert load_scene(Path(dest)).sha256["color"] == made["passes"]["color"]["sha256"]
    if not made["unchanged"]:
        write_text(Path(f"{source}.made"), "", new=True)


@pytest.mark.parametrize("dest", ["renders", "city"], ids=["in place", "elsewhere"])
def test_a_scene_is_prepared_once_and_is_whole_for_all_of_them(tmp_path: Path, dest: str) -> None:
    source = renders.render(tmp_path / "renders")
    assert together(me(prepare), source, tmp_path / dest) == WELL
    record = json.loads((tmp_path / dest / "scene.json").read_text())
    for name, entry in record["passes"].items():
        assert sha256_of(tmp_path / dest / f"{name}.mp4") == entry["sha256"]
    assert (tmp_path / "renders.made").exists()
    assert parts(tmp_path) == []


def start_project(number: int, *homes: str) -> None:
    for home in homes:
        meet(Path(f"{home}.meeting"), number)
        file = instance_directory(Settings(home=Path(home))) / "dagster.yaml"
        assert file.read_bytes() == TEMPLATE.read_bytes()


def test_fresh_projects_get_their_dagster_yaml(tmp_path: Path) -> None:
    homes = [tmp_path / str(n) for n in range(50)]
    for home in homes:
        Path(f"{home}.meeting").mkdir()
    assert together(me(start_project), *homes) == WELL
    files = {p.relative_to(home).as_posix() for home in homes for p in home.rglob("*")}
    assert files == {".dagster", ".dagster/dagster.yaml"}


def start_as_before(_: int, *homes: str) -> None:
    for home in homes:
        instance_directory(Settings(home=Path(home)))


def test_a_dagster_yaml_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    now = TEMPLATE.read_bytes()
    homes = [tmp_path / str(n) for n in range(20)]
    for home in homes:
        (home / ".dagster").mkdir(parents=True)
        before = now.replace(b"resources.run_launcher", b"resources.launcher")
        (home / ".dagster" / "dagster.yaml").write_bytes(before)
    assert together(me(start_as_before), *homes) == WELL
    for home in homes:
        assert [p.read_bytes() for p in (home / ".dagster").iterdir()] == [now]


def init(_: int, directory: str) -> int:
    return main(["init", directory])


def test_one_of_them_starts_the_project_and_the_others_are_told_so(tmp_path: Path) -> None:
    home = tmp_path / "new"
    assert sorted(together(me(init), home)) == [0] + [3] * (EIGHT - 1)
    assert (home / "cosmos.toml").read_text(encoding="utf-8") == settings_file()
    assert sorted(p.name for p in home.iterdir()) == ["cosmos.toml", "inputs"]


def open_catalog(number: int, url: str) -> None:
    with Catalog.open(url) as catalog:
        add_prompt(catalog, f"fog {number}")


def test_a_fresh_catalog_is_made_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'outputs' / 'cosmos.db'}"
    assert together(me(open_catalog), url) == WELL
    with Catalog.open(url) as catalog:
        assert {p.text for p in catalog.list_prompts()} == {f"fog {n}" for n in range(EIGHT)}


def export_prompts(_: int, url: str, file: str) -> None:
    with Catalog.open(url) as catalog:
        for _ in range(5):
            assert export(catalog, "prompts", Path(file)) == 30
            assert len(json.loads(Path(file).read_text())) == 30


def test_an_export_to_one_file_is_whole(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cosmos.db'}"
    with Catalog.open(url) as catalog:
        for n in range(30):
            add_prompt(catalog, f"fog {n}")
    (tmp_path / "out").mkdir()
    assert together(me(export_prompts), url, tmp_path / "out" / "prompts.json") == WELL
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["prompts.json"]


def back_up(_: int, url: str, file: str) -> int:
    from cosmos_pipelines.catalog.backup import backup

    with Catalog.open(url) as catalog:
        try:
            backup(catalog, Path(file))
        except InputError as e:
            return 2 if "exists already" in str(e) else 1
    return 0


def test_a_backup_is_never_written_over_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cosmos.db'}"
    with Catalog.open(url) as catalog:
        add_prompt(catalog, "fog")
    (tmp_path / "out").mkdir()
    copy = tmp_path / "out" / "copy.db"
    assert sorted(together(me(back_up), url, copy)) == [0] + [2] * (EIGHT - 1)
    with Catalog.open(f"sqlite:///{copy}") as restored:
        assert len(restored.list_prompts()) == 1
    assert parts(tmp_path) == []
