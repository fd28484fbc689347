"""Which waiting runs are the next batches, and what is looked at for that."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.operations import Job, Upscale
from cosmos_pipelines.runs import next_loads as next_loads_module
from cosmos_pipelines.runs.known_places import PlaceState, remember
from cosmos_pipelines.runs.next_loads import next_loads
from tests.support.counting import counting
from tests.support.dagster_project import add_run
from tests.support.many_runs import copy_run
from tests.support.project import Project, settings_in, write_video
from tests.support.rooms import free_room, rooms
from tests.support.stand_in_engine import StandIn


class Odd(StandIn):
    """Raises what no engine should raise."""

    name: ClassVar[str] = "odd"

    def batch_key(self, job: Job) -> Hashable:
        """See `Engine.batch_key`."""
        if "key" in job.text:
            raise ZeroDivisionError("no key")
        return [self.name] if "list" in job.text else (self.name, "size" in job.text)

    def max_batch(self, job: Job) -> int:
        """See `Engine.max_batch`."""
        raise ZeroDivisionError(job.text)


@pytest.fixture
def odd() -> Iterator[str]:
    ENGINES[Odd.name] = Odd()
    yield Odd.name
    del ENGINES[Odd.name]


def batches(project: Project, room: int = 4) -> list[list[str]]:
    """The next loads, as run ids."""
    found = next_loads(project.catalog, project.settings, free_room(room), said)
    return [list(load.run_ids) for load in found]


def test_runs_for_any_place_go_to_the_best_that_has_room(staged: Project) -> None:
    tables = "".join(
        f'[hosts.{name}]\nhost = "{name}"\nprice_per_gpu_hour = {price}\n'
        for name, price in (("dear", 4), ("cheap", 1), ("away", 0))
    )
    settings = settings_in(staged.settings.home, '[execution]\nbackend = "auto"\n' + tables)
    now = datetime.now(UTC)
    for name in ("dear", "cheap", "away"):
        state = PlaceState(name, name != "away", engines={"stand_in": None}, looked_at=now)
        remember(settings, settings.places[name], state)
    project = Project(settings, staged.catalog, staged.backend)
    many = add_run(project, queued=True, num_steps=1)
    copy_run(project.catalog, many, 15)

    def places(**room: int) -> list[str]:
        found = next_loads(project.catalog, settings, rooms(**room), said)
        return [load.place for load in found]

    assert places(local=1, dear=1, cheap=1, away=1) == ["cheap", "dear"]
    assert places(local=1, dear=1, cheap=0) == ["dear"]
    assert places(local=1, away=1) == []
    project.catalog.pause("host:cheap", "me@here")
    assert places(dear=1, cheap=1) == ["dear"]
    project.catalog.resume("host:cheap")
    engine = ENGINES["stand_in"]
    del ENGINES["stand_in"]  # it fails where it starts, and holds up no other
    try:
        assert len(places(dear=1)) == 1
    finally:
        ENGINES["stand_in"] = engine


def said(sentence: str, error: Exception) -> None:
    """What is told of a run that shares no load."""
    assert sentence.startswith("rs_") and isinstance(error, Exception)


def add_upscale(project: Project, number: int) -> Run:
    """A queued upscale of a video file of its own."""
    shared = project.settings.home / "shared.mp4"
    path = project.settings.home / f"video_{number}.mp4"
    shutil.copy(shared if shared.exists() else write_video(shared), path)
    return project.catalog.add_run(
        "upscale",
        "stand_in",
        "local",
        Upscale().config(),
        source={"video": str(path)},
        queued=True,
    )


def test_only_the_videos_of_runs_whose_turn_has_come_are_read(staged: Project) -> None:
    runs = [add_upscale(staged, number) for number in range(20)]
    with counting(staged.settings) as counts:
        assert batches(staged, room=1) == [[run.id for run in runs[:8]]]
    assert counts["probe"] == 8
    assert counts["deep probe"] == 0
    with counting(staged.settings) as counts:
        assert batches(staged, room=0) == []
    assert counts["probe"] + counts["statement"] == 0


def test_upscales_of_videos_that_runs_made_share_loads_and_read_none(staged: Project) -> None:
    parent = add_run(staged)
    facts = {"sha256": "0", "width": 64, "height": 48, "frames": 6, "fps": "24"}
    runs = []
    for number in range(4):
        video = write_video(staged.settings.home / f"video_{number}.mp4")
        outputs = {"video": video.name, "size": video.stat().st_size, **facts}
        copy_run(staged.catalog, parent, 1, status="completed", outputs=outputs)
        made = staged.catalog.list_runs("completed")[0]
        config = Upscale().config()
        where = ("upscale", "stand_in", "local", config)
        runs.append(staged.catalog.add_run(*where, parent_run_id=made.id, queued=True))
    with counting(staged.settings) as counts:
        assert batches(staged) == [[run.id for run in runs]]
    assert counts["probe"] == 0
    assert counts["statement"] <= 6  # two for what earlier runs took
    (staged.settings.home / "video_0.mp4").unlink()
    (staged.settings.home / "video_1.mp4").write_bytes(b"another")
    ids = [run.id for run in runs]
    assert batches(staged) == [[ids[0]], [ids[1]], ids[2:]]


def test_a_scene_and_a_prompt_are_looked_at_once_for_all_their_runs(staged: Project) -> None:
    first = add_run(staged, queued=True)
    copy_run(staged.catalog, first, 199)
    with counting(staged.settings) as counts:
        assert [len(batch) for batch in batches(staged)] == [8] * 4
    assert counts["probe"] == 0
    assert counts["statement"] <= 7  # two for what earlier runs took


def test_runs_of_different_settings_that_wait_in_turn_share_loads(staged: Project) -> None:
    transfers, videos = [], []
    for number in range(2):
        transfers.append(add_run(staged, str(number), queued=True))
        videos.append(add_upscale(staged, number))
    assert batches(staged) == [[r.id for r in transfers], [r.id for r in videos]]
    assert batches(staged, room=1) == [[r.id for r in transfers]]


def test_what_an_engine_of_another_package_raises_leaves_the_other_runs_alone(
    staged: Project, odd: str
) -> None:
    good = [add_run(staged, text, queued=True) for text in ("works one", "works two")]
    bad = []
    for text in ("key", "list", "size"):
        row = add_run(staged, text, queued=True)
        copy_run(staged.catalog, row, 1, engine=odd)
        bad += [r for r in staged.catalog.list_runs(prompt_id=row.prompt_id) if r.engine == odd]
    unknown = add_run(staged, "unknown", queued=True)
    copy_run(staged.catalog, unknown, 1, engine="of no package")
    bad += [r for r in staged.catalog.list_runs() if r.engine == "of no package"]
    assert len(bad) == 4
    found = batches(staged, room=9)
    assert all([run.id] in found for run in bad)
    assert any({run.id for run in good} <= set(ids) for ids in found)


def test_a_run_whose_prompt_or_scene_is_gone_is_alone(staged: Project) -> None:
    good = add_run(staged, "works", queued=True)
    copy_run(staged.catalog, good, 1, prompt_id=None)
    runs = staged.catalog.queued_runs()
    assert sorted(batches(staged)) == sorted([run.id] for run in runs)


def test_runs_that_can_go_nowhere_hold_up_none_behind_them(
    staged: Project, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_loads_module, "LOOKED_AT", 4)
    good = add_run(staged, "works", queued=True)
    copy_run(staged.catalog, good, 10, backend="auto", any_place=1, turn=1.0)
    copy_run(staged.catalog, good, 3, backend="far", turn=2.0)
    found = next_loads(staged.catalog, staged.settings, rooms(local=1, far=0), said)
    assert [load.run_ids for load in found] == [(good.id,)]


def test_an_engine_that_cannot_tell_the_cost_of_a_run_stops_no_other(
    staged: Project, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_cost(self: Odd, job: Job) -> None:
        raise ZeroDivisionError(job.text)

    monkeypatch.setattr(Odd, "cost", no_cost)
    good = add_run(staged, "works", queued=True)
    row = add_run(staged, "cost", queued=True)
    copy_run(staged.catalog, row, 1, engine=odd)
    assert any(good.id in ids for ids in batches(staged, room=4))
