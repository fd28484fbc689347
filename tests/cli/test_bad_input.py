"""Bad input of every kind: one line, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Cosmos, Said, spawn
from tests.support.project import Project, write_video

Left = Callable[[], list[str]]
Forbid = Callable[[Path, int], None]


@pytest.fixture
def left(project: Project) -> Left:
    """Everything that has appeared since: files, scenes, prompts, runs."""

    def look() -> list[str]:
        files = [p for p in project.settings.home.rglob("*") if p.is_file()]
        rows = [
            *(scene.key for scene in project.catalog.list_scenes()),
            *(prompt.id for prompt in project.catalog.list_prompts()),
            *(f"{run.id} {run.status}" for run in project.catalog.list_runs()),
        ]
        ours = {"cosmos.db", "cosmos.db-wal", "cosmos.db-shm", "scene.json"}
        return sorted(str(f) for f in files if f.name not in ours) + rows

    before: list[str] = []

    def appeared() -> list[str]:
        now = look()
        if not before:
            before.extend([*now, "the first look was taken"])
            return []
        return [one for one in now if one not in before]

    return appeared


def refused(said: Said, *words: str, code: int = 2) -> str:
    """The one line of a refusal, which has all `words`."""
    assert said.code == code, said.err
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if line]
    assert lines == [said.error]
    for word in words:
        assert word in said.error
    return said.error


def sequence(directory: Path, name: str, numbers: range | list[int], size: tuple[int, int]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    width, height = size
    for i in numbers:
        pixels = np.full((height, width, 3), 40 + i, dtype=np.uint8)
        Image.fromarray(pixels).save(directory / f"{name}.{i:04}.png")


# --- scenes ---------------------------------------------------------------------------------------


def test_a_gap_in_the_numbering_is_named(
    project: Project, cosmos: Cosmos, tmp_path: Path, left: Left
) -> None:
    left()
    sequence(tmp_path / "render", "color", [1, 2, 3, 5, 6], (64, 48))
    line = refused(cosmos("prepare", tmp_path / "render", "--fps", "24"), "color")
    assert "4" in line
    assert left() == []


def test_passes_of_different_length_are_refused(
    project: Project, cosmos: Cosmos, tmp_path: Path, left: Left
) -> None:
    left()
    sequence(tmp_path / "render", "color", range(1, 7), (64, 48))
    sequence(tmp_path / "render", "depth", range(1, 6), (64, 48))
    refused(cosmos("prepare", tmp_path / "render", "--fps", "24"), "depth", "5", "6")
    assert left() == []


def test_passes_of_different_size_are_refused(
    project: Project, cosmos: Cosmos, tmp_path: Path, left: Left
) -> None:
    left()
    sequence(tmp_path / "render", "color", range(1, 5), (64, 48))
    sequence(tmp_path / "render", "segmentation", range(1, 5), (32, 48))
    refused(cosmos("prepare", tmp_path / "render", "--fps", "24"), "segmentation", "64x48", "32x48")
    assert left() == []


def test_a_scene_without_colour_is_refused(project: Project, cosmos: Cosmos, left: Left) -> None:
    scene = project.scene()
    (scene / "color.mp4").unlink()
    left()
    refused(cosmos("create", "prompt", "A street", "city"), "color")
    refused(cosmos("prepare", scene), "color")
    assert left() == []


def test_a_directory_that_is_not_there_is_refused(
    project: Project, cosmos: Cosmos, tmp_path: Path, left: Left
) -> None:
    left()
    refused(cosmos("create", "prompt", "A street", "nowhere"), "nowhere")
    refused(cosmos("prepare", tmp_path / "nowhere"), "nowhere")
    refused(cosmos("create", "prompt", "A street", "../.."))
    assert left() == []


def test_a_truncated_video_is_refused(project: Project, cosmos: Cosmos, left: Left) -> None:
    scene = project.scene(frames=24)
    whole = (scene / "color.mp4").read_bytes()
    left()
    for keep in (len(whole) // 2, len(whole) - 40, 0):
        (scene / "color.mp4").write_bytes(whole[:keep])
        refused(cosmos("create", "prompt", "A street", "city"), "color.mp4")
    assert left() == []


def test_a_text_file_called_mp4_is_refused(project: Project, cosmos: Cosmos, left: Left) -> None:
    scene = project.scene()
    (scene / "depth.mp4").write_text("this is not a video\n" * 50, encoding="utf-8")
    left()
    refused(cosmos("create", "prompt", "A street", "city"), "depth.mp4")
    refused(cosmos("upscale", "--video", scene / "depth.mp4"), "depth.mp4")
    refused(cosmos("show", scene / "depth.mp4"), "depth.mp4")
    assert left() == []


def test_an_odd_frame_rate_is_refused(cosmos: Cosmos, tmp_path: Path) -> None:
    for wrong in ("fast", "0", "-24", "1/0", "1000"):
        refused(cosmos("prepare", tmp_path, f"--fps={wrong}"), "--fps")


@pytest.fixture
def unprivileged(project: Project) -> Callable[..., Said]:
    """Run a command as someone whom permissions bind; root without the right to pass them by."""
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    prefix = drop if os.geteuid() == 0 else []
    if prefix and shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not installed, and root may read everything")
    return lambda *words: spawn("--home", project.settings.home, *words, prefix=prefix)


@pytest.fixture
def forbid() -> Iterator[Forbid]:
    """Take permissions away until the test's end."""
    modes: list[tuple[Path, int]] = []

    def take(path: Path, mode: int) -> None:
        modes.append((path, path.stat().st_mode))
        path.chmod(mode)

    yield take
    for path, mode in reversed(modes):
        path.chmod(mode)


def test_a_directory_without_permission_is_refused(
    project: Project, unprivileged: Callable[..., Said], forbid: Forbid, left: Left
) -> None:
    scene = project.scene()
    left()
    forbid(scene, 0)
    refused(unprivileged("prepare", scene), str(scene))
    refused(unprivileged("create", "prompt", "A street", "city"), str(scene))
    assert left() == []


def test_a_file_without_permission_is_refused(
    project: Project, unprivileged: Callable[..., Said], forbid: Forbid, left: Left
) -> None:
    scene = project.scene()
    left()
    forbid(scene / "color.mp4", 0)
    refused(unprivileged("create", "prompt", "A street", "city"), "color.mp4")
    refused(unprivileged("upscale", "--video", scene / "color.mp4"), "color.mp4")
    assert left() == []


def test_a_catalog_that_cannot_be_written_is_told(
    project: Project, unprivileged: Callable[..., Said], forbid: Forbid
) -> None:
    for place in (*project.settings.outputs.iterdir(), project.settings.outputs):
        forbid(place, 0o555)
    said = unprivileged("create", "recipe", "mine", "--seed", "3")
    assert said.code in (1, 2)
    assert "cosmos.db" in said.error
    assert "unexpected" not in said.error


# --- prompts and settings -------------------------------------------------------------------------


@pytest.fixture
def prompt(project: Project, cosmos: Cosmos) -> str:
    """A prompt's id."""
    project.scene()
    return cosmos("create", "prompt", "A warm street at dusk", "city").out.strip()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--weights", "1.5", "0", "0", "0"], "1.5"),
        (["--weights", "-0.1", "0", "0", "1"], "-0.1"),
        (["--weights", "0", "0", "0", "0"], "all control weights are 0"),
        (["--weights", "nan", "0", "0", "1"], "vis"),
        (["--weights", "a", "0", "0", "1"], "--weights"),
        (["--num-steps", "0"], "--num-steps"),
        (["--num-steps", "many"], "--num-steps"),
        (["--guidance", "99"], "--guidance"),
        (["--blur-strength", "huge"], "very_high"),
        (["--recipe", "unknown"], "unknown"),
        (["--engine", "unknown"], "unknown"),
        (["--backend", "unknown"], "unknown"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_a_wrong_setting_is_refused_by_name(
    words: list[str], told: str, cosmos: Cosmos, prompt: str, left: Left
) -> None:
    left()
    refused(cosmos("inference", prompt, *words), told)
    refused(cosmos("create", "run", prompt, *words), told)
    assert left() == []


def test_a_recipe_with_a_wrong_value_is_refused(cosmos: Cosmos) -> None:
    refused(cosmos("create", "recipe", "mine", "--weights", "2", "0", "0", "0"), "vis")
    assert cosmos("list", "recipes", "--json").json == []


def test_a_weight_for_a_pass_that_is_missing_is_refused(
    project: Project, cosmos: Cosmos, left: Left
) -> None:
    scene = project.scene()
    (scene / "depth.mp4").unlink()
    prompt = cosmos("create", "prompt", "A street", "city").out.strip()
    left()
    refused(cosmos("inference", prompt, "--weights", "0", "0", "1", "0"), "depth")
    assert left() == []


def test_an_empty_prompt_is_refused(project: Project, cosmos: Cosmos, left: Left) -> None:
    project.scene()
    left()
    for text in ("", "   ", "\n"):
        refused(cosmos("create", "prompt", text, "city"))
    assert left() == []


def test_an_unknown_prompt_is_answered_with_the_nearest(
    cosmos: Cosmos, prompt: str, left: Left
) -> None:
    left()
    wrong = prompt[:-1] + ("0" if prompt[-1] != "0" else "1")
    for words in (["inference"], ["prompt-enhance"], ["delete", "prompt"], ["show"]):
        refused(cosmos(*words, wrong), wrong, prompt)
    assert left() == []


def test_one_unknown_prompt_among_many_stops_all(cosmos: Cosmos, prompt: str, left: Left) -> None:
    left()
    for words in (["inference"], ["inference", "--detach"], ["prompt-enhance"]):
        refused(cosmos(*words, prompt, "ps_nothing"), "ps_nothing")
    assert left() == []


def test_an_unknown_run_is_refused_everywhere(cosmos: Cosmos) -> None:
    for words in (
        ["upscale", "rs_nothing"],
        ["run", "rs_nothing"],
        ["show", "rs_nothing"],
        ["logs", "rs_nothing"],
        ["rate", "rs_nothing", "3"],
        ["tag", "rs_nothing", "good"],
        ["kill", "rs_nothing"],
        ["kill", "--run", "rs_nothing"],
        ["delete", "run", "rs_nothing"],
    ):
        refused(cosmos(*words), "rs_nothing")


def test_prompts_files_that_cannot_be_used_are_refused(
    cosmos: Cosmos, prompt: str, tmp_path: Path, left: Left
) -> None:
    left()
    binary, empty = tmp_path / "binary", tmp_path / "empty"
    binary.write_bytes(b"\xff\xfe\x00ps")
    empty.write_text("# nothing yet\n\n", encoding="utf-8")
    refused(cosmos("inference", "--prompts-file", tmp_path / "missing"), "missing")
    refused(cosmos("inference", "--prompts-file", tmp_path), str(tmp_path))
    refused(cosmos("inference", "--prompts-file", binary), "UTF-16")
    refused(cosmos("inference", "--prompts-file", empty), "No prompt")
    refused(cosmos("inference"), "No prompt")
    assert left() == []


def test_a_rating_is_1_to_5_or_0_for_none(cosmos: Cosmos) -> None:
    for wrong in ("-1", "6", "good"):
        assert cosmos("rate", "rs_1", wrong).code == 2


def test_words_that_exclude_each_other_are_refused(cosmos: Cosmos, prompt: str) -> None:
    refused(cosmos("inference", prompt, "--detach", "--priority", 101), "less than or equal to 100")
    refused(cosmos("inference", prompt, "--backend", "auto"), "--detach")
    refused(cosmos("upscale"), "--video")
    refused(cosmos("upscale", "rs_1", "--video", "x.mp4"))
    refused(cosmos("kill"), "--all")
    for two in (["--all", "--run", "rs_1"], ["--all", "rs_1"], ["rs_1", "--run", "rs_1"]):
        refused(cosmos("kill", *two), "--all")
    refused(cosmos("status", "--watch", "--json"), "--json")
    refused(cosmos("create", "prompt", "x", "city", "--parameter", "novalue"), "KEY=VALUE")
    refused(cosmos("list", "runs", "--status", "done"), "completed")


# --- the machine ----------------------------------------------------------------------------------


def test_a_scene_that_vanished_is_told_by_its_run(
    project: Project, cosmos: Cosmos, prompt: str, left: Left
) -> None:
    left()
    shutil.rmtree(project.settings.inputs / "city")
    refused(cosmos("inference", prompt), "city")
    assert left() == []


def test_a_full_disk_leaves_nothing_half_written(small_disk: Path, tmp_path: Path) -> None:
    home = small_disk / "home"
    assert spawn("init", home).code == 0
    scene = write_video(home / "inputs" / "videos" / "city" / "color.mp4", frames=24)
    prompt = spawn("--home", home, "create", "prompt", "A street", scene.parent).out.strip()
    (tmp_path / "render").mkdir()
    noise = np.random.default_rng(1)
    for i in range(1, 7):
        pixels = noise.integers(0, 256, (480, 640, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "render" / f"color.{i:04}.png")
    _fill(small_disk, leave=400_000)

    said = spawn("--home", home, "prepare", tmp_path / "render", "--fps", "24")
    assert (said.code, said.out) == (1, "")
    assert "room" in said.error
    assert not list(home.rglob("*.part"))
    assert not (home / "inputs" / "videos" / "render").exists()
    keys = [scene["key"] for scene in spawn("--home", home, "list", "scenes", "--json").json]
    assert keys == ["city"]

    _fill(small_disk, leave=60_000)
    said = spawn("--home", home, "inference", prompt)
    assert said.code in (1, 4)
    assert "unexpected" not in said.error
    (small_disk / "filler").unlink()
    runs = spawn("--home", home, "list", "runs", "--json").json
    assert {run["status"] for run in runs} <= {"failed", "pending"}
    assert not list((home / "outputs").rglob("*.part"))
    assert not list((home / "outputs").rglob("*.mp4"))


def _fill(disk: Path, *, leave: int) -> None:
    """Take all room but `leave` bytes."""
    usage = shutil.disk_usage(disk)
    with (disk / "filler").open("ab") as f:
        f.write(b"x" * (usage.free - leave))


def test_a_file_below_the_inputs_that_is_no_directory_is_refused(
    project: Project, cosmos: Cosmos
) -> None:
    video = write_video(project.settings.inputs / "alone.mp4")
    refused(cosmos("prepare", video), "alone.mp4")
    refused(cosmos("create", "prompt", "A street", video), "alone.mp4")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["inference", "rain", "--weights", "1", "0", "0"], "cosmos inference"),
        (["create", "recipe", "mine", "--weights", "1"], "cosmos create recipe"),
        (["list", "runs", "--limit"], "cosmos list runs"),
        (["--home"], "cosmos"),
    ],
    ids=["four numbers", "in a group", "one value", "root"],
)
def test_an_option_without_its_values_names_the_help_of_its_command(
    cosmos: Cosmos, words: list[str], command: str
) -> None:
    said = cosmos(*words)
    assert said.code == 2
    assert said.error.endswith(f" See `{command} --help`.")
