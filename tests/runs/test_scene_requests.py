"""What a scene directory asks for by itself."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.assets.partitions import SCENES
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.runs.scene_requests import read_request, register_request
from tests.media import renders
from tests.support.dagster_project import failure_of, materialize, metadata_of
from tests.support.project import Project

FULL = """
engine = "stand_in"
num_steps = 20

[[prompt]]
text = "One"
negative = "cartoon"
name = "first"

[[prompt]]
text = "Two"

[[recipe]]
weights = { vis = 0.2, edge = 0.5 }

[[recipe]]
name = "soft"
guidance = 3.0
"""


def asked(project: Project, text: str, name: str = "scene.toml") -> Path:
    directory = project.settings.inputs / "city"
    (directory / name).write_text(text, encoding="utf-8")
    return directory


def test_a_scene_toml_is_prompts_times_recipes(staged: Project) -> None:
    directory = asked(staged, FULL)
    request = read_request(directory)
    assert request is not None
    prompts, runs = register_request(staged.catalog, staged.settings, directory, request)
    assert [(p.text, p.negative_prompt) for p in prompts] == [("One", "cartoon"), ("Two", None)]
    assert prompts[0].name == "first"
    cells = {(r.prompt_id, r.recipe, r.execution_config["guidance"]) for r in runs}
    assert cells == {(p.id, *cell) for p in prompts for cell in ((None, 5.0), ("soft", 3.0))}
    assert {r.engine for r in runs} == {"stand_in"}
    assert {r.execution_config["num_steps"] for r in runs} == {20}
    assert len(staged.catalog.queued_runs()) == 4


def test_the_same_request_again_queues_nothing_twice(staged: Project) -> None:
    directory = asked(staged, FULL)
    request = read_request(directory)
    assert request is not None
    register_request(staged.catalog, staged.settings, directory, request)
    _, again = register_request(staged.catalog, staged.settings, directory, request)
    assert again == []
    assert len(staged.catalog.queued_runs()) == 4


def test_a_plain_prompt_txt_is_one_prompt_with_one_run(staged: Project) -> None:
    directory = asked(staged, "  A quiet city \n", "prompt.txt")
    request = read_request(directory)
    assert request is not None
    (prompt,), (run,) = register_request(staged.catalog, staged.settings, directory, request)
    assert prompt.text == "A quiet city"
    assert run.prompt_id == prompt.id


def test_without_run_only_the_prompts_are_registered(staged: Project) -> None:
    directory = asked(staged, 'run = false\n[[prompt]]\ntext = "One"\n')
    request = read_request(directory)
    assert request is not None
    prompts, runs = register_request(staged.catalog, staged.settings, directory, request)
    assert (len(prompts), runs) == (1, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[prompt", "not valid TOML"),
        ("engine = 'preview'", "prompt"),
        ('[[prompt]]\ntext = "a"\nweight = 1', "weight is not a setting"),
        ('stepz = 3\n[[prompt]]\ntext = "a"', "stepz is not a setting"),
        ('num_steps = 1000\n[[prompt]]\ntext = "a"', "num_steps"),
        ('engine = "nonsense"\n[[prompt]]\ntext = "a"', "no engine 'nonsense'"),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(staged: Project, text: str, said: str) -> None:
    with pytest.raises(InputError) as e:
        read_request(asked(staged, text))
    assert said in str(e.value)


def test_materialising_a_scene_registers_it_with_what_it_asks_for(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    asked(staged, FULL)
    instance.add_dynamic_partitions("scenes", ["city"])
    assert materialize(staged, instance, SCENES, "city").success
    shown = metadata_of(instance, SCENES, "city")
    assert shown["size"] == "64 x 48"
    assert shown["preview"].startswith("![shown by cosmos ui](/cosmos/preview/scene/city.webp")
    assert len(instance.get_dynamic_partitions("prompts")) == 2
    assert len(instance.get_dynamic_partitions("runs")) == 4


def test_a_scene_without_colour_is_refused_in_one_line(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    (staged.settings.inputs / "city" / "color.mp4").unlink()
    instance.add_dynamic_partitions("scenes", ["city"])
    told = failure_of(materialize(staged, instance, SCENES, "city"))
    assert told and told.description and "color" in told.description


def test_a_request_without_an_engine_has_that_of_videos_for_runs_and_recipes(
    staged: Project,
) -> None:
    named = {"engine": "stand_in", "upscale_engine": "cosmos_transfer1"}
    execution = staged.settings.execution.model_copy(update=named)
    settings = staged.settings.model_copy(update={"execution": execution})
    directory = asked(staged, FULL.replace('engine = "stand_in"', ""))
    request = read_request(directory)
    assert request is not None
    _, runs = register_request(staged.catalog, settings, directory, request)
    assert {run.engine for run in runs} == {"stand_in"}
    assert staged.catalog.get_recipe("soft").engine == "stand_in"


BOM, ZWSP = "\ufeff", "\u200b"


def test_what_nobody_sees_is_no_part_of_a_request(staged: Project) -> None:
    directory = asked(staged, f"{BOM}A qui{ZWSP}et city\r\n", "prompt.txt")
    request = read_request(directory)
    assert request is not None
    (prompt,), _ = register_request(staged.catalog, staged.settings, directory, request)
    (directory / "prompt.txt").unlink()
    request = read_request(asked(staged, f'{BOM}[[prompt]]\ntext = "A quiet{ZWSP} city"\n'))
    assert request is not None
    (same,), _ = register_request(staged.catalog, staged.settings, directory, request)
    assert same == prompt
    assert prompt.text == "A quiet city"


@pytest.mark.parametrize("name", ["scene.toml", "prompt.txt"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('[[prompt]]\ntext = "Café"'.encode("utf-16"), "is UTF-16 text, not UTF-8. Save it"),
        ('[[prompt]]\ntext = "Café"'.encode("latin-1"), "byte 0xE9 in line 2"),
        (b"\0", "zero bytes"),
        (b"x" * (2 << 20), "too large"),
    ],
    ids=["utf-16", "latin-1", "binary", "large"],
)
def test_a_request_in_another_encoding_is_told_with_its_file(
    staged: Project, name: str, data: bytes, said: str
) -> None:
    directory = staged.settings.inputs / "city"
    (directory / name).write_bytes(data)
    with pytest.raises(InputError) as e:
        read_request(directory)
    assert str(directory / name) in str(e.value)
    assert said in str(e.value)


@pytest.mark.parametrize("name", ["scene.toml", "prompt.txt"])
def test_a_request_that_is_no_file_is_refused_and_not_waited_for(
    staged: Project, name: str
) -> None:
    directory = staged.settings.inputs / "city"
    os.mkfifo(directory / name)
    with pytest.raises(InputError, match="is a pipe"):
        read_request(directory)
    (directory / name).unlink()
    (directory / name).symlink_to("nowhere")
    with pytest.raises(InputError, match="There is no"):
        read_request(directory)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 100_000, "levels"),
        (".".join("a" * 50_000) + " = 1", "key of more than"),
        ('[[prompt]]\ntext = " \u200b "', "The prompt is empty"),
        ("[[prompt]]\ntext = 3", "prompt.0.text 3"),
        ('[[prompt]]\ntext = "a"\nname = "\u200b"', "The name is empty"),
        ('[[prompt]]\ntext = "a"\nname = "' + "x" * 201 + '"', "201 characters"),
        ('[[prompt]]\ntext = "a"\nnegative = "' + "x" * 10_001 + '"', "10,001 characters"),
        ('prompt = "a"', "prompt 'a'"),
        ("prompt = []", "prompt"),
        ('recipe = 3\n[[prompt]]\ntext = "a"', "recipe 3"),
        ('recipe = [3]\n[[prompt]]\ntext = "a"', "recipe.0"),
        ('[[prompt]]\ntext = "a"\n[[recipe]]\nname = ["x"]', "recipe.0.name"),
        ('[[prompt]]\ntext = "a"\n[[recipe]]\nname = " "', "The name is empty"),
        ('[[prompt]]\ntext = "a"\n[[recipe]]\nseed = 1979-05-27', "seed"),
        ('[[prompt]]\ntext = "a"\n[[recipe]]\nguidance = inf', "no number"),
        ('run = "maybe"\n[[prompt]]\ntext = "a"', "run 'maybe'"),
        ('engine = 3\n[[prompt]]\ntext = "a"', "engine 3"),
        ('[[prompt]]\ntext = "a"\n' * 50 + "[[recipe]]\nseed = 1\n" * 50, "2,500 runs"),
        ('[[prompt]]\ntext = "a"\n' * 1001, "at most 1000"),
    ],
    ids=lambda x: x[-20:],
)
def test_a_request_that_nobody_can_carry_out_is_one_line(
    staged: Project, text: str, said: str
) -> None:
    directory = asked(staged, text)
    with pytest.raises(InputError) as e:
        read_request(directory)
    assert said in str(e.value)
    assert str(directory / "scene.toml") in str(e.value)
    assert len(str(e.value)) < 700


def test_a_wrong_request_is_refused_before_its_scene_is_encoded(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    directory = staged.settings.inputs / "fresh"
    renders.sequence(directory, "color.%04d.png", renders.colour)
    (directory / "scene.toml").write_text("[[prompt")
    instance.add_dynamic_partitions("scenes", ["fresh"])
    told = failure_of(materialize(staged, instance, SCENES, "fresh"))
    assert told and told.description and "scene.toml" in told.description
    assert not (directory / "color.mp4").exists()
    assert staged.catalog.list_scenes() == []


@pytest.mark.parametrize("key", ["/etc", "../videos/city", "..", "city/../../../.."])
def test_a_key_that_leads_elsewhere_is_no_scene(
    staged: Project, instance: dg.DagsterInstance, key: str
) -> None:
    instance.add_dynamic_partitions("scenes", [key])
    told = failure_of(materialize(staged, instance, SCENES, key))
    assert told and told.description and "There is no scene" in told.description
    assert staged.catalog.list_scenes() == []
