"""The log on the page of a run: pieces and counts by the server, rows in a real browser."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.lines import Lines
from cosmos_pipelines.operate import log_index
from cosmos_pipelines.operate.log_index import BLOCK, LineIndex
from cosmos_pipelines.page.site import version
from cosmos_pipelines.runs.log import log_file
from tests.page.conftest import Gallery
from tests.page.run_at_work import AtWork
from tests.support import web
from tests.support.waiting import LONG_S, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOG_JS = f"/cosmos/static/{version()}/js/log"


def lines_of(text: str) -> list[str]:
    """The lines of a text, as `cosmos logs` has them."""
    lines = Lines()
    return [*lines.add(text), *filter(None, [lines.rest()])]


def write_log(gallery: Gallery, text: bytes) -> str:
    """Put a log in the place of that of a completed run that shared its load with no run."""
    run_id = gallery.enhanced
    log_file(gallery.api.settings.outputs, run_id).write_bytes(text)
    return run_id


def opened(tab: Page, gallery: Gallery, run_id: str, place: str = "#log") -> None:
    tab.goto(f"{gallery.url}/cosmos/run/{run_id}{place}")
    tab.locator(".log-row .log-number[href]").first.wait_for()


def rows(tab: Page) -> list[str]:
    """The texts of the rows that are there."""
    return tab.locator(".log-row .log-text").all_text_contents()


def numbers(tab: Page) -> list[int]:
    """The numbers of these rows, as far as they are known."""
    return [int(n) for n in tab.locator(".log-row .log-number").all_text_contents() if n]


@given(st.lists(st.text("a\r\n", max_size=7), max_size=6))
def test_lines_are_counted_alike_however_a_log_grows(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "run.log"
    index, whole = LineIndex(), ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_index, "BLOCK", 4)
        for piece in pieces:
            whole += piece
            path.write_bytes(whole.encode())
            with path.open("rb", buffering=0) as file:
                size, starts = index.read(file)
            assert size == len(whole)
            assert len(starts) == max(1, -(-size // 4))
            for block, count in enumerate(starts):
                before = whole[: 4 * block]
                ended = len(lines_of(before + ("\n" if before.endswith("\r") else "x"))) - 1
                if before.endswith("\r"):  # half of a line end, or a whole one
                    ended += whole[4 * block : 4 * block + 1] != "\n"
                assert count == ended


def test_every_line_is_found_by_its_number_in_a_log_of_many_blocks(
    gallery: Gallery, tab: Page
) -> None:
    chance = random.Random(1)
    parts = [
        "x" * chance.choice([0, 1, 9, 80, 400]) + str(n) + chance.choice(["\n", "\r\n", "\r"])
        for n in range(6000)
    ]
    text = "".join(parts) + "no end"
    halves = list(text)
    for block in (1, 2):  # CR LF across two blocks
        halves[block * BLOCK - 1 : block * BLOCK + 1] = "\r\n"
    text = "".join(halves)
    assert len(text) > 2 * BLOCK + 9
    run_id = write_log(gallery, text.encode())
    opened(tab, gallery, run_id)
    found = tab.evaluate(
        """async ([base, url]) => {
            const { Source } = await import(`${base}/source.js`);
            const told = { onChange() {}, onReplaced() {}, onState() {} };
            const source = new Source(url, "run.log", told);
            const files = (await (await fetch(`/cosmos/log/${url}`)).json()).files;
            await source.open(files[0].size);
            const all = [];
            for (let n = 0; n < source.blocks.lines; n++) {
                await source.blocks.ensure(n, n + 1);
                all.push(new TextDecoder().decode(source.blocks.line(n).bytes));
            }
            return all;
        }""",
        [LOG_JS, run_id],
    )
    assert found == lines_of(text)


LEVELS = [
    ("2026-11-29T15:25:49.248Z ERROR rs_1: it failed", "error", "2026-11-29T15:25:49.248Z"),
    ("2026-11-29 15:25:49.248 | WARNING  | x:y:1 - so", "warning", "2026-11-29 15:25:49.248"),
    ("2026-11-29 15:25:49,248 - root - DEBUG - so", "debug", "2026-11-29 15:25:49,248"),
    ("[11-29 15:25:49|INFO|model.py:3:run] so", "info", "11-29 15:25:49"),
    ("Traceback (most recent call last):", "error", ""),
    ('  File "/code/model.py", line 3, in run', "error", ""),
    ("torch.OutOfMemoryError: CUDA out of memory.", "error", ""),
    ("E1129 15:25:49.123456 17 cuda.cc:1] so", "error", "15:25:49.123456"),
    ("UserWarning: so", "warning", ""),
    ("GPU has fallen off the bus", "error", ""),
    ("GUARDRAIL BLOCKED: BLOCKLIST: Prompt blocked by censorship", "error", ""),
    ("final user prompt: an ERROR of taste", "", ""),
    ("[1/3] rs_1 transfer: chunk 1/2, step 3/35", "", ""),
]


def test_a_browser_tells_levels_and_times_by_the_rules_of_the_engines(
    gallery: Gallery, tab: Page
) -> None:
    tab.goto(f"{gallery.url}/cosmos/")
    found = tab.evaluate(
        """async ([base, rules, lines]) => {
            const { Rules } = await import(`${base}/lines.js`);
            const made = new Rules(rules);
            return lines.map((line) => [line, made.level(line), made.timeOf(line)]);
        }""",
        [LOG_JS, gallery.api.log_rules(), [line for line, *_ in LEVELS]],
    )
    assert [tuple(row) for row in found] == LEVELS


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("run.log/range?offset=0&size=99999999", 200),
        ("..%2f..%2f..%2fcosmos.toml", 404),
        ("..%2f..%2f..%2fcosmos.toml/range", 404),
        ("video.mp4", 400),
        ("run.log.bak/index", 400),
        ("run.1.log", 404),
        ("run.log/range?offset=-1", 400),
        ("run.log/range?offset=1e9", 400),
        ("run.log/range?offset=99999999999999999999", 400),
    ],
)
def test_only_the_logs_of_the_run_are_read_and_only_so_much(
    gallery: Gallery, path: str, status: int
) -> None:
    run_id = write_log(gallery, b"x" * (3 << 20))
    answer = web.get(f"{gallery.url}/cosmos/log/{run_id}/{path}")
    assert answer.status_code == status
    assert len(answer.content) <= 1 << 20
    link = log_file(gallery.api.settings.outputs, gallery.larger)
    link.unlink()
    link.symlink_to(gallery.api.settings.home / "cosmos.toml")
    outside = web.get(f"{gallery.url}/cosmos/log/{gallery.larger}/run.log")
    assert outside.status_code == 404


def test_a_long_log_opens_at_its_end_and_little_of_it_is_moved(gallery: Gallery, tab: Page) -> None:
    count = 400_000
    run_id = write_log(gallery, "".join(f"line {n} {'.' * 60}\n" for n in range(count)).encode())
    moved: list[int] = []
    tab.on(
        "response",
        lambda r: moved.append(int(r.headers["content-length"])) if "/range" in r.url else None,
    )
    opened(tab, gallery, run_id)
    until(lambda: numbers(tab)[-1:] == [count], "the end")
    assert sum(moved) <= 2 * BLOCK + 2
    tab.locator("[data-log-scroll]").press("Home")
    until(lambda: numbers(tab)[:1] == [1], "the beginning")
    tab.mouse.move(*middle_of(tab))
    tab.mouse.wheel(0, 18 * 5)
    until(lambda: numbers(tab)[:1] == [6], "a wheel moves row by row in a log of any length")
    assert tab.locator(".log-row").count() < 100
    tab.evaluate("location.hash = '#L123457'")
    tab.locator(".log-row.is-marked .log-number", has_text="123457").wait_for()


def middle_of(tab: Page) -> tuple[float, float]:
    tab.locator("[data-log-scroll]").scroll_into_view_if_needed()
    box = tab.locator("[data-log-scroll]").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


NASTY = (
    b"\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\x07 <script>alert(1)</script>\n"
    b"10%\r20%\r30%\r\nStra\xc3\x9fe \xff\xe2\x80\xae turned\nlast"
)


def test_what_a_model_prints_is_text_without_codes_for_a_terminal(
    gallery: Gallery, tab: Page
) -> None:
    opened(tab, gallery, write_log(gallery, NASTY))
    assert rows(tab) == [
        "red <script>alert(1)</script>", "10%", "20%", "30%", "Straße \ufffd turned", "last",
    ]  # fmt: skip
    assert tab.locator(".log-rows script").count() == 0


@pytest.fixture
def filtered(gallery: Gallery, tab: Page) -> Page:
    """The page of a log with a line of each kind, and one that is hard for an expression."""
    text = "".join(f"line {n} of the LOAD\n" for n in range(3000))
    text += "ERROR: first\nWARNING: second\n" + "a" * 60 + "b\nERROR: third\n"
    opened(tab, gallery, write_log(gallery, text.encode()))
    return tab


def test_words_and_expressions_leave_their_lines_with_their_numbers(filtered: Page) -> None:
    tab, words = filtered, filtered.locator("[data-log-words]")
    words.fill("load 299")
    until(lambda: numbers(tab) == [300, 1300, 2300, *range(2991, 3001)], "lines with both words")
    assert tab.locator("mark").first.text_content() == "299"
    words.fill("/^LINE [12]?7 /i")
    until(lambda: numbers(tab) == [8, 18, 28], "lines of the expression")
    words.fill("")
    until(lambda: len(numbers(tab)) > 20, "all lines")
    tab.locator("[data-log-level]").select_option("warning")
    until(lambda: rows(tab) == ["ERROR: first", "WARNING: second", "ERROR: third"], "bad lines")


def test_a_wrong_or_endless_expression_is_said_and_the_page_goes_on(filtered: Page) -> None:
    tab, words, state = filtered, filtered.locator("[data-log-words]"), filtered.locator
    words.fill("/(/")
    until(
        lambda: "Invalid regular expression" in (state("[data-log-state]").text_content() or ""),
        "it",
    )
    words.fill("/^(a+)+$/")
    state("[data-log-state]", has_text="takes too long").wait_for()
    words.fill("third")
    until(lambda: rows(tab) == ["ERROR: third"], "the next filter")


def test_errors_are_found_one_after_the_other_and_a_link_leads_there(filtered: Page) -> None:
    tab = filtered
    tab.locator("[data-log-first]").click()
    marked = tab.locator(".log-row.is-marked")
    marked.get_by_text("ERROR: first").wait_for()
    assert tab.evaluate("location.hash") == "#L3001"
    tab.keyboard.press("n")
    marked.get_by_text("ERROR: third").wait_for()
    tab.keyboard.press("n")
    tab.get_by_text("There is no error below.").wait_for()
    tab.locator(".log-number", has_text="3001").click(modifiers=["Shift"])
    assert tab.evaluate("location.hash") == "#L3001-L3004"
    assert marked.count() == 4


def test_a_line_of_a_real_program_is_on_the_page_while_it_runs(at_work: AtWork, tab: Page) -> None:
    tab.goto(f"{at_work.url}/cosmos/run/{at_work.run_id}#log")
    tab.get_by_text("This run has no log yet").wait_for()
    at_work.thread.start()
    tab.locator(".log-text", has_text="frame 1/6").wait_for(timeout=LONG_S * 1000)
    assert at_work.api.get_run(at_work.run_id)["status"] == "running"
    assert tab.locator("[data-log-follow]").is_checked()
    at_work.let_go()
    tab.locator(".log-text", has_text="frame 6/6").wait_for()
    with at_work.api.log_path(at_work.run_id, "run.log").open() as log:
        assert rows(tab) == log.read().splitlines()


HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_hidden_page_ends_its_stream_and_catches_up_from_its_byte(
    at_work: AtWork, tab: Page
) -> None:
    follows: list[str] = []
    ended: list[str] = []
    tab.on("request", lambda r: follows.append(r.url) if "/follow" in r.url else None)
    tab.on("requestfailed", lambda r: ended.append(r.url) if "/follow" in r.url else None)
    at_work.thread.start()
    until(lambda: at_work.api.logs_of_run(at_work.run_id)["files"], "the log")
    tab.goto(f"{at_work.url}/cosmos/run/{at_work.run_id}#log")
    tab.locator(".log-text", has_text="frame 1/6").wait_for(timeout=LONG_S * 1000)
    until(lambda: tab.evaluate("1") and follows, "the stream")
    tab.evaluate(HIDE, True)
    until(lambda: tab.evaluate("1") and ended == follows, "the end of the stream")
    size = at_work.api.log_index(at_work.run_id, "run.log")["size"]
    at_work.let_go()
    tab.evaluate(HIDE, False)
    tab.locator(".log-text", has_text="frame 6/6").wait_for()
    assert f"offset={size}&" in follows[-1]
    with at_work.api.log_path(at_work.run_id, "run.log").open() as log:
        assert rows(tab) == log.read().splitlines()


def test_the_log_of_the_next_attempt_takes_the_place_and_the_old_one_can_be_chosen(
    gallery: Gallery, tab: Page
) -> None:
    api, run_id = gallery.api, gallery.enhanced
    growth = api.log_growth(run_id, 0)
    log = log_file(api.settings.outputs, run_id)
    assert b"".join(growth) == log.read_bytes()
    generation = api.log_index(run_id, "run.log")["generation"]
    assert list(api.log_growth(run_id, 0, generation + 1)) == []
    opened(tab, gallery, run_id)
    tab.locator("[data-log-file]").select_option("cosmos.log")
    until(lambda: any("ended with exit code 0" in row for row in rows(tab)), "our own log")


def test_lines_of_other_runs_of_one_load_are_left_out_unless_wanted(
    gallery: Gallery, tab: Page
) -> None:
    run_id = gallery.videos["noon", "hard"]
    mates = [card["id"] for card in gallery.api.story(run_id)["mates"]]
    assert len(mates) == 3

    def others() -> list[str]:
        return [row for row in rows(tab) if any(mate in row for mate in mates)]

    opened(tab, gallery, run_id)
    until(lambda: any(run_id in row for row in rows(tab)) and not others(), "its lines alone")
    tab.locator("[data-log-own]").uncheck()
    until(others, "all lines")
