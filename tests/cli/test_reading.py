"""What one command reads and asks: counted, so that it cannot grow unseen. No times.

A statement is what SQLAlchemy hands to the database's driver for the catalog, BEGIN included. On a
slow machine each line of the model's log may add a note of progress (three statements): the scene
is so short that the bounds have room for all of them.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cli.conftest import Cosmos
from tests.support.counting import counting
from tests.support.many_runs import copy_run
from tests.support.project import Project


@pytest.fixture
def prompts(project: Project, cosmos: Cosmos) -> list[str]:
    """Three prompts for a scene of three passes, which is registered with them."""
    project.scene(frames=2)
    texts = ("A rainy street", "A foggy street", "A dark street")
    return [cosmos("create", "prompt", text, "city").out.strip() for text in texts]


def inference(project: Project, cosmos: Cosmos, *prompts: str) -> Counter[str]:
    """What making these videos takes; all become completed."""
    with counting(project.settings) as counts:
        said = cosmos("inference", *prompts)
    assert said.code == 0, said.err
    print(len(prompts), "run(s):", dict(counts))
    return counts


def test_one_inference_asks_the_catalog_little_and_reads_each_video_once(
    project: Project, cosmos: Cosmos, prompts: list[str]
) -> None:
    counts = inference(project, cosmos, prompts[0])
    assert counts["statement"] < 60
    assert counts["probe"] <= 4
    assert counts["deep probe"] == 1, "the video that came is read to its end before it is a result"
    assert counts["decode"] == 2, "once for its pictures, once for the checks"
    assert counts["compile"] == 1
    assert counts["load settings"] <= 2, "once by the command, once by the step"


def test_each_further_run_of_a_batch_costs_the_same_small_number(
    project: Project, cosmos: Cosmos, prompts: list[str]
) -> None:
    one = inference(project, cosmos, prompts[0])
    three = inference(project, cosmos, *prompts)
    further = {name: (three[name] - one[name]) / 2 for name in three}
    assert further["statement"] <= 36
    assert further["probe"] <= 3
    assert further["decode"] == 2
    assert (further["compile"], further["load settings"]) == (0, 0)


def test_status_asks_as_often_for_many_runs_as_for_one(
    project: Project, cosmos: Cosmos, prompts: list[str]
) -> None:
    asked = []
    for prompt in prompts:
        assert cosmos("inference", prompt, "--detach").code == 0
        with counting(project.settings) as counts:
            said = cosmos("status", "--json")
        asked.append((len(said.json["queued"]), counts["statement"]))
    assert [queued for queued, _ in asked] == [1, 2, 3]
    assert len({statements for _, statements in asked}) == 1


def test_status_lists_the_first_of_many_waiting_runs_and_says_how_many_more_wait(
    project: Project, cosmos: Cosmos, prompts: list[str]
) -> None:
    assert cosmos("inference", prompts[0], "--detach").code == 0
    copy_run(project.catalog, project.catalog.list_runs()[0], 1200)
    said = cosmos("status")
    assert said.out.count("rs_") == 50
    assert "1,151 more of them" in said.err
    assert len(cosmos("status", "--json").json["queued"]) == 1201


def test_a_further_prompt_for_a_scene_that_is_as_it_was_reads_no_video(
    project: Project, cosmos: Cosmos, prompts: list[str]
) -> None:
    with counting(project.settings) as counts:
        assert cosmos("create", "prompt", "A quiet street", "city").code == 0
    assert counts["probe"] == 0
