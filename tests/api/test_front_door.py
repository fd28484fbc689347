"""The Python API is a front door: a natural call is understood, a wrong one is told in words."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.errors import CosmosError, InputError
from tests.media import renders
from tests.support.project import make_project
from tests.support.stand_in_engine import registered

Call = Callable[[CosmosAPI], Any]
PUBLIC = {n for n, _ in inspect.getmembers(CosmosAPI, inspect.isfunction) if n[0] != "_"}
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
LONG = "x" * (1 << 20)


class Odd:
    """A value that nothing can be done with."""

    def __repr__(self) -> str:
        return "<odd>"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CosmosAPI]:
    """A project with a scene, a prompt called `street`, and a completed run (`latest`)."""
    project = make_project(tmp_path_factory.mktemp("front") / "home")
    project.scene("city")
    (project.settings.home / "cosmos.toml").write_text('[execution]\nengine = "stand_in"\n')
    with registered(), CosmosAPI(project.settings.home) as api:
        api.create_prompt("A street", "city", name="street")
        api.create_recipe("soft", weights=[0.5, 0, 0, 0.5])
        api.quick_inference("street")
        yield api


def said(call: Call, api: CosmosAPI) -> str | None:
    """The sentence in which a call is refused; None if it is not."""
    try:
        made = call(api)
        if isinstance(made, Iterator):
            list(made)
        return None
    except CosmosError as e:
        text = str(e)
        assert text
        assert "\n" not in text
        assert len(text) < 1500
        assert "pydantic" not in text
        return text


# --- natural calls --------------------------------------------------------------------------------

NATURAL: dict[str, Call] = {
    "text home": lambda a: CosmosAPI(str(a.settings.home)),
    "home by its file": lambda a: CosmosAPI(a.settings.home / "cosmos.toml"),
    "no home": lambda a: CosmosAPI(a.settings.home, settings=None),
    "settings": lambda a: CosmosAPI(settings=a.settings),
    "fps 23.976": lambda a: a.prepare_scene(rendered(a), name="n1", fps=23.976),
    "fps numpy": lambda a: a.prepare_scene(rendered(a), name="n2", fps=np.float32(25)),
    "fps int": lambda a: a.prepare_scene(rendered(a), name="n3", fps=24),
    "fps text": lambda a: a.prepare_scene(str(rendered(a)), name="n4", fps="30000/1001"),
    "fps fraction": lambda a: a.prepare_scene(rendered(a), name="n5", fps=Fraction(24)),
    "fps decimal": lambda a: a.prepare_scene(rendered(a), name="n6", fps=Decimal("29.97")),
    "fps none": lambda a: a.prepare_scene(rendered(a), name="n7", fps=None, depth_values=None),
    "depth range": lambda a: a.prepare_scene(rendered(a), name="n8", near="5", far=np.int64(90)),
    "scenes in": lambda a: a.scenes_in(rendered(a)),
    "plan": lambda a: a.plan_scene(rendered(a), name="n9", fps=23.976, passes=["color=color"]),
    "picture of a plan": lambda a: a.picture_of_plan(rendered(a), "color", passes="color=color"),
    "weights list": lambda a: a.create_run("street", weights=[0.3, 0.4, 0.2, 0.1]),
    "weights tuple": lambda a: a.create_run("street", weights=(0.3, 0.4, 0.2, 0.1)),
    "weights numpy": lambda a: a.create_run("street", weights=np.array([0.3, 0.4, 0.2, 0.1])),
    "weights names": lambda a: a.create_run("street", weights={"edge": np.float64(0.5)}),
    "guidance_scale": lambda a: a.create_run("street", guidance_scale=5),
    "numpy numbers": lambda a: a.create_run(
        "street", num_steps=np.int64(9), seed=np.uint8(3), guidance=np.float32(4.5)
    ),
    "text numbers": lambda a: a.create_run("street", num_steps="9", seed="3"),
    "resolution number": lambda a: a.plan_inference("street", resolution=720, engine="cosmos3"),
    "none everywhere": lambda a: a.create_run(
        "street", recipe=None, engine=None, backend=None, queue=None, tags=None, weights=None,
        num_steps=None, seed=None, fps=None, guidance_scale=None, blur_strength=None,
    ),
    "record for prompt": lambda a: a.create_run(a.get_prompt("street")),
    "record for recipe": lambda a: a.create_run("street", recipe=a.list_recipes()[0]),
    "record for run": lambda a: a.get_run(a.get_run("latest-transfer")),
    "record for scene": lambda a: a.create_prompt("Two", a.get_scene("city")),
    "one id for many": lambda a: a.plan_inference("street"),
    "record for many": lambda a: a.plan_enhance(a.get_prompt("street"), engine="preview"),
    "tuple of ids": lambda a: a.plan_inference(("street",)),
    "set of ids": lambda a: a.plan_inference({"street"}),
    "generator of ids": lambda a: a.plan_inference(x for x in ["street"]),
    "array of ids": lambda a: a.plan_inference(np.array(["street"])),
    "keys of a dict": lambda a: a.plan_inference({"street": 1}.keys()),
    "no ids": lambda a: a.plan_inference([]),
    "one tag": lambda a: a.tag("latest-transfer", "good"),
    "set of tags": lambda a: a.tag("latest-transfer", {"a", "b"}, remove=("a",)),
    "rating numpy": lambda a: a.rate("latest-transfer", np.int64(4)),
    "rating float": lambda a: a.rate("latest-transfer", 4.0),
    "rating text": lambda a: a.rate("latest-transfer", "4"),
    "limit none": lambda a: a.list_runs(limit=None),
    "limit numpy": lambda a: a.list_runs(limit=np.int32(2), offset=np.int8(0)),
    "several statuses": lambda a: a.list_runs(status=["failed", "completed"]),
    "one status": lambda a: a.list_runs(status="completed"),
    "find runs": lambda a: a.find_runs(words="street", scene="city", rating=None, sort="-rating"),
    "find all ids": lambda a: a.find_run_ids(since="2d", tag=("a", "b"), grouped=True),
    "count runs": lambda a: a.count_runs(status={"completed"}),
    "runs among": lambda a: a.runs_among("latest", type="transfer"),
    "tiles": lambda a: a.tiles(a.list_runs()),
    "values of a filter": lambda a: a.filter_values("scene", "ci", limit=3),
    "recorded numbers": lambda a: a.recorded_numbers(),
    "sweep grid": lambda a: a.sweep_grid(across="seed", engine="stand_in"),
    "path to show": lambda a: a.show(a.settings.inputs / "city" / "color.mp4"),
    "text path to show": lambda a: a.show(str(a.settings.inputs / "city" / "color.mp4")),
    "record to show": lambda a: a.show(a.get_prompt("street")),
    "path of a scene": lambda a: a.create_prompt("Three", a.settings.inputs / "city"),
    "export text": lambda a: a.export("runs", str(a.settings.home / "runs.csv")),
    "export path": lambda a: a.export("prompts", a.settings.home / "prompts.json"),
    "backup text": lambda a: a.backup(str(a.settings.home / "backup.db")),
    "numpy parameters": lambda a: a.create_prompt(
        "Four", "city", parameters={"n": np.int64(3), "x": np.array([1.5]), "t": ("a", None)}
    ),
    "parameters none": lambda a: a.create_prompt("Five", "city", parameters=None, name=None),
    "regions as dicts": lambda a: a.plan_inference(
        "street", regional_prompts=({"prompt": "a car", "box": np.array([0, 0, 0.5, 1])},)
    ),
    "positional limit": lambda a: a.search_prompts("street", 3),
    "deep verify": lambda a: a.verify_integrity(fix=False, deep=np.bool_(True)),
    "draft of a prompt": lambda a: a.draft_prompt("Fog", a.get_scene("city"), negative_prompt=None),
    "page of prompts": lambda a: a.page_of_prompts(words="street", scene="city", limit=np.int8(2)),
    "story of a prompt": lambda a: a.story_of_prompt(a.get_prompt("street")),
    "scenes to choose": lambda a: a.scenes_to_choose(),
    "fields": lambda a: a.fields_of("upscale"),
    "fields filled in": lambda a: a.check_fields("transfer", {"seed": np.int64(3), "fps": ""}),
    "engines": lambda a: a.transfer_engines(),
    "backends": lambda a: a.list_backends(),
    "draft of a recipe": lambda a: a.draft_recipe("soft", engine=None, filled={"seed": "x"}),
    "compared recipes": lambda a: a.compare_recipes(a.list_recipes()),
    "compared with nothing": lambda a: a.compare_recipes([]),
    "recipe renamed and removed": lambda a: a.delete_recipe(
        a.rename_recipe(a.create_recipe("old", replace=False), "new name")
    ),
    "order told": lambda a: a.plan_order("street", recipes="soft", seeds=np.array([1, 2])),
    "order": lambda a: a.cancel_waiting(
        a.queue_order(["street"], key="k" * 8, seeds=[3, 4], shown=None, guidance_scale=5)["runs"]
    ),
    "order told with its 4K": lambda a: a.plan_order("street", upscale=True)["upscales"],
    "order of better words": lambda a: a.cancel_waiting(
        a.queue_enhancement("street", key="k" * 8, engine="preview")["runs"]
    ),
    "one video to compare": lambda a: a.comparison(a.get_run("latest-transfer")),
    "video of a pass": lambda a: a.video_of_pass("city/color"),
    "4K of a file": lambda a: a.plan_upscale(video=str(a.settings.inputs / "city/color.mp4")),
    "weight of 4K": lambda a: a.plan_upscale(completed(a), weight=0.3),
    "kill nothing": lambda a: a.kill(all=True),
    "clean": lambda a: a.clean(older="30d", dry_run=np.bool_(True)),
    "logs": lambda a: a.stream_logs(completed(a)["id"], follow=None),
    "why": lambda a: a.why(a.get_run("latest-transfer")),
    "last lines": lambda a: a.stream_logs(completed(a), tail=2),
    "text of a log": lambda a: a.stream_log_text(completed(a)["id"], False, tail=np.int64(2)),
    "rate a record": lambda a: a.rate_runs(completed(a), np.int64(3)),
    "tag a set": lambda a: a.tag_runs({completed(a)["id"]}, ("one",), remove="two"),
    "judge none": lambda a: a.judge_runs([], "picked"),
    "undo": lambda a: a.undo_marks(a.judge_runs(completed(a), "rejected")["undo"]),
    "marks": lambda a: a.marks(a.list_runs()),
    "known tags": lambda a: a.known_tags(),
    "plan orders": lambda a: a.plan_orders("upscale", completed(a)),
    "order unknown": lambda a: a.order_runs("again", ["rs_nothing"]),
    "cancel ended": lambda a: a.cancel_waiting(completed(a)),
    "plan deletions": lambda a: a.plan_deletions(a.list_runs()),
    "delete unknown": lambda a: a.delete_runs("rs_nothing", seen=()),
    "export some": lambda a: a.export_runs(completed(a), "json"),
    "find prompts": lambda a: a.find_prompts({"ps_nothing"}),
    "changes": lambda a: a.changes(a.changes()["cursor"]),
    "cards": lambda a: a.cards(a.list_runs()),
    "file of a run": lambda a: a.file_of_run(completed(a), "log"),
    "picture of a scene": lambda a: a.picture_of_scene(a.get_scene("city")),
    "picture of a pass": lambda a: a.picture_of_pass("city", "depth"),
    "comparison": lambda a: a.comparison([completed(a)["id"], "scene:city/depth"]),
    "scenes after one": lambda a: a.scenes_after("a", limit=np.int8(3)),
    "look at a scene": lambda a: a.look_at_scene(a.get_scene("city")),
    "older videos": lambda a: a.make_older_again("city", a.older_videos("city")),
    "not taken": lambda a: a.not_taken(),
    "story": lambda a: a.story(completed(a)),
    "sheet of a run": lambda a: a.run_sheet("latest-transfer"),
    "out of date": lambda a: a.out_of_date(completed(a)),
    "logs of a run": lambda a: a.log_index(completed(a), a.logs_of_run(completed(a))["chosen"]),
    "path of a log": lambda a: a.log_path(completed(a), a.logs_of_run(completed(a))["chosen"]),
    "piece of a log": lambda a: a.log_range(
        completed(a), a.logs_of_run(completed(a))["chosen"], np.int64(0), 9
    ),
    "growth of a log": lambda a: a.log_growth(completed(a), np.int64(0), generation=None),
    "rules of logs": lambda a: a.log_rules(),
    "look at the queue": lambda a: a.look_at_queue(limit=3),
    "plan the queue": lambda a: a.plan_queue(),
    "why it waits": lambda a: a.why_queued(completed(a)),
    "move": lambda a: a.move_run(a.create_run("street", queue=True), priority=np.int64(3)),
    "pause and resume": lambda a: (a.pause_queue(reason="x"), a.resume_queue()),
    "pause an engine": lambda a: (
        a.pause_queue(engine="preview"), a.resume_queue(host=None, engine="preview"),
    ),
    "hosts": lambda a: next(a.watch_hosts()) and None,
    "daemon": lambda a: a.daemon_state(),
    "stop runs": lambda a: a.stop_runs([], batch=True),
    "ids in the queue": lambda a: a.queued_ids("one"),
    "states since": lambda a: a.count_states("2026-01-01T00:00:00Z"),
    "what now": lambda a: a.what_now(),
    "last doctor": lambda a: a.last_doctor(),
    "places": lambda a: a.list_places(look=False),
    "hosts that are meant": lambda a: a.hosts_meant(every=True),
    "messages": lambda a: a.message_state(),
    "budget": lambda a: a.budget_today(),
    "close": lambda a: a.close(),
}  # fmt: skip


def completed(api: CosmosAPI) -> dict[str, Any]:
    return api.list_runs(status="completed")[0]


def rendered(api: CosmosAPI) -> Path:
    directory = api.settings.home / "renders"
    if not directory.exists():
        renders.sequence(directory, "color.%04d.png", renders.colour)
    return directory


@pytest.mark.parametrize("name", NATURAL)
def test_a_natural_call_is_understood(api: CosmosAPI, name: str) -> None:
    assert said(NATURAL[name], api) is None


def test_what_was_understood_is_what_was_meant(api: CosmosAPI) -> None:
    run = api.create_run("street", weights=[0.3, 0.4, 0.2, 0.1], guidance_scale=5, seed=None)
    config = run["execution_config"]
    assert config["weights"] == {"vis": 0.3, "edge": 0.4, "depth": 0.2, "seg": 0.1}
    assert (config["guidance"], config["seed"]) == (5, 1)
    assert api.prepare_scene(rendered(api), name="m1", fps=23.976)["fps"] == "24000/1001"
    assert api.prepare_scene(rendered(api), name="m2", fps=29.97)["fps"] == "30000/1001"
    assert api.prepare_scene(rendered(api), name="m3", fps=12.5)["fps"] == "25/2"
    assert api.tag("latest-transfer", "whole word")["tags"].count("whole word") == 1
    recipe = api.create_recipe("np", weights=np.array([0, 1, 0, 0]), guidance_scale=np.float32(3))
    assert recipe["config"] == {
        "weights": {"vis": 0, "edge": 1, "depth": 0, "seg": 0}, "guidance": 3
    }  # fmt: skip
    assert api.create_run("street", recipe="np", guidance=4)["execution_config"]["guidance"] == 4
    many = len(api.list_runs(limit=None))
    assert many == len(api.list_runs(limit=10_000)) > len(api.list_runs(limit=1)) == 1


# --- wrong calls ----------------------------------------------------------------------------------

WRONG: dict[str, tuple[Call, str]] = {
    "nobody to tell": (lambda a: a.send_test_message(), "[notify] has no address"),
    # arguments that are not there, or missing
    "unknown method argument": (lambda a: a.list_runs(stauts="failed"), "status"),
    "unknown field": (lambda a: a.create_run("street", wieghts=[1, 0, 0, 0]), "weights"),
    "unknown field 2": (lambda a: a.quick_inference("street", num_step=3), "num_steps"),
    "unknown field 3": (lambda a: a.batch_inference(["street"], recpie="soft"), "recipe"),
    "unknown field 4": (lambda a: a.upscale_run("latest", control_wieght=1), "control_weight"),
    "unknown field 5": (lambda a: a.enhance_prompt("street", resolutoin=480), "resolution"),
    "unknown field 6": (lambda a: a.create_recipe("x", sed=3), "seed"),
    "unknown field 7": (lambda a: a.create_and_run("t", "city", guidence=3), "guidance"),
    "unknown field 8": (lambda a: a.plan_inference(["street"], backed="local"), "backend"),
    "unknown wish": (lambda a: a.host_setup("cosmos3", dokcerfile="x"), "dockerfile"),
    "unknown how": (lambda a: a.prepare_scene("x", framerate=24), "framerate"),
    "unknown home": (lambda a: CosmosAPI(hom="x"), "home"),
    "twice": (lambda a: a.get_run("x", run_id="y"), "run_id"),
    "too many": (lambda a: a.get_run("x", "y"), "2 arguments"),
    "too many 2": (lambda a: a.list_runs("failed"), "status"),
    "too many 3": (lambda a: CosmosAPI("a", "b"), "home"),
    "none given": (lambda a: a.create_prompt(), "text and scene_dir"),
    "one missing": (lambda a: a.create_prompt("A street"), "scene_dir"),
    "missing rating": (lambda a: a.rate("latest"), "rating"),
    "two names": (lambda a: a.create_run("street", guidance=3, guidance_scale=4), "guidance"),
    # values of another kind
    "home number": (lambda a: CosmosAPI(123), "home"),
    "home empty": (lambda a: CosmosAPI(""), "home"),
    "home nowhere": (lambda a: CosmosAPI("/nowhere"), "/nowhere"),
    "home long": (lambda a: CosmosAPI(LONG), "home"),
    "home zero": (lambda a: CosmosAPI("a\0b"), "home"),
    "settings dict": (lambda a: CosmosAPI(settings={"home": "x"}), "settings"),
    "text none": (lambda a: a.create_prompt(None, "city"), "text"),
    "text number": (lambda a: a.create_prompt(3, "city"), "text"),
    "text list": (lambda a: a.create_prompt(["A street"], "city"), "text"),
    "text bytes": (lambda a: a.create_prompt(b"\xff", "city"), "text"),
    "text empty": (lambda a: a.create_prompt("", "city"), "empty"),
    "text long": (lambda a: a.create_prompt(LONG, "city"), "10,000"),
    "scene none": (lambda a: a.create_prompt("t", None), "scene_dir"),
    "scene number": (lambda a: a.create_prompt("t", 3), "scene_dir"),
    "scene empty": (lambda a: a.create_prompt("t", ""), "scene_dir"),
    "scene unknown": (lambda a: a.create_prompt("t", "nowhere"), "nowhere"),
    "scene zero": (lambda a: a.create_prompt("t", "a\0b"), "scene_dir"),
    "scene long": (lambda a: a.create_prompt("t", LONG), "scene directory"),
    "scene up": (lambda a: a.create_prompt("t", "../.."), "../.."),
    "name number": (lambda a: a.create_prompt("t", "city", name=3), "name"),
    "name empty": (lambda a: a.create_prompt("t", "city", name=" "), "name"),
    "name long": (lambda a: a.create_prompt("t", "city", name=LONG), "name"),
    "parameters list": (lambda a: a.create_prompt("t", "city", parameters=[1]), "parameters"),
    "parameters odd": (lambda a: a.create_prompt("t", "city", parameters={"a": Odd()}), "JSON"),
    "parameters nan": (lambda a: a.create_prompt("t", "city", parameters={"a": np.nan}), "JSON"),
    "parameters endless": (
        lambda a: a.create_prompt("t", "city", parameters={"a": ENDLESS}), "levels"
    ),
    "parameters huge": (lambda a: a.create_prompt("t", "city", parameters={"a": 10**5000}), "JSON"),
    "parameters keys": (lambda a: a.create_prompt("t", "city", parameters={1: 2}), "parameters"),
    "id none": (lambda a: a.get_run(None), "run_id"),
    "id number": (lambda a: a.get_run(7), "run_id"),
    "id bytes": (lambda a: a.get_prompt(b"\xff"), "prompt_id"),
    "id list": (lambda a: a.get_run(["latest"]), "run_id"),
    "id odd": (lambda a: a.why(Odd()), "run_id"),
    "id unknown": (lambda a: a.get_run("rs_nothing"), "rs_nothing"),
    "id empty": (lambda a: a.get_prompt(""), "no prompt ''"),
    "id long": (lambda a: a.get_run(LONG), "no run"),
    "id endless": (lambda a: a.get_prompt(ENDLESS), "prompt_id"),
    "record without id": (lambda a: a.get_run({"x": 1}), "run_id"),
    "ids none": (lambda a: a.batch_inference(None), "prompt_ids"),
    "ids number": (lambda a: a.batch_inference(3), "prompt_ids"),
    "ids of none": (lambda a: a.batch_inference(["street", None]), "prompt_ids.1"),
    "ids of numbers": (lambda a: a.execute_runs([1, 2]), "run_ids.0"),
    "ids unknown": (lambda a: a.execute_runs(["rs_nothing"]), "rs_nothing"),
    "again unknown": (lambda a: a.run_again(["rs_nothing"]), "rs_nothing"),
    "ids bytes": (lambda a: a.execute_runs(b"rs_1"), "run_ids"),
    "ids endless": (lambda a: a.plan_inference(ENDLESS), "prompt_ids"),
    "run ids unknown": (lambda a: a.execute_run("rs_nothing"), "rs_nothing"),
    "recipe unknown": (lambda a: a.create_run("street", recipe="sotf"), "soft"),
    "recipe number": (lambda a: a.create_run("street", recipe=3), "recipe"),
    "recipe name none": (lambda a: a.create_recipe(None, seed=1), "name"),
    "recipe name empty": (lambda a: a.create_recipe("", seed=1), "name"),
    "recipe bad": (lambda a: a.create_recipe("x", weights=2), "weights"),
    "recipe kept": (lambda a: a.create_recipe("soft", replace=False), "already"),
    "recipe renamed to none": (lambda a: a.rename_recipe("soft", " "), "name"),
    "recipe renamed from none": (lambda a: a.rename_recipe("sotf", "x"), "soft"),
    "recipe gone": (lambda a: a.delete_recipe("sotf"), "soft"),
    "recipe compared": (lambda a: a.compare_recipes(["soft", "sotf"]), "soft"),
    "recipe of a list": (lambda a: a.draft_recipe(filled=[1]), "filled"),
    "order of nothing": (lambda a: a.plan_order([]), "No prompt"),
    "order without key": (lambda a: a.queue_order("street"), "key"),
    "order with a key of blanks": (lambda a: a.queue_order("street", key=" " * 9), "key"),
    "order too large": (lambda a: a.plan_order("street", seeds=range(9999)), "2,000"),
    "order shown otherwise": (
        lambda a: a.queue_order("street", key="k" * 9, shown=2), "2 runs were shown"
    ),
    "order with a seed of words": (lambda a: a.plan_order("street", seeds=["x"]), "seeds"),
    "enhancement of nothing": (lambda a: a.queue_enhancement("nothing", key="k" * 9), "nothing"),
    "mark of a page": (lambda a: a.page_of_prompts(after="x"), "list of prompts"),
    "fields of nothing": (lambda a: a.fields_of("transferr"), "operation"),
    "origin unknown": (lambda a: a.create_prompt("t", "city", parent="nothing"), "nothing"),
    "engine unknown": (lambda a: a.create_run("street", engine="cosmos4"), "cosmos3"),
    "engine number": (lambda a: a.create_run("street", engine=3), "engine"),
    "engine list": (lambda a: a.create_recipe("x", engine=["preview"]), "engine"),
    "backend unknown": (lambda a: a.create_run("street", backend="cloud"), "local"),
    "weights number": (lambda a: a.create_run("street", weights=0.5), "weights"),
    "weights three": (lambda a: a.create_run("street", weights=[1, 0, 0]), "weights"),
    "weights five": (lambda a: a.create_run("street", weights=np.ones(5)), "weights"),
    "weights set": (lambda a: a.create_run("street", weights={0.1, 0.2, 0.3, 0.4}), "weights"),
    "weights text": (lambda a: a.create_run("street", weights="1 0 0 0"), "weights"),
    "weights words": (lambda a: a.create_run("street", weights=["a", 0, 0, 0]), "weights.vis"),
    "weights name": (lambda a: a.create_run("street", weights={"sge": 1}), "sge"),
    "weights large": (lambda a: a.create_run("street", weights=[2, 0, 0, 0]), "weights.vis"),
    "weights zero": (lambda a: a.create_run("street", weights=[0, 0, 0, 0]), "all control weights"),
    "weights nan": (lambda a: a.create_run("street", weights=[np.nan, 0, 0, 1]), "weights.vis"),
    "weights none": (lambda a: a.create_run("street", weights=[None, 0, 0, 1]), "weights.vis"),
    "weights endless": (lambda a: a.create_run("street", weights=ENDLESS), "levels"),
    "steps half": (lambda a: a.create_run("street", num_steps=3.5), "num_steps"),
    "steps many": (lambda a: a.create_run("street", num_steps=1000), "num_steps"),
    "steps word": (lambda a: a.create_run("street", num_steps="many"), "num_steps"),
    "steps list": (lambda a: a.create_run("street", num_steps=[3]), "num_steps"),
    "steps huge": (lambda a: a.create_run("street", num_steps=10**5000), "num_steps"),
    "fps of a run": (lambda a: a.create_run("street", fps=23.976), "fps"),
    "seed negative": (lambda a: a.create_run("street", seed=-1), "seed"),
    "seed infinite": (lambda a: a.create_run("street", seed=float("inf")), "seed"),
    "preset unknown": (lambda a: a.create_run("street", blur_strength="hgih"), "high"),
    "regions text": (lambda a: a.create_run("street", regional_prompts="car"), "regional_prompts"),
    "regions bad": (lambda a: a.create_run("street", regional_prompts=[{"prompt": "a"}]), "region"),
    "negative number": (lambda a: a.create_run("street", negative_prompt=3), "negative_prompt"),
    "tags number": (lambda a: a.create_run("street", tags=3), "tags"),
    "tags of numbers": (lambda a: a.create_run("street", tags=[3]), "tags.0"),
    "tags empty": (lambda a: a.tag("latest-transfer", [""]), "tag"),
    "tag number": (lambda a: a.tag("latest-transfer", 3), "add"),
    "queue word": (lambda a: a.create_run("street", queue="perhaps"), "queue"),
    "on_line text": (lambda a: a.execute_runs([], on_line="print"), "on_line"),
    "progress text": (lambda a: a.prepare_scene("x", progress="bar"), "progress"),
    "directory none": (lambda a: a.prepare_scene(None), "directory"),
    "directory gone": (lambda a: a.prepare_scene("/nowhere"), "/nowhere"),
    "directory loop": (lambda a: a.prepare_scene(loop(a)), "loop"),
    "fps zero": (lambda a: a.prepare_scene(rendered(a), name="w", fps=0), "fps"),
    "fps negative": (lambda a: a.prepare_scene(rendered(a), name="w", fps=-24), "fps"),
    "fps nan": (lambda a: a.prepare_scene(rendered(a), name="w", fps=float("nan")), "fps"),
    "fps word": (lambda a: a.prepare_scene(rendered(a), name="w", fps="fast"), "fps"),
    "fps list": (lambda a: a.prepare_scene(rendered(a), name="w", fps=[24]), "fps"),
    "fps true": (lambda a: a.prepare_scene(rendered(a), name="w", fps=True), "fps"),
    "fps divided": (lambda a: a.prepare_scene(rendered(a), name="w", fps="1/0"), "fps"),
    "depth far": (lambda a: a.prepare_scene("x", depth_values="far"), "'millimetres' or 'carla'"),
    "near word": (lambda a: a.prepare_scene(rendered(a), near="close"), "near"),
    "far true": (lambda a: a.prepare_scene(rendered(a), far=True), "far"),
    "background nan": (lambda a: a.prepare_scene("x", background=float("nan")), "background"),
    "near beyond far": (lambda a: a.prepare_scene(rendered(a), near=9, far=2), "near 9 must"),
    "fov list": (lambda a: a.prepare_scene(rendered(a), fov=[90]), "fov"),
    "segments things": (lambda a: a.prepare_scene("x", segments="things"), "'materials'"),
    "depth capital": (lambda a: a.prepare_scene("x", depth_values="Distance"), "depth_values"),
    "pass of no form": (lambda a: a.prepare_scene(rendered(a), passes="depth"), "PASS=WHAT"),
    "no such pass": (lambda a: a.plan_scene(rendered(a), passes="dept=z"), "Say depth"),
    "no such scene": (lambda a: a.picture_of_plan(rendered(a), "color", scene="a"), "no scene a"),
    "scene name up": (lambda a: a.prepare_scene(rendered(a), name="../x"), "../x"),
    "scene name empty": (lambda a: a.prepare_scene(rendered(a), name=""), "name"),
    "description number": (lambda a: a.prepare_scene(rendered(a), description=3), "description"),
    "limit word": (lambda a: a.list_runs(limit="ten"), "limit"),
    "limit negative": (lambda a: a.list_runs(limit=-1), "limit"),
    "limit huge": (lambda a: a.list_prompts(limit=10**30), "limit"),
    "limit half": (lambda a: a.list_prompts(limit=1.5), "limit"),
    "limit true": (lambda a: a.list_prompts(limit=True), "limit"),
    "offset negative": (lambda a: a.list_prompts(offset=-1), "offset"),
    "offset huge": (lambda a: a.list_runs(offset=2**70), "offset"),
    "status unknown": (lambda a: a.list_runs(status="done"), "completed"),
    "filter unknown": (lambda a: a.find_runs(scenes="city"), "scene"),
    "filter wrong": (lambda a: a.count_runs(rating="best"), "rating"),
    "since": (lambda a: a.find_run_ids(since="soon"), "since"),
    "since number": (lambda a: a.find_run_ids(since=3), "since"),
    "status number": (lambda a: a.list_runs(status=3), "status"),
    "type unknown": (lambda a: a.list_runs(model_type="transferr"), "model_type"),
    "prompt of runs": (lambda a: a.list_runs(prompt_id=3), "prompt_id"),
    "scene of prompts": (lambda a: a.list_prompts(scene=Odd()), "scene"),
    "words none": (lambda a: a.search_prompts(None), "words"),
    "words list": (lambda a: a.search_prompts(["fog"]), "words"),
    "words empty": (lambda a: a.search_prompts("  "), "No word to search for"),
    "rating six": (lambda a: a.rate("latest-transfer", 6), "1 to 5"),
    "rating half": (lambda a: a.rate("latest-transfer", 4.5), "rating"),
    "rating word": (lambda a: a.rate("latest-transfer", "good"), "rating"),
    "rating true": (lambda a: a.rate("latest-transfer", True), "rating"),
    "rating nan": (lambda a: a.rate("latest-transfer", np.nan), "rating"),
    "rating huge": (lambda a: a.rate("latest-transfer", 10**5000), "rating"),
    "scene key none": (lambda a: a.get_scene(None), "key"),
    "scene key near": (lambda a: a.get_scene("ctiy"), "city"),
    "show none": (lambda a: a.show(None), "thing"),
    "show number": (lambda a: a.show(3), "thing"),
    "show empty": (lambda a: a.show(""), "''"),
    "show nothing": (lambda a: a.show("nothing like it"), "nothing like it"),
    "show directory": (lambda a: a.show(a.settings.home), "home"),
    "show text file": (lambda a: a.show(a.settings.home / "cosmos.toml"), "cosmos.toml"),
    "show long": (lambda a: a.show(LONG), "no prompt"),
    "show zero": (lambda a: a.show("a\0b"), "no prompt"),
    "deletion kind": (lambda a: a.plan_deletion("runs", "latest"), "kind"),
    "deletion id": (lambda a: a.plan_deletion("run", None), "thing_id"),
    "delete nothing": (lambda a: a.delete_run("rs_nothing"), "rs_nothing"),
    "delete none": (lambda a: a.delete_prompt(None), "prompt_id"),
    "delete wrong kind": (lambda a: a.delete_prompt("rs_1"), "rs_1"),
    "export kind": (lambda a: a.export("run", "x.csv"), "what"),
    "export format": (lambda a: a.export("runs", "x.xlsx"), ".csv"),
    "export nowhere": (lambda a: a.export("runs", "/nowhere/x.csv"), "/nowhere"),
    "export directory": (lambda a: a.export("runs", dir_called(a, "d.csv")), "d.csv"),
    "export none": (lambda a: a.export("runs", None), "path"),
    "export long": (lambda a: a.export("runs", f"{LONG}.csv"), "name"),
    "backup over": (lambda a: a.backup(a.settings.home / "cosmos.toml"), "exists"),
    "backup nowhere": (lambda a: a.backup("/nowhere/x.db"), "/nowhere"),
    "backup number": (lambda a: a.backup(3), "path"),
    "backup zero": (lambda a: a.backup("a\0b"), "path"),
    "verify word": (lambda a: a.verify_integrity(fix="perhaps"), "fix"),
    "upscale nothing": (lambda a: a.create_upscale(), "--video"),
    "upscale both": (lambda a: a.create_upscale("latest", video="x.mp4"), "either"),
    "upscale gone": (lambda a: a.create_upscale(video="/nowhere.mp4"), "/nowhere.mp4"),
    "upscale no video": (
        lambda a: a.create_upscale(video=a.settings.home / "cosmos.toml"), "cosmos.toml"
    ),
    "upscale directory": (lambda a: a.plan_upscale(video=a.settings.home), "directory"),
    "upscale prompt": (lambda a: a.upscale_run("street"), "street"),
    "upscale weight": (lambda a: a.upscale_run("latest-transfer", weight=7), "control_weight"),
    "enhance unknown": (lambda a: a.enhance_prompts(["nothing"]), "nothing"),
    "enhance size": (lambda a: a.enhance_prompt("street", resolution="huge"), "resolution"),
    "plan unknown": (lambda a: a.plan_enhance("nothing"), "nothing"),
    "quick unknown": (lambda a: a.quick_inference("nothing"), "nothing"),
    "quick none": (lambda a: a.quick_inference(None), "prompt_id"),
    "quick upscale": (lambda a: a.quick_inference("street", upscale="maybe"), "upscale"),
    "together text": (lambda a: a.create_and_run(None, "city"), "text"),
    "together scene": (lambda a: a.create_and_run("t", "nowhere"), "nowhere"),
    "kill nothing": (lambda a: a.kill(), "--all"),
    "kill both": (lambda a: a.kill("latest", all=True), "--all"),
    "kill ended": (lambda a: a.kill(a.list_runs(status="completed")[0]), "nothing to stop"),
    "kill number": (lambda a: a.kill(3), "run_id"),
    "logs nothing": (lambda a: a.stream_logs("rs_nothing"), "rs_nothing"),
    "logs below zero": (lambda a: a.stream_logs(completed(a), tail=-1), "tail"),
    "logs words": (lambda a: a.stream_log_text(completed(a), tail="all"), "tail"),
    "logs none": (lambda a: a.stream_logs(None), "run_id"),
    "why nothing": (lambda a: a.why("rs_nothing"), "rs_nothing"),
    "doctor backend": (lambda a: a.doctor(3), "backend"),
    "doctor check": (lambda a: a.doctor(on_check="print"), "on_check"),
    "places engine": (lambda a: a.list_places("moon"), "moon"),
    "status host": (lambda a: a.check_status(hosts="moon"), "moon"),
    "doctor host": (lambda a: a.doctor(hosts=["moon"]), "moon"),
    "setup host": (lambda a: a.host_setup("cosmos3", host="moon"), "moon"),
    "checkpoints host": (lambda a: a.host_checkpoints("cosmos3", host="moon"), "moon"),
    "stop host": (lambda a: a.host_checkpoints("cosmos3", "stop", host="moon"), "moon"),
    "meant host": (lambda a: a.hosts_meant("moon"), "moon"),
    "setup engine": (lambda a: a.host_setup(3), "engine"),
    "setup unknown": (lambda a: a.host_setup("cosmos4"), "cosmos4"),
    "setup arguments": (lambda a: a.host_setup("cosmos3", arguments=["A=1"]), "arguments"),
    "setup source": (lambda a: a.host_setup("cosmos3", source=3), "source"),
    "checkpoints action": (lambda a: a.host_checkpoints("cosmos3", "veryfy"), "action"),
    "checkpoints engine": (lambda a: a.host_checkpoints(None), "engine"),
    "checkpoints only": (lambda a: a.host_checkpoints("cosmos3", only=3), "only"),
    "recover argument": (lambda a: a.recover(on_line=3), "on_line"),
    "status argument": (lambda a: a.check_status(True), "1 arguments"),
    "active argument": (lambda a: a.get_active_operations(all=True), "all"),
    "kept check": (lambda a: a.check_and_keep(on_check="print"), "on_check"),
    "pause argument": (lambda a: a.pause_queue("x"), "1 arguments"),
    "resume argument": (lambda a: a.resume_queue(False), "1 arguments"),
    "pause both": (lambda a: a.pause_queue(host="local", engine="preview"), "either a host"),
    "pause host": (lambda a: a.pause_queue(host="gpu9"), "gpu9"),
    "pause nothing": (lambda a: a.pause_queue(reason=" "), "reason"),
    "resume what runs": (lambda a: a.resume_queue(engine="preview"), "not paused"),
    "move nowhere": (lambda a: a.move_run(completed(a)), "one of first"),
    "move an ended run": (lambda a: a.move_run(completed(a), first=True), "completed"),
    "move far": (lambda a: a.move_run(completed(a), priority=10**12), "priority"),
    "move unknown": (lambda a: a.move_run("rs_nothing", first=True), "rs_nothing"),
    "why unknown waits": (lambda a: a.why_queued("rs_nothing"), "rs_nothing"),
    "work argument": (lambda a: a.work_queue(True), "1 arguments"),
    "plan argument": (lambda a: a.plan_queue(5), "1 arguments"),
    "stray argument": (lambda a: a.kill_stray("x"), "1 arguments"),
    "scenes argument": (lambda a: a.list_scenes(5), "1 arguments"),
    "rate six": (lambda a: a.rate_runs([], 6), "1 to 5"),
    "rate bytes": (lambda a: a.rate_runs(b"rs_1", 3), "run_ids"),
    "judge word": (lambda a: a.judge_runs([], "good"), "verdict"),
    "undo rating": (lambda a: a.undo_marks([undoing(rating=(9, 1))]), "1 to 5"),
    "undo ids": (lambda a: a.undo_marks([undoing(ids=3)]), "undo"),
    "order word": (lambda a: a.order_runs("delete", []), "what"),
    "delete unseen": (lambda a: a.delete_runs("latest"), "seen"),
    "export exe": (lambda a: a.export_runs([], "exe"), "form"),
    "recipes argument": (lambda a: a.list_recipes(limit=5), "limit"),
}  # fmt: skip


def undoing(**step: Any) -> dict[str, Any]:
    return {"ids": [], "rating": None, "added": [], "removed": [], **step}


def loop(api: CosmosAPI) -> Path:
    path = api.settings.home / "loop"
    if not path.is_symlink():
        path.symlink_to(path)
    return path


def dir_called(api: CosmosAPI, name: str) -> Path:
    (api.settings.home / name).mkdir(exist_ok=True)
    return api.settings.home / name


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_refused_in_words_that_name_the_argument(api: CosmosAPI, name: str) -> None:
    call, word = WRONG[name]
    told = said(call, api)
    assert told is not None
    assert word in told


def test_every_public_method_is_in_the_table(api: CosmosAPI) -> None:
    named = {
        instruction.argval
        for call in (*NATURAL.values(), *(call for call, _ in WRONG.values()))
        for instruction in dis.get_instructions(call)
    }
    assert named >= PUBLIC


ANYTHING: list[Any] = [
    None, True, 0, -1, 3.7, float("nan"), float("inf"), 10**5000, "", "x", "latest", "street", LONG,
    "a\0b", "\udce9", "../..", b"x", [], [None], ["x"], ENDLESS, (), {"x"}, {}, {"id": 3}, {1: 2},
    Odd(), Odd, print, Path(), Path("/nowhere"), np.int64(3), np.array([1, 2]), np.array(["x"]),
    Fraction(1, 3), Decimal("NaN"), Ellipsis, object(), range(3), iter([1]), slice(1),
]  # fmt: skip
ENDLESS_WORK = {"work_queue"}
SLOW = {"check_and_keep", "check_status", "doctor", "recover", "verify_integrity", "kill_stray"}
"""Those that take nothing which could be wrong, and a second each."""


@pytest.mark.parametrize("name", sorted(PUBLIC - SLOW - ENDLESS_WORK))
def test_any_value_for_any_argument_is_taken_or_refused_in_words(
    api: CosmosAPI, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    method = getattr(api, name)
    parameters = [
        p.name
        for p in inspect.signature(method).parameters.values()
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    good = {
        "text": "A street", "scene_dir": "nowhere", "prompt_id": "nothing", "prompt_ids": [],
        "run_id": "rs_nothing", "run_ids": [], "directory": "/nowhere", "name": "x",
        "words": "street", "rating": 3, "thing": "street", "kind": "run", "thing_id": "rs_nothing",
        "what": "runs", "path": "/nowhere/x.csv", "engine": "nothing", "operation": "transfer",
        "names": [], "filled": {}, "new": "y", "key": "city-1-2-3",
        "verdict": "none", "undo": [], "seen": [], "form": "csv", "videos": ["rs_a", "rs_b"],
        "offset": 0, "size": 9, "tag": "one",
    }  # fmt: skip
    needed = {
        p.name
        for p in inspect.signature(method).parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    for argument in [*parameters, "nonsense"]:
        for value in ANYTHING:
            if callable(value) and argument in ("on_line", "on_check", "progress"):
                continue  # what a caller's own function does is his
            given = {n: good[n] for n in needed} | {argument: value}
            said(lambda a, m=name, g=given: getattr(a, m)(**g), api)
    with pytest.raises(InputError):
        method(*range(9))


def test_no_two_parts_of_the_api_have_a_method_of_one_name() -> None:
    parts = [part for part in CosmosAPI.__bases__ if issubclass(part, Project)]
    names = [n for part in parts for n in vars(part) if not n.startswith("__")]
    assert sorted(n for n in names if names.count(n) > 1) == []
