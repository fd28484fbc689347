"""The pages of a large project in a real Chromium, and Dagster's answers to its own page.

Dagster's page is the one that `cosmos ui` serves, without its daemon, so that nothing is executed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
from playwright.sync_api import Page, Request, sync_playwright
from sqlalchemy import MetaData, Table, insert, select

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.daemon import WORKSPACE
from cosmos_pipelines.resources.dagster_private import web_app
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings, environment_of
from tests.support.browser import CHROMIUM, WORDS
from tests.support.review_page import review_page, visitor

TIMES = 3
AT_ONCE = 5_000
WAIT_MS = 120_000
OURS = {
    "wall: first tiles": ("", "#field.is-live [data-run]"),
    "queue: what waits": ("queue", "#queue-runs tr[data-run]"),
    "queue: loads to come": ("queue", "#queue-plan .lanes"),
    "queue: the last page": ("queue?offset={last}", "#queue-runs tr[data-run]"),
    "a run's screen": ("run/{run}", "main h1"),
}
"""A path below /cosmos/, and what is waited for."""
DAGSTERS = {
    "asset of videos: overview": "assets/inference_videos",
    "asset of videos: partitions": "assets/inference_videos?view=partitions",
    "asset of videos: one of them": "assets/inference_videos?view=partitions&partition={run}",
    "runs": "runs",
}

ASSET = 'assetNodeOrError(assetKey: {path: ["inference_videos"]}) { ... on AssetNode { %s } }'
ANSWERS = {
    "keys of all partitions": "{" + ASSET % "partitionKeysByDimension { partitionKeys }" + "}",
    "states of all partitions": "{"
    + ASSET
    % (
        "assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions "
        "failedPartitions unmaterializedPartitions materializingPartitions } }"
    )
    + "}",
    "counts of partitions": "{" + ASSET % "partitionStats { numMaterialized numPartitions }" + "}",
    "the last 50 events": "{" + ASSET % "assetMaterializations(limit: 50) { timestamp }" + "}",
}
"""What Dagster's page asks of the asset that has a partition for each run."""


def materialised(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: list[str]) -> None:
    """Record a materialisation of each partition, in bulk: copies of a real one."""
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=keys[0]))
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        events = Table("event_logs", MetaData(), autoload_with=connection)
        found = connection.execute(select(events).where(events.c.partition == keys[0]))
        row = {name: value for name, value in found.mappings().one().items() if name != "id"}
        rest = keys[1:]
        for start in range(0, len(rest), AT_ONCE):
            some = rest[start : start + AT_ONCE]
            copies = [
                {**row, "partition": key, "event": row["event"].replace(keys[0], key)}
                for key in some
            ]
            connection.execute(insert(events), copies)


def tell_pages(settings: Settings, run: str, last: int) -> None:
    """Print a line for each page: milliseconds until it is there, median and most.

    `last`: how many runs wait before those of the last page of the queue.
    """
    with (
        CosmosAPI(settings=settings) as api,
        _dagster(settings) as app,
        review_page(api, behind=app) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WORDS)
        for name, question in ANSWERS.items():
            _tell_answer(url, name, question)
        for name, (path, there) in OURS.items():
            address = f"{url}/cosmos/{path.format(run=run, last=last)}"
            _print(name, [_opened(browser.new_page(), address, there) for _ in range(TIMES)])
        for name, path in DAGSTERS.items():
            _tell_dagster(browser.new_page(), name, f"{url}/{path.format(run=run)}")
        browser.close()


@contextmanager
def _dagster(settings: Settings) -> Iterator[Any]:
    os.environ.update(environment_of(settings))
    with open_instance(settings) as instance, web_app(instance, WORKSPACE, poll_ms=2000) as app:
        yield app[0]


def _opened(page: Page, url: str, there: str) -> float:
    began = time.perf_counter()
    page.goto(url, wait_until="commit", timeout=WAIT_MS)
    page.locator(there).first.wait_for(timeout=WAIT_MS)
    took = 1000 * (time.perf_counter() - began)
    page.close()
    return took


def _tell_answer(url: str, name: str, question: str) -> None:
    """CPU seconds of this process, in which the server is a thread, for an answer of GraphQL."""
    took = []
    with closing(visitor(url)) as client:
        for _ in range(TIMES):
            began = time.process_time()
            answer = client.post("/graphql", json={"query": question}, timeout=WAIT_MS)
            took.append(time.process_time() - began)
            assert "errors" not in answer.json(), answer.text[:500]
    line = {"cpu_s": round(median(took), 3), "most_s": round(max(took), 3)}
    line["bytes"] = len(answer.content)
    print(json.dumps({"bench": "scale", "answer": name, **line}), flush=True)


def _tell_dagster(page: Page, name: str, url: str) -> None:
    """The time until a page asks nothing more, and its slowest questions."""
    asked: dict[str, list[float]] = {}
    took = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path.endswith("/graphql") and request.post_data:
            what = json.loads(request.post_data).get("operationName") or "?"
            asked.setdefault(what, []).append(request.timing["responseEnd"])

    page.on("requestfinished", note)
    for _ in range(TIMES):
        began = time.perf_counter()
        page.goto(url, wait_until="commit", timeout=WAIT_MS)
        page.locator("[data-testid], h1, a").first.wait_for(timeout=WAIT_MS)
        page.wait_for_load_state("networkidle", timeout=WAIT_MS)
        took.append(1000 * (time.perf_counter() - began) - 500)  # half a second of silence
    page.close()
    slowest = sorted(asked.items(), key=lambda one: -median(one[1]))[:4]
    _print(name, took, slowest={what: round(median(ms)) for what, ms in slowest})


def _print(name: str, took: list[float], **more: Any) -> None:
    line = {"ms": round(median(took)), "most_ms": round(max(took)), **more}
    print(json.dumps({"bench": "scale", "page": name, **line}), flush=True)
