"""Two hosts and one queue: what waits goes elsewhere from a host that is away, what runs waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.records import Load, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.operate.place_looks import look_now
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.known_places import known_places
from cosmos_pipelines.runs.next_loads import next_loads
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.runs.room import room_of
from cosmos_pipelines.settings import Settings
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.project import PASSES, settings_in, write_video
from tests.support.rooms import rooms
from tests.support.stand_in_engine import PROGRAM, registered
from tests.support.waiting import until

HOST = """
[hosts.{name}]
host = "{host}"
ssh_config = "{config}"
remote_dir = "/data/cosmos"
connect_timeout_s = 10
lost_after_s = 4
wait_s = 30
image = "cosmos-rig/preview:1"
docker = {{ mounts = ["/data/models:/models:ro"] }}
"""


@dataclass
class Team:
    """A project with two hosts, and a dispatcher in this process."""

    settings: Settings
    catalog: Catalog
    threads: list[threading.Thread] = field(default_factory=list)

    def order(self, text: str, place: str) -> Run:
        """Order a run, queued."""
        prompt, _ = register_prompt(self.catalog, self.settings, text, "city")
        planned = plan_transfer(self.catalog, self.settings, prompt.id, {}, engine="stand_in")
        return enter(self.catalog, self.settings, planned, backend=place, queued=True)

    def dispatch(self) -> list[Load]:
        """Take the next loads out of the queue, and execute each in a thread."""
        room = room_of(self.catalog, self.settings)
        wanted = next_loads(self.catalog, self.settings, room, lambda *_: None)
        loads = [self.catalog.claim_load(one, owner_name()) for one in wanted]
        for load in loads:
            assert load is not None
            self.threads.append(threading.Thread(target=self._execute, args=(load,), daemon=True))
            self.threads[-1].start()
        return [load for load in loads if load]

    def _execute(self, load: Load) -> None:
        with closing(backend_for(self.settings, load.place)) as backend:
            execute_runs(
                load.run_ids,
                catalog=self.catalog,
                settings=self.settings,
                backend=backend,
                load=load,
            )
        self.catalog.end_load(load.id)

    def done(self) -> None:
        """Wait until all loads have ended."""
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        self.threads.clear()

    def run(self, run: Run) -> Run:
        """The run as it is now."""
        return self.catalog.get_run(run.id)


@pytest.fixture
def team(tmp_path: Path, fleet: Fleet, gpu1: Host, gpu2: Host) -> Iterator[Team]:
    text = '[execution]\nbackend = "auto"\nengine = "stand_in"\ngrace_s = 1\n'
    for name, host in (("one", gpu1), ("two", gpu2)):
        host.image("preview")
        models = host.root / "data/models"
        models.mkdir()
        (models / PROGRAM.name).write_bytes(PROGRAM.read_bytes())
        text += HOST.format(name=name, host=host.name, config=fleet.ssh_config)
    settings = settings_in(tmp_path / "home", text)
    for i, name in enumerate(PASSES):
        write_video(settings.inputs / "city" / f"{name}.mp4", seed=40 * i)
    with registered(program="/models/stand_in.py"), Catalog.open(settings.catalog_url) as catalog:
        made = Team(settings, catalog)
        yield made
        for thread in made.threads:
            thread.join(60)


def test_what_waits_goes_to_the_other_host_and_what_runs_waits_for_its_own(
    team: Team, gpu1: Host
) -> None:
    blocks = {(c.host, c.name): c.result for c in examine(team.settings)}
    assert {blocks[name, "image"] for name in ("one", "two")} == {"ok"}
    look_now(team.settings)
    long = team.order("hang", "one")
    (load,) = team.dispatch()
    assert load.place == "one"
    until(lambda: team.run(long).status == "running", "its start")

    gpu1.power_off()  # nobody has looked since
    early = team.order("early", "one")
    any_place = team.order("anywhere", "auto")
    places = {name: known.up for name, known in known_places(team.settings).items()}
    assert places["one"] is places["two"] is True
    for wanted in next_loads(team.catalog, team.settings, rooms(one=1), lambda *_: None):
        taken = team.catalog.claim_load(wanted, owner_name())
        assert taken is not None
        team._execute(taken)
    given_back = team.run(early)
    assert (given_back.status, given_back.backend, given_back.load_id) == ("pending", "one", None)
    assert known_places(team.settings)["one"].up is False

    loads = team.dispatch()
    assert [(load.place, *load.run_ids) for load in loads] == [("two", any_place.id)]
    until(lambda: team.run(any_place).status == "completed", "the run elsewhere")
    assert (team.run(any_place).backend, team.run(any_place).host) == ("two", "gpu2")
    assert team.run(early).status == "pending"  # it was ordered for this host
    assert team.run(long).status == "running"
    state = {place["backend"]: place for place in status(team.catalog, team.settings)["places"]}
    assert state["one"]["problem"] and not state["two"]["problem"]

    gpu1.boot()
    team.done()
    assert team.run(long).status == "failed"  # its container ended with the power
    look_now(team.settings)
    (load,) = team.dispatch()
    assert (load.place, *load.run_ids) == ("one", early.id)
    team.done()
    assert team.run(early).host == "gpu1"
    assert team.run(early).status == "completed"
