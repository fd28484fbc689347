"""Prompts on the page: found by words, no letter that was typed is lost, origins compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.operations.text import LONGEST
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'> at dawn"


def test_a_prompt_is_found_by_its_words_and_told_what_was_made_of_it(
    gallery: Gallery, tab: Page
) -> None:
    gallery.api.rate(gallery.videos["rain", "hard"], 4)
    tab.goto(f"{gallery.url}/cosmos/prompts")
    until(lambda: tab.locator(".prompt").count() == 3, "the prompts")
    tab.fill("#words", "neon")
    tab.wait_for_url("**/prompts?words=neon")
    only = tab.locator(".prompt")
    until(lambda: only.count() == 1, "the found prompt")
    for fact in ("street", "2 videos", "best 4 of 5"):
        tab.locator(".prompt", has_text=fact).wait_for()
    tab.reload()
    until(lambda: only.count() == 1, "the found prompt")
    only.get_by_role("checkbox").check()
    tab.click("#order")
    tab.wait_for_url(f"**/cosmos/new?prompt={gallery.prompts['rain']}**")


def test_pages_of_prompts_have_each_prompt_once(gallery: Gallery) -> None:
    made = {
        gallery.api.create_prompt(f"Street number {n} in fog", "street")["id"] for n in range(60)
    }
    found, address = list[str](), "/cosmos/prompts/rows?scene=street"
    while address:
        text = web.get(gallery.url + address).text
        found += re.findall(r'data-prompt="(\w+)"', text)
        more = re.search(r'hx-get="([^"]+)"', text)
        address = more[1].replace("&amp;", "&") if more else ""
    assert len(found) == len(set(found)) == 63
    assert made < set(found)


@pytest.mark.parametrize("query", ["after=nonsense", "words=%00%FF...", "scene=../../etc"])
def test_a_nonsense_address_of_the_list_is_answered_in_words(gallery: Gallery, query: str) -> None:
    answer = web.get(f"{gallery.url}/cosmos/prompts?{query}")
    assert answer.status_code == 200
    assert "No prompt" in answer.text or 'class="refusal"' in answer.text


def test_a_new_prompt_is_counted_named_and_warned_of_while_it_is_typed(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/prompts/new")
    assert tab.locator(".scene img").count() == 1
    tab.fill("#text", "  Low fog over the *harbour*  ")
    tab.locator("#name", has_text="low_fog_harbour").wait_for()
    assert tab.locator("#same a").get_attribute("href") is None
    counted = f"26 of {LONGEST:,} characters"
    until(lambda: tab.inner_text("#text-count") == counted, counted)
    tab.locator("#text-warnings", has_text="asterisk").wait_for()
    tab.fill("#text", "x" * (LONGEST + 1))
    tab.locator("#text-problem", has_text="10,001 characters").wait_for()
    tab.click("text=Save the prompt")
    tab.locator("#text[aria-invalid=true]").wait_for()
    tab.fill("#text", "Low fog over the harbour")
    tab.click("text=Save the prompt")
    tab.wait_for_url("**/cosmos/prompt/ps_*")
    assert tab.inner_text("h1") == "low_fog_harbour"
    assert tab.evaluate("localStorage.length") == 0


def test_what_was_typed_outlives_a_reload_and_a_server_that_is_gone(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/prompts/new")
    tab.fill("#text", "A storm that nobody types twice")
    tab.fill("#negative_prompt", "blue sky")
    tab.context.set_offline(True)
    tab.click("text=Save the prompt")
    tab.locator("#form-problem", has_text="does not answer").wait_for()
    assert tab.input_value("#text") == "A storm that nobody types twice"
    tab.context.set_offline(False)
    tab.reload()
    tab.locator("#kept").wait_for()
    assert tab.input_value("#text") == "A storm that nobody types twice"
    assert tab.input_value("#negative_prompt") == "blue sky"
    tab.click("#discard")
    until(lambda: tab.input_value("#text") == "", "an empty field")


def test_an_edited_prompt_is_new_knows_its_origin_and_shows_the_difference(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/prompt/{gallery.prompts['noon']}")
    tab.click("text=Edit as a new prompt")
    tab.fill("#text", "A busy city street at noon, clear sky and rain")
    tab.click("text=Save the prompt")
    tab.wait_for_url("**/cosmos/prompt/ps_*")
    tab.locator("#difference-title", has_text="Edited from").wait_for()
    tab.locator(".difference del", has_text="quiet").wait_for()
    inserted = tab.locator(".difference ins").all_text_contents()
    assert inserted == ["inserted: busy end", "inserted:  and rain end"]
    made = gallery.api.story_of_prompt(tab.url.rsplit("/", 1)[1])
    assert made["parent"]["id"] == gallery.prompts["noon"]
    assert made["source_run_id"] is None
    shown = "".join(part["text"] for part in made["difference"] if part["kind"] != "deleted")
    assert shown == made["text"]


def test_enhance_twice_from_one_page_queues_one_run(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/prompt/{gallery.prompts['rain']}")
    tab.click("#enhance")
    tab.locator("#enhanced", has_text="Queued").wait_for()
    tab.reload()
    tab.click("#enhance")
    tab.locator("#enhanced", has_text="queued already").wait_for()
    (run,) = gallery.api.list_runs(prompt_id=gallery.prompts["rain"], model_type="enhance")
    assert (run["status"], bool(run["queued_at"])) == ("pending", True)


def test_a_prompt_leads_to_its_scene(gallery: Gallery) -> None:
    page = web.get(f"{gallery.url}/cosmos/prompt/{gallery.prompts['noon']}").text
    assert '<a href="/cosmos/scene-page/street">street</a>' in page


def test_what_is_made_of_a_prompt_appears_and_leaves_the_current_run(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/prompt/{gallery.prompts['rain']}")
    first = tab.locator(".prompt-runs li").first
    first.evaluate("run => run.setAttribute('aria-current', 'true')")
    current = first.get_attribute("data-run")

    def appeared() -> bool:
        gallery.api.rate(gallery.videos["rain", "hard"], 5)
        return tab.locator("#runs-title", has_text="best rated 5 of 5").count() == 1

    until(appeared, "the rating")
    assert tab.locator("[data-run][aria-current=true]").get_attribute("data-run") == current


def test_a_script_in_a_prompt_is_text_on_every_screen_of_prompts(
    gallery: Gallery, tab: Page
) -> None:
    prompt = gallery.api.create_prompt(SCRIPT, "street", name="<b>bold</b>")["id"]
    edited = gallery.api.create_prompt(f"{SCRIPT}!", "street", parent=prompt)["id"]
    for path in ("prompts", f"prompt/{prompt}", f"prompt/{edited}", f"prompts/new?edit={prompt}"):
        tab.goto(f"{gallery.url}/cosmos/{path}")
        tab.locator("main", has_text="<b>bold</b>").wait_for()
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("main b, main script, main img[src=x]").count() == 0


def test_the_list_asks_as_few_questions_for_fifty_prompts_as_for_three(gallery: Gallery) -> None:
    def questions(api: CosmosAPI) -> int:
        from sqlalchemy import event

        asked: list[str] = []
        engine = api.catalog.engine
        event.listen(engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
        api.page_of_prompts()
        return len(asked)

    few = questions(gallery.api)
    for n in range(50):
        gallery.api.create_prompt(f"Another street {n}", "street")
    gallery.api.close()
    assert questions(gallery.api) <= few <= 6
