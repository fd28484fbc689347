"""How long the order form takes to tell 40 cells after a change, in a real Chromium.

One JSON object a line; the project has 2,000 scenes, 2,000 other prompts and 10,000 ended runs.
The first line: from the last change in the form (5 prompts x 4 recipes x 2 seeds) to the plan on
the screen, with the pause before the form asks. The yardstick are the calls of `cosmos inference
--dry-run` that tell the same 40 cells: one for each recipe and seed. The others: until the list of
prompts is on the screen, at its start and after words were typed.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cosmos_pipelines.api import CosmosAPI
from tests.support.many import fill
from tests.support.project import make_project
from tests.support.review_page import review_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 15
CHANGE = """
async seeds => {
    const plan = document.querySelector("#plan");
    const shown = new Promise((done) => {
        const look = new MutationObserver(() => {
            if (!plan.hasAttribute("aria-busy") && plan.querySelector("table")) {
                look.disconnect();
                requestAnimationFrame(() => requestAnimationFrame(done));
            }
        });
        look.observe(plan, { childList: true, subtree: true, attributes: true });
    });
    const field = document.querySelector("#seeds");
    const begin = performance.now();
    field.value = seeds;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await shown;
    return performance.now() - begin;
}
"""


def plan_ms(tab: Page) -> list[float]:
    """Milliseconds from a change of the seeds to the plan, of each round."""
    tab.locator("#queue", has_text="40 runs").wait_for()
    found = [tab.evaluate(CHANGE, f"{n}, {n + 100}") for n in range(1, ROUNDS + 1)]
    assert "40 runs" in tab.inner_text("#queue")
    return found


def list_ms(tab: Page, url: str) -> tuple[float, float]:
    """Milliseconds to the first prompts on the screen, and from typed words to the found ones."""
    opened, searched = [], []
    for n in range(ROUNDS):
        begin = time.perf_counter()
        tab.goto(f"{url}/cosmos/prompts", wait_until="commit")
        tab.locator(".prompt").first.wait_for()
        opened.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        tab.locator("#words").fill(f"number {100 + n}")
        tab.locator(".prompt p", has_text=f"street number {100 + n}").first.wait_for()
        tab.wait_for_function("document.querySelectorAll('.prompt').length < 50")
        searched.append(time.perf_counter() - begin)
    return 1000 * statistics.median(opened), 1000 * statistics.median(searched)


def cli_s(home: Path, prompts: list[str], recipes: list[str]) -> float:
    """Seconds of the calls that tell the same 40 cells."""
    begin = time.perf_counter()
    for recipe in recipes:
        for seed in ("1", "101"):
            words = ["--home", str(home), "inference", *prompts, "--recipe", recipe]
            words += ["--seed", seed, "--dry-run"]
            command = [sys.executable, "-m", "cosmos_pipelines.cli", *words]
            subprocess.run(
                command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
    return time.perf_counter() - begin


def measure(home: Path) -> list[dict[str, Any]]:
    """Make a project, open its order form, and measure."""
    from playwright.sync_api import sync_playwright

    project = make_project(home)
    fill(project, n_scenes=2_000, n_waiting=0, n_ended=10_000)
    directory = project.scene("street", frames=12, width=160, height=96)
    with (
        CosmosAPI(settings=project.settings) as api,
        review_page(api) as url,
        sync_playwright() as playwright,
    ):
        texts = [f"A street in fog, take {n}" for n in range(5)]
        prompts = [api.create_prompt(text, directory)["id"] for text in texts]
        recipes = [f"r{n}" for n in range(4)]
        for n, name in enumerate(recipes):
            api.create_recipe(name, weights={"depth": 1.0}, num_steps=20 + n)
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        query = "&".join([*(f"prompt={p}" for p in prompts), *(f"recipe={r}" for r in recipes)])
        tab.goto(f"{url}/cosmos/new?{query}&seeds=1-2")
        took = plan_ms(tab)
        opened, searched = list_ms(tab, url)
        browser.close()
    yardstick = cli_s(home, prompts, recipes)
    value = statistics.median(took)
    return [
        {
            "name": "order form: change to plan of 40 cells",
            "value": round(value, 1),
            "unit": "ms, median",
            "worst": round(max(took), 1),
            "against": f"8 calls of cosmos inference --dry-run, {1000 * yardstick:.0f} ms",
            "ratio": round(value / 1000 / yardstick, 4),
        },
        {"name": "prompts: first of 2,005 on screen", "value": round(opened), "unit": "ms, median"},
        {"name": "prompts: words to found", "value": round(searched), "unit": "ms, median"},
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for line in measure(Path(made) / "home"):
            print(json.dumps(line))
