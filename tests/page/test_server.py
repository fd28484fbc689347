"""The page behind `cosmos ui`: our routes alone, then everything in a real browser."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.backends.owner import owner_seen_from_here
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.materialize import materialize_runs
from cosmos_pipelines.page.access import is_loopback
from cosmos_pipelines.page.server import application, serve
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.resources.run_launcher import LAUNCHED_TAG
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import Settings
from tests.support import web
from tests.support.ports import free_port
from tests.support.processes import has_ended
from tests.support.project import Project, make_project
from tests.support.waiting import LONG_S, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("server")  # one worker starts the page and its daemon, once
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """A project with one completed preview run."""
    project = make_project(tmp_path_factory.mktemp("page") / "home")
    project.scene("shots/city", frames=4, width=160, height=96)
    scene = project.settings.inputs / "shots" / "city"
    prompt, _ = register_prompt(project.catalog, project.settings, "A <b>quiet</b> city", scene)
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {})
    run = enter(project.catalog, project.settings, planned)
    (run,) = materialize_runs(project.catalog, project.settings, [run.id])
    assert run.status == "completed", run.error_message
    return project, run


@pytest.fixture
def client(made: tuple[Project, Run]) -> Iterator[TestClient]:
    """Our routes in front of an application that answers nothing."""
    project, _ = made
    with (
        CosmosAPI(settings=project.settings) as api,
        TestClient(application(api, Starlette()), "http://localhost:3000") as opened,
    ):
        yield opened


def test_previews_of_runs_and_nested_scenes_are_served(
    client: TestClient, made: tuple[Project, Run]
) -> None:
    for path in (f"run/{made[1].id}", "scene/shots/city"):
        answer = client.get(f"/cosmos/preview/{path}.webp")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert answer.content[:4] == b"RIFF"


def test_a_video_can_be_read_in_pieces(client: TestClient, made: tuple[Project, Run]) -> None:
    project, run = made
    whole = (project.settings.home / run.outputs["video"]).read_bytes()
    answer = client.get(f"/cosmos/video/{run.id}.mp4", headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, whole[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert client.get(f"/cosmos/video/{run.id}.mp4").content == whole


@pytest.mark.parametrize(
    "path",
    [
        "/cosmos/preview/run/rs_00000000000000000000000000000000.webp",
        "/cosmos/preview/run/..%2f..%2fcosmos.toml.webp",
        "/cosmos/preview/scene/..%2f..%2f..%2fcosmos.webp",
        "/cosmos/video/rs_nothing.mp4",
        "/cosmos/video/..%2fcosmos.toml.mp4",
        "/cosmos/run/%3Cscript%3E",
    ],
)
def test_what_is_not_there_or_not_ours_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_link_out_of_the_outputs_is_not_followed(
    client: TestClient, made: tuple[Project, Run]
) -> None:
    settings = made[0].settings
    (settings.home / "secret.webp").write_bytes(b"secret")
    picture = settings.outputs / "previews" / "scenes" / "link.webp"
    picture.symlink_to(settings.home / "secret.webp")
    assert client.get("/cosmos/preview/scene/link.webp").status_code == 404


def test_a_busy_port_is_refused_and_a_free_one_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"Port {port} is in use.*--port \d+"):
            serve(Settings(home=tmp_path), host="127.0.0.1", port=port, ready=print, say=print)


def test_only_loopback_addresses_are_private() -> None:
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.5", "studio")] == [False] * 4


class Served:
    """The page in a process of its own."""

    def __init__(self, home: Path) -> None:
        port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.pages", str(home), str(port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url == f"http://127.0.0.1:{port}"

    def children(self) -> list[psutil.Process]:
        """All processes below it, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def daemon(self) -> psutil.Process | None:
        """The daemon that runs now."""
        for process in self.children():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if "cosmos_pipelines.daemon" in process.cmdline():
                    return process
        return None


@pytest.fixture(scope="module")
def served(made: tuple[Project, Run]) -> Iterator[Served]:
    """One page for the tests below."""
    page = Served(made[0].settings.home)
    yield page
    if page.process.poll() is None:
        page.process.send_signal(signal.SIGINT)
        page.process.wait(LONG_S)


def test_dagster_and_our_routes_are_on_one_port(served: Served, made: tuple[Project, Run]) -> None:
    assert web.get(f"{served.url}/server_info").json()["dagster_version"]
    assert web.get(f"{served.url}/cosmos/preview/run/{made[1].id}.webp").status_code == 200


SHOWS_A_FRAME = """player =>
    [...player.querySelectorAll("video")].some((v) => v.readyState >= 2 && v.videoWidth)
    || Boolean(player.querySelector("canvas:not(.is-waiting)"))"""


def test_a_browser_sees_lineage_previews_and_the_run_without_errors(
    served: Served, made: tuple[Project, Run], tmp_path: Path, tab: Page
) -> None:
    run = made[1]
    wrong: list[str] = []
    sockets: list[str] = []
    tab.on("pageerror", lambda e: wrong.append(str(e)))
    tab.on("websocket", lambda w: w.on("framereceived", lambda _: sockets.append(w.url)))
    tab.on("response", lambda r: wrong.append(r.url) if r.status >= 500 else None)

    tab.goto(f"{served.url}/asset-groups")
    for group in ("inputs", "prompts", "generation"):
        tab.get_by_text(group, exact=True).first.wait_for()
    tab.screenshot(path=tmp_path / "lineage.png")

    tab.goto(f"{served.url}/assets/inference_videos?view=partitions&partition={run.id}")
    picture = tab.locator(f"img[src*='/cosmos/preview/run/{run.id}']")
    picture.first.wait_for()
    until(lambda: picture.first.evaluate("img => img.naturalWidth > 0"), "the preview")
    tab.screenshot(path=tmp_path / "video.png")

    tab.goto(f"{served.url}/cosmos/run/{run.id}")
    until(lambda: tab.locator("[data-player]").evaluate(SHOWS_A_FRAME), "the video")
    tab.screenshot(path=tmp_path / "run.png")
    assert wrong == []
    assert sockets, "no GraphQL subscription was answered"


LAUNCH = """mutation($config: RunConfigData!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "cosmos", repositoryName: "__repository__",
               pipelineName: "create_runs"},
    runConfigData: $config
  }) { __typename ... on RunConfigValidationInvalid { errors { message } }
       ... on PythonError { message } }
  }"""


def launched(page: Served, recipe: str) -> str:
    """What the page answers to a sweep with this recipe, launched from its form."""
    form = {"prompts": ["typed wrong"], "recipes": [recipe]}
    config = {"ops": {"register_runs": {"config": form}}}
    query = {"query": LAUNCH, "variables": {"config": config}}
    answer = web.post(f"{page.url}/graphql", json=query).json()
    return str(answer["data"]["launchRun"])


def test_the_page_refuses_a_mistyped_recipe_and_knows_a_new_one_within_seconds(
    served: Served, made: tuple[Project, Run]
) -> None:
    assert "got soft" in launched(served, "soft")
    made[0].catalog.put_recipe("soft", "preview", "transfer", {})
    until(lambda: "LaunchRunSuccess" in launched(served, "soft"), "the new recipe")
    assert "recipe (soft) got sofft" in launched(served, "sofft")


NODE = """query($asset: String!) { assetNodeOrError(assetKey: {path: [$asset]}) {
  ... on AssetNode { partitionKeys partitionStats { numPartitions numMaterialized } } } }"""
BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename } }"""


def asked(page: Served, query: str, **variables: object) -> dict[str, Any]:
    """The page's answer to a query."""
    body = {"query": query, "variables": variables}
    (answer,) = web.post(f"{page.url}/graphql", json=body).json()["data"].values()
    return dict(answer)


def none_missing(page: Served, asset: str) -> bool:
    """Whether the page says that all partitions of an asset are made."""
    stats = asked(page, NODE, asset=asset)["partitionStats"]
    return bool(stats["numPartitions"] == stats["numMaterialized"])


ASSETS = ("upscaled_videos", "enhanced_prompts")


@pytest.fixture(scope="module")
def backfills(served: Served, made: tuple[Project, Run]) -> None:
    """One of each, asked for at once: Dagster's daemon looks for new ones every half a minute."""
    project, done = made
    planned = plan_transfer(project.catalog, project.settings, str(done.prompt_id), {"seed": 8})
    enter(project.catalog, project.settings, planned)  # waits for somebody to execute it
    for asset in ASSETS:
        assert not none_missing(served, asset)
        keys = asked(served, NODE, asset=asset)["partitionKeys"]
        wanted = {"partitionNames": keys, "assetSelection": [{"path": [asset]}]}
        said = asked(served, BACKFILL, params=wanted)
        assert said["__typename"] == "LaunchBackfillSuccess"


@pytest.mark.parametrize("asset", ASSETS)
def test_a_backfill_of_what_is_missing_on_the_page_leaves_nothing_missing(
    served: Served, backfills: None, asset: str
) -> None:
    until(lambda: none_missing(served, asset), f"the end of the backfill of {asset}", 240)


def test_a_daemon_that_dies_is_started_again(served: Served) -> None:
    first = until(served.daemon, "the daemon")
    first.kill()
    second = until(lambda: (d := served.daemon()) and d.pid != first.pid and d, "another daemon")
    assert second.is_running()


def test_the_daemon_executes_what_is_queued(served: Served, made: tuple[Project, Run]) -> None:
    project, done = made
    planned = plan_transfer(project.catalog, project.settings, str(done.prompt_id), {"seed": 5})
    run = enter(project.catalog, project.settings, planned, queued=True)
    until(lambda: project.catalog.get_run(run.id).status == "completed", "the queued run")
    with open_instance(project.settings) as instance:
        launched = instance.get_run_by_id(str(project.catalog.get_run(run.id).dagster_run_id))
    assert launched is not None
    assert owner_seen_from_here(launched.tags[LAUNCHED_TAG])


def test_ctrl_c_ends_the_page_and_its_daemon(served: Served) -> None:
    daemon = until(served.daemon, "the daemon")
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(LONG_S) == 0
    assert has_ended(daemon)


def test_the_daemon_ends_with_a_page_that_is_killed(tmp_path: Path) -> None:
    page = Served(make_project(tmp_path / "home").settings.home)
    daemon = until(page.daemon, "the daemon")
    until(lambda: Path(f"/proc/{daemon.pid}/fd/0").exists(), "its stdin")
    page.process.kill()
    page.process.wait()
    until(lambda: has_ended(daemon), "the end of the daemon")
