"""What earlier runs promise of the time of the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.catalog.records import utc_now
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.estimates import history
from cosmos_pipelines.runs.estimates.model import Estimates
from cosmos_pipelines.runs.estimates.money import paid, price_of, priced
from cosmos_pipelines.runs.known_places import KnownGpu, PlaceState, remember
from cosmos_pipelines.settings import Settings
from tests.support.counting import counting
from tests.support.project import Project, make_project, settings_in

COST: dict[str, int | str] = {"chunks": 2, "steps": 35, "gpus": 1, "kind": "4 control(s)"}
HOSTS = """
[remote]
host = "h100"
[hosts.big]
host = "10.0.0.2"
price_per_gpu_hour = 3.6
[queue]
currency = "EUR"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return make_project(tmp_path / "home")


@pytest.fixture
def on_host(tmp_path: Path) -> Settings:
    """Settings with two GPU hosts, of which one has a price."""
    return settings_in(tmp_path / "h", HOSTS)


def order(*costs: dict[str, int | str], **facts: Any) -> Order:
    """An order of as many runs as there are costs."""
    named = {f"rs_{n}": cost for n, cost in enumerate(costs)}
    given = {"id": "order", "run_ids": tuple(named), "engine": "cosmos_transfer1", "argv": (),
             "model_type": "transfer", "inputs": {}, "expected": (), "costs": named}  # fmt: skip
    return Order(**{**given, **facts})


def completed(
    project: Project,
    seconds: Any,
    load_s: Any = 60,
    *,
    engine: str = "cosmos_transfer1",
    place: str = "ssh_docker",
    host: str = "h100",
    gpu: str | None = None,
    **timing: Any,
) -> None:
    """A run that has been made on a host."""
    catalog = project.catalog
    prompt, _ = catalog.add_prompt("text", None, "city", "name", {})
    run = catalog.add_run("transfer", engine, place, {}, prompt_id=prompt.id)
    assert catalog.claim(run.id, "us")
    assert catalog.advance(run.id, "us", "uploading", "running", host=host)
    assert catalog.advance(run.id, "us", "running", "downloading")
    outputs = {"video": "v", "timing": {"seconds": seconds, "load_s": load_s, **COST, **timing}}
    if gpu:
        outputs["gpu"] = {"name": gpu}
    assert catalog.advance(run.id, "us", "downloading", "completed", outputs=outputs)


def told(project: Project, settings: Settings, place: str, *costs: Any, **facts: Any) -> Any:
    """The estimate of such an order as plain data; None if there is none."""
    found = Estimates(project.catalog, settings).of_order(order(*costs, **facts), place)
    return priced(settings, place, found)


def test_time_is_expected_by_chunks_and_steps_plus_one_load(
    project: Project, on_host: Settings
) -> None:
    for seconds in (700, 720, 9000):  # a median is not led astray by one bad night
        completed(project, seconds)
    found = told(project, on_host, "ssh_docker", COST, {**COST, "chunks": 4})
    wanted = {"seconds": 60 + 720 + 1440, "load_s": 60, "runs": 3, "basis": "place"}
    assert wanted.items() <= found.items()
    assert found["p90_s"] > 9000
    assert found["money"] is None


def test_nothing_is_expected_where_nothing_like_it_was_made(
    project: Project, on_host: Settings, tmp_path: Path
) -> None:
    completed(project, 700)
    elsewhere = settings_in(tmp_path / "e", '[remote]\nhost = "other"\n')
    assert told(project, on_host, "ssh_docker", COST)
    assert told(project, on_host, "auto", COST)
    assert told(project, elsewhere, "ssh_docker", COST) is None
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("local", COST, {}),
        ("big", COST, {}),
        ("gone", COST, {}),
        ("ssh_docker", {**COST, "gpus": 2}, {}),
        ("ssh_docker", {**COST, "kind": "1 control(s), computed seg"}, {}),
        ("ssh_docker", COST, {"engine": "cosmos3"}),
        ("ssh_docker", COST, {"costs": {}}),
    ]
    for place, cost, facts in cases:
        assert told(project, on_host, place, cost, **facts) is None, (place, cost, facts)


def test_runs_of_the_same_length_and_steps_count_more_than_others(
    project: Project, on_host: Settings
) -> None:
    for _ in range(3):
        completed(project, 100, chunks=1)
    for _ in range(3):
        completed(project, 900, chunks=4)  # later chunks took longer here
    assert told(project, on_host, "ssh_docker", {**COST, "chunks": 1})["seconds"] == 160
    assert told(project, on_host, "ssh_docker", {**COST, "chunks": 4})["seconds"] == 960


def test_a_place_without_runs_of_the_kind_is_known_by_its_gpu(
    project: Project, on_host: Settings
) -> None:
    completed(project, 700, gpu="NVIDIA H100 PCIe")
    completed(project, 50, place="big", host="10.0.0.2", gpu="NVIDIA H100 PCIe", kind="other")
    found = told(project, on_host, "big", COST)
    assert (found["seconds"], found["basis"]) == (760, "gpu")
    assert "on the same GPU elsewhere" in found["said"]["time"]


def test_a_published_figure_is_a_first_guess_and_says_so(
    project: Project, on_host: Settings
) -> None:
    completed(project, 50, place="big", host="10.0.0.2", gpu="NVIDIA H100 PCIe")
    cost: dict[str, Any] = {"chunks": 2, "steps": 35, "gpus": 1, "kind": "1 control(s), at 720"}
    found = told(project, on_host, "big", cost, engine="cosmos_transfer2_5")
    assert found["seconds"] == round(2 * 264.13)
    assert (found["basis"], found["runs"], found["p90_s"]) == ("published", 0, None)
    assert "first guess by NVIDIA's published figures" in found["said"]["time"]
    assert found["money"] == round(2 * 264.13 * 3.6 / 3600, 2)
    assert found["p90_money"] is None
    gpu = KnownGpu(0, "NVIDIA B200", 183_359)
    remember(
        on_host, on_host.places["local"], PlaceState("local", True, (gpu,), looked_at=utc_now())
    )
    seen = told(project, on_host, "local", cost, engine="cosmos_transfer2_5")
    assert seen["seconds"] == round(2 * 92.25)
    for other in ({**cost, "gpus": 4}, {**cost, "kind": "3 control(s), at 720"}):
        assert told(project, on_host, "big", other, engine="cosmos_transfer2_5") is None
    completed(project, 400, engine="cosmos_transfer2_5", place="big", host="10.0.0.2", **cost)
    assert told(project, on_host, "big", cost, engine="cosmos_transfer2_5")["basis"] == "place"


def test_money_is_the_time_for_which_gpus_are_held_by_their_price(
    project: Project, on_host: Settings
) -> None:
    four = {**COST, "gpus": 4}
    for _ in range(9):
        completed(project, 940, place="big", host="10.0.0.2", gpus=4)
    found = told(project, on_host, "big", four)
    assert (found["money"], found["p90_money"], found["currency"]) == (4.0, 4.0, "EUR")
    assert found["said"]["money"] == "about 4.00 EUR, 9 of 10 times at most 4.00 EUR"
    assert price_of(on_host, "ssh_docker") is None


def test_a_run_has_paid_its_own_time_and_its_share_of_the_load() -> None:
    timing: dict[str, Any] = {"seconds": 1740, "load_s": 120, "load_runs": 2, "gpus": 2,
                              "gpu_hour": 3.0, "currency": "EUR"}  # fmt: skip
    assert paid(timing) == (3.0, "EUR")
    assert paid({}) is None
    for wrong in ({"load_runs": 0}, {"gpu_hour": None}, {"seconds": "much"}):
        assert paid(timing | wrong) is None


def test_how_good_the_last_estimates_were_is_told(project: Project, on_host: Settings) -> None:
    for seconds, high in ((100, 170), (110, 170), (120, 170), (130, None)):
        completed(project, seconds, expected_s=160, expected_p90_s=high)
    completed(project, 90)
    found = told(project, on_host, "ssh_docker", COST)
    assert found["checked"] == {"within": 2, "of": 3}
    assert found["said"]["checked"] == "2 of the last 3 runs ended within what was told"


@pytest.mark.parametrize("wrong", [-1, "soon", None, 1e300, True, [1], {"a": 1}], ids=repr)
def test_a_record_that_is_no_time_is_no_measurement(
    project: Project, on_host: Settings, wrong: Any
) -> None:
    completed(project, 700)
    completed(project, wrong, wrong, upload_s=wrong, download_s=wrong, expected_s=wrong)
    completed(project, 700, chunks=wrong, gpus=wrong)
    found = told(project, on_host, "ssh_docker", COST)
    assert found["seconds"] == 760


def test_a_rehearsal_of_many_runs_hides_no_run_of_a_model(
    project: Project, on_host: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LOOK_BACK", 5)
    completed(project, 700)
    for _ in range(6):
        completed(project, 1, engine="preview", place="local")
    assert told(project, on_host, "ssh_docker", COST)["seconds"] == 760


def test_a_plan_reads_the_catalog_as_often_for_many_orders_as_for_one(
    project: Project, on_host: Settings
) -> None:
    for n in range(5):
        completed(project, 700 + n)
    asked = []
    for number in (1, 50):
        estimates = Estimates(project.catalog, on_host)
        with counting(project.settings) as counts:
            for n in range(number):
                for place in ("ssh_docker", "big", "local"):
                    estimates.of_order(order(COST, {**COST, "chunks": n + 1}), place)
        asked.append(counts["statement"])
    assert asked[0] == asked[1] < 40
