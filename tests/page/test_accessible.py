"""Every screen can be used by keyboard, by a screen reader and on a narrow screen."""

from __future__ import annotations

import hashlib
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from cosmos_pipelines.page.site import STATIC
from tests.page.conftest import Gallery

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "tests" / "support" / "vendor"
AXE = VENDOR / "axe.min.js"

SERIOUS = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations
    .filter((fault) => ["serious", "critical"].includes(fault.impact))
    .flatMap((fault) => fault.nodes.map((node) =>
      `${fault.id}: ${node.html.slice(0, 160)}: ${node.failureSummary}`));
}"""

CONTROLS = """() => {
  const asked = "a[href], button, input, select, textarea, summary, video[controls], " +
    "[tabindex], [contenteditable]";
  const radios = new Set();
  window.unreached = new Set([...document.querySelectorAll(asked)].filter((found) => {
    if (found.disabled || found.tabIndex < 0 || !found.checkVisibility()) return false;
    if (found.type !== "radio") return true;
    if (radios.has(found.name)) return false;  // arrow keys lead to the others of the group
    radios.add(found.name);
    return true;
  }));
  document.addEventListener("focusin", (event) => {
    for (const left of window.unreached) {
      const same = left.type === "radio" && left.name === event.target.name;
      if (left === event.target || same) window.unreached.delete(left);
    }
  });
  return window.unreached.size;
}"""
UNREACHED = "() => [...window.unreached].map((left) => left.outerHTML.slice(0, 160))"

SPILLS = """() => {
  const room = document.documentElement.clientWidth;
  const width = document.documentElement.scrollWidth;
  if (width <= room) return [];
  const wide = [...document.querySelectorAll("body *")]
    .filter((found) => !found.closest(".nav") && found.getBoundingClientRect().right > room + 1)
    .map((found) => found.outerHTML.slice(0, 160));
  return [`${width} pixels wide`, ...wide];
}"""


def screens(gallery: Gallery) -> list[str]:
    """Paths of all screens, with what the gallery has."""
    first, second = gallery.videos["noon", "soft"], gallery.videos["rain", "hard"]
    return [
        "/cosmos/",
        "/cosmos/prompts",
        "/cosmos/prompts/new",
        f"/cosmos/prompt/{gallery.prompts['noon']}",
        "/cosmos/new",
        "/cosmos/recipes",
        "/cosmos/scenes",
        "/cosmos/scene-page/street",
        "/cosmos/queue",
        f"/cosmos/run/{first}",
        f"/cosmos/run/{gallery.enhanced}",
        f"/cosmos/compare?v={first}&v={second}",
        "/cosmos/run/rs_nothing",
    ]


def opened(tab: Page, gallery: Gallery, path: str) -> None:
    """Open a screen and wait until its parts are there."""
    tab.goto(gallery.url + path)
    tab.locator(".htmx-request, [aria-busy=true]").first.wait_for(state="detached")


def faults_of(tab: Page, gallery: Gallery, script: str) -> str:
    """What a script finds wrong, a line each."""
    found: list[str] = []
    for path in screens(gallery):
        opened(tab, gallery, path)
        if script is SERIOUS:
            tab.evaluate(AXE.read_text())  # by the debugger: no policy of the page is weakened
        found += [f"{path}: {wrong}" for wrong in tab.evaluate(script)]
    return "\n".join(found)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_serious_fault_on_any_screen(
    gallery: Gallery, tab: Page, scheme: Literal["dark", "light"]
) -> None:
    tab.emulate_media(color_scheme=scheme)
    assert faults_of(tab, gallery, SERIOUS) == ""


def unreached(tab: Page) -> list[str]:
    """The controls that no press of Tab has led to, in three rounds: parts come meanwhile."""
    for _ in range(3):
        for _ in range(2 * tab.evaluate(CONTROLS) + 4):
            tab.keyboard.press("Tab")
        if not (left := tab.evaluate(UNREACHED)):
            return []
    return [str(control) for control in left]


def test_the_tab_key_reaches_every_control(gallery: Gallery, tab: Page) -> None:
    found: list[str] = []
    for path in screens(gallery):
        opened(tab, gallery, path)
        found += [f"{path}: {control}" for control in unreached(tab)]
    assert found == []


def test_no_screen_scrolls_sideways_at_400_pixels(gallery: Gallery, tab: Page) -> None:
    tab.set_viewport_size({"width": 400, "height": 800})
    assert faults_of(tab, gallery, SPILLS) == ""


def luminance(color: str) -> float:
    """The relative luminance of `#rrggbb`, as WCAG 2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        p / 12.92 if p <= 0.04045 else float(((p + 0.055) / 1.055) ** 2.4) for p in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_each_colour_of_text_can_be_read_on_each_ground(theme: int) -> None:
    text = (STATIC / "css" / "tokens.css").read_text()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", text)
    color = {name: values[theme] for name, *values in pairs}
    grounds = ("ground", "panel", "raised")
    written = color.keys() - {*grounds, "line", "edge", "on-accent"}
    faint = [
        (name, ground)
        for name in written
        for ground in grounds
        if contrast(color[name], color[ground]) < 4.5
    ]
    faint += [("edge", g) for g in grounds if contrast(color["edge"], color[g]) < 3]
    for name, ground in (("on-accent", "accent"), ("ground", "bad"), ("ground", "text")):
        if contrast(color[name], color[ground]) < 4.5:
            faint.append((name, ground))
    assert faint == []


def test_axe_is_the_file_that_its_table_names_and_not_in_the_package() -> None:
    (row,) = re.findall(r"\| (\d+) \| `(\w+)` \|$", (VENDOR / "VENDOR.md").read_text(), re.M)
    content = AXE.read_bytes()
    assert (str(len(content)), hashlib.sha256(content).hexdigest()) == row
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert not any(fnmatch("tests.support", p) for p in packed["packages"]["find"]["include"])
