"""The dialog that prepares a scene: a look first, then the options that it is about."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.page.call_form import fields_of
from cosmos_pipelines.page.prepare_form import first_fields, groups_of
from cosmos_pipelines.page.screens.scenes import PLANS_SHOWN
from tests.media import renders
from tests.media.lerobot import many_episodes
from tests.media.test_blender import BLENDER
from tests.page.conftest import Gallery
from tests.page.test_accessible import AXE, SERIOUS
from tests.support.review_page import visitor
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIELDS = fields_of(CosmosAPI.prepare_scene)


def test_an_argument_of_the_preparation_is_a_field_of_its_form() -> None:
    fields = {field["name"]: field for field in FIELDS}
    assert [field["name"] for field in first_fields(FIELDS)] == ["directory", "name"]
    assert fields["depth_holes"]["choices"] == ["far", "near", "none"]
    assert fields["directory"]["required"]
    assert fields["step"]["kind"] == "whole"
    assert "progress" not in fields
    assert all(field["sentence"] for field in fields.values())


def every_group() -> list[tuple[str, list[str]]]:
    """All heads with the names of their fields, as where a value of each is set."""
    groups = groups_of(FIELDS, {field["name"]: "x" for field in FIELDS}, [], None)
    return [(one.head, [field["name"] for field in one.fields]) for one in groups]


def test_each_option_of_a_preparation_is_in_one_group() -> None:
    names = [name for _, fields in every_group() for name in fields]
    asked = {field["name"] for field in FIELDS} - {"directory", "name", "description"}
    assert sorted(names) == sorted(asked)
    heads = [head for head, _ in every_group()]
    assert heads == ["Which files", "Colour", "Depth", "Segmentation", "Frames and rate"]
    newer = {**FIELDS[-1], "name": "newer", "label": "Newer"}
    (group,) = groups_of([*FIELDS, newer], {"newer": "1"}, [], None)
    assert (group.head, group.open) == ("Other options", True)


def plan_of(*passes: tuple[str, str], layers: int = 1, hint: str | None = None) -> dict[str, Any]:
    """A plan as `CosmosAPI.plan_scene` returns it, of passes and their kinds."""
    taken = [{"pass": n, "kind": kind, "layers": ["x"] * layers} for n, kind in passes]
    return {"passes": taken, "wrong": "It cannot be." if hint else None, "hint": hint}


@pytest.mark.parametrize(
    ("plan", "heads"),
    [
        pytest.param(
            plan_of(("color", "video"), ("depth", "video")),
            ["Which files", "Frames and rate"],
            id="videos",
        ),
        pytest.param(
            plan_of(("color", "png"), ("depth", "pictures")),
            ["Which files", "Colour", "Depth", "Frames and rate"],
            id="pictures without segments",
        ),
        pytest.param(
            plan_of(("segmentation", "pictures"), layers=3),
            ["Which files", "Segmentation", "Frames and rate"],
            id="cryptomatte",
        ),
    ],
)
def test_the_groups_shown_are_those_that_the_plan_is_about(
    plan: dict[str, Any], heads: list[str]
) -> None:
    groups = groups_of(FIELDS, {"directory": "/d", "depth_values": "distance"}, [plan], None)
    assert [one.head for one in groups] == heads
    assert not any(one.open for one in groups)


def test_a_group_is_open_where_a_value_is_set_or_what_is_wrong_names_its_option() -> None:
    wrong = plan_of(("color", "video"), hint="Say how far: `--near 1 --far 9`.")
    shown = {one.head: one.open for one in groups_of(FIELDS, {"step": "2"}, [wrong], None)}
    assert shown == {"Which files": False, "Depth": True, "Frames and rate": True}
    told = groups_of(FIELDS, {}, [], "Two could be meant. Say which: `--pass color=a`.")
    assert [(one.head, one.open) for one in told] == [("Which files", True)]
    assert groups_of(FIELDS, {}, [], "There is no such directory.") == []


def look(tab: Page) -> None:
    tab.get_by_role("button", name="Look at it").click()


def test_a_directory_is_prepared_from_the_page_and_a_refusal_is_one_line(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    source = tmp_path / "renders" / "bridge"
    shutil.copytree(gallery.api.get_scene("street")["path"], source)
    tab.goto(f"{gallery.url}/cosmos/scenes")
    tab.keyboard.press("n")
    tab.get_by_label("Directory").fill(str(source))
    assert tab.get_by_label("Description").count() == 0
    look(tab)
    tab.get_by_label("Description").fill("<b>A bridge</b>")
    tab.get_by_role("button", name="Prepare", exact=True).click()
    tab.get_by_role("link", name="bridge is a scene.").click()
    tab.get_by_role("heading", name="bridge").wait_for()
    assert gallery.api.get_scene("bridge")["description"] == "<b>A bridge</b>"
    tab.get_by_text("<b>A bridge</b>").wait_for()
    tab.goto(f"{gallery.url}/cosmos/scenes?prepare=/nowhere/at%20all")  # looks by itself
    refusal = tab.locator("#plan .refusal", has_text="/nowhere/at all")
    refusal.wait_for()
    assert "\n" not in refusal.inner_text().strip()
    assert tab.locator(".prepare-options").count() == 0


def opened(tab: Page) -> list[str]:
    groups = tab.locator(".prepare-options details[open] summary")
    return [text.strip() for text in groups.all_inner_texts()]


def test_the_dialog_is_used_by_keyboard_and_keeps_what_was_typed(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/scenes")
    dialog = tab.get_by_role("dialog", name="Prepare a scene")
    assert not dialog.is_visible()
    tab.keyboard.press("n")
    tab.keyboard.type(str(BLENDER / "exr"))  # the directory has the focus
    tab.keyboard.press("Enter")
    tab.get_by_text("its layer is ViewLayer.Depth").wait_for()
    assert opened(tab) == []
    depth = tab.locator(".prepare-options summary", has_text="Depth")
    depth.focus()
    tab.keyboard.press("Enter")
    tab.get_by_label("Near", exact=True).focus()
    tab.keyboard.type("9")
    button = tab.get_by_role("button", name="Prepare", exact=True)
    until(button.is_disabled, "what is prepared is what was shown")
    tab.get_by_text("look again first").wait_for()
    tab.get_by_label("Near", exact=True).press("Enter")
    until(button.is_enabled, "another look")
    assert opened(tab) == ["Depth"]
    assert tab.get_by_label("Near", exact=True).input_value() == "9"
    assert "--near" in dialog.inner_text()
    tab.keyboard.press("Escape")
    until(lambda: not dialog.is_visible(), "Escape closes")
    tab.get_by_role("button", name="Prepare a scene").press("Enter")
    assert tab.get_by_label("Directory").input_value() == str(BLENDER / "exr")
    assert tab.get_by_label("Near", exact=True).input_value() == "9"
    tab.get_by_label("Name").fill("nearer")
    tab.get_by_label("Name").press("Enter")
    until(button.is_enabled, "another look")
    button.press("Enter")
    until(lambda: not dialog.is_visible(), "it closes when the work has begun")
    tab.get_by_role("link", name="nearer is a scene.", exact=True).wait_for()
    tab.locator(".job-notes summary").click()
    tab.get_by_text("9 became white (near), 16.35 black").wait_for()
    assert gallery.api.look_at_scene("nearer")["passes"][1]["depth"]["value_of_white"] == 9


def test_what_is_refused_opens_the_options_that_it_names(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    shot = renders.render(tmp_path / "shot", frames=4)
    (shot / "color.0002.png").unlink()
    tab.goto(f"{gallery.url}/cosmos/scenes?prepare={shot}")
    tab.get_by_text("lacks 2").wait_for()
    assert tab.get_by_role("button", name="Prepare", exact=True).count() == 0
    tab.locator(".prepare-options summary", has_text="Colour").click()
    tab.get_by_label("Colour space").fill("acescq")
    tab.get_by_role("button", name="Look again").click()
    until(lambda: opened(tab) == ["Colour"], "the group with the value")
    assert tab.get_by_label("Colour space").input_value() == "acescq"


def test_the_dialog_can_be_used_on_a_narrow_screen_in_both_colours(
    gallery: Gallery, tab: Page
) -> None:
    tab.set_viewport_size({"width": 400, "height": 800})
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        tab.goto(f"{gallery.url}/cosmos/scenes?prepare={BLENDER / 'exr'}")
        tab.get_by_text("its layer is ViewLayer.Depth").wait_for()
        for group in tab.locator(".prepare-options summary").all():
            group.click()
        dialog = tab.get_by_role("dialog", name="Prepare a scene")
        assert dialog.evaluate("d => [d.scrollWidth, d.clientWidth]") == [374, 374]
        tab.evaluate(AXE.read_text())
        assert tab.evaluate(SERIOUS) == []


def test_what_would_be_taken_is_shown_with_pictures_before_anything_is_made(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    for number in range(2):
        renders.video(drop / f"demo_{number}_cam.mp4")
        renders.video(drop / f"demo_{number}_cam_depth.mp4")
    renders.sequence(drop, "demo_0_cam_ids_%04d.png", renders.segments)
    (drop / "demo_1_cam_depth.mp4").write_bytes(b"no video")
    tab.goto(f"{gallery.url}/cosmos/scenes?prepare={drop}")
    plan = tab.get_by_role("region", name="demo_0_cam")
    plan.get_by_text("its name says depth").wait_for()
    for name in ("color", "depth", "segmentation"):
        picture = plan.get_by_alt_text(f"First frame of {name}")
        picture.scroll_into_view_if_needed()
        until(lambda p=picture: p.evaluate("i => i.naturalWidth") == 64, f"the picture of {name}")
    tab.get_by_role("region", name="demo_1_cam").get_by_text("is not a video").wait_for()
    assert not (gallery.api.settings.inputs / "drop").exists()
    tab.get_by_role("button", name="Prepare 1 scene").click()
    tab.locator(".job .refusal", has_text="1 scene: drop/demo_0_cam.").wait_for()
    tab.locator(".job-notes summary").click()
    tab.locator(".job-notes li", has_text="demo_0_cam: demo_0_cam_ids_####.png").first.wait_for()
    assert set(gallery.api.get_scene("drop/demo_0_cam")["facts"]) == {
        "color",
        "depth",
        "segmentation",
    }


def test_some_of_many_scenes_are_chosen_by_a_pattern(
    gallery: Gallery, tab: Page, tmp_path: Path
) -> None:
    data = many_episodes(tmp_path / "cups", 12)
    tab.goto(f"{gallery.url}/cosmos/scenes?prepare={data}")
    tab.get_by_text("12 scenes are here.").wait_for()
    assert tab.locator("section.plan").count() == PLANS_SHOWN
    tab.get_by_text("6 more").wait_for()
    tab.locator(".prepare-options summary", has_text="Which files").click()
    tab.get_by_label("Only these scenes").fill("episode_00001?_top")
    tab.get_by_role("button", name="Look again").click()
    tab.get_by_role("button", name="Prepare 2 scenes").click()
    tab.get_by_role("link", name="2 scenes: cups/episode_000010_top, cups/ep").wait_for()


def test_a_pass_is_chosen_in_the_form(gallery: Gallery, tab: Page, tmp_path: Path) -> None:
    shot = tmp_path / "shot"
    renders.sequence(shot, "rgb_%04d.png", renders.colour)
    for kind in ("semantic", "instance"):
        renders.sequence(shot, f"{kind}_segmentation_%04d.png", renders.segments)
    tab.goto(f"{gallery.url}/cosmos/scenes?prepare={shot}")
    tab.locator("#plan .refusal", has_text="--pass segmentation=").wait_for()
    assert tab.get_by_role("button", name="Prepare", exact=True).count() == 0
    said = "segmentation=instance_segmentation, color=rgb"
    tab.get_by_label("Passes").fill(said)
    tab.get_by_role("button", name="Look again").click()
    tab.get_by_role("cell", name="instance_segmentation_####.png").wait_for()
    assert tab.get_by_label("Passes").input_value() == said


@pytest.mark.parametrize("file", ["color.mp4", "nothing.txt"], ids=["a plan", "a refusal"])
def test_a_file_whose_name_is_no_utf_8_is_shown_beside_what_is_taken(
    gallery: Gallery, tmp_path: Path, file: str
) -> None:
    drop = tmp_path / "drop"
    renders.video(drop / file, frames=3)
    (drop / "caf\udce9.mp4").write_bytes(b"")
    with closing(visitor(gallery.url)) as client:
        for accept in ("text/html", "application/json"):
            headers = {"accept": accept}
            sent = {"directory": str(drop)}
            answer = client.post("/cosmos/scenes/plan", data=sent, headers=headers)
            assert answer.status_code == 200, answer.text
            assert "caf\\udce9.mp4" in answer.text
