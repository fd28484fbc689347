"""A host that is away holds up no other place: status, kill, clean."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cosmos_pipelines.backends.at_once import at_once
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import BackendError, SettingsError, StateError
from cosmos_pipelines.operate.clean import clean
from cosmos_pipelines.operate.kill import kill
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_transfer
from tests.support.dagster_project import add_prompt, add_run
from tests.support.processes import gone_owner
from tests.support.project import Project, settings_in


class Mute:
    """A host that takes connections and says nothing; it counts them."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self.server.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        """End it, and its connections."""
        self.server.close()
        for one in self.taken:
            one.close()


@pytest.fixture
def mute() -> Iterator[Mute]:
    """A host that does not answer."""
    with closing(Mute()) as host:
        yield host


@pytest.fixture
def project(staged: Project, mute: Mute) -> Project:
    """A project with a host that says nothing, and one that refuses connections."""
    text = "[execution]\ngrace_s = 2\n"
    for name, port in (("mute", mute.port), ("shut", 1)):
        text += f'[hosts.{name}]\nhost = "127.0.0.1"\nport = {port}\nssh_config = "/dev/null"\n'
        text += "connect_timeout_s = 1\n"
    return Project(settings_in(staged.settings.home, text), staged.catalog, staged.backend)


def active(project: Project, place: str) -> Run:
    """A run whose process died; what it had started may still run in this place."""
    prompt = add_prompt(project)
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
    run = enter(project.catalog, project.settings, planned, backend=place)
    owner = gone_owner()
    assert project.catalog.claim(run.id, owner)
    started = project.catalog.advance(run.id, owner, "uploading", "running", batch_id=run.id)
    assert started is not None
    return started


def test_status_has_every_place_of_the_settings_and_the_name_of_each(project: Project) -> None:
    found = status(project.catalog, project.settings)["places"]
    assert [(one["backend"], one["name"]) for one in found] == [
        ("local", "local"), ("mute", "mute (127.0.0.1)"), ("shut", "shut (127.0.0.1)")
    ]  # fmt: skip
    assert [one["problem"] is None for one in found] == [True, False, False]


def test_status_asks_only_the_hosts_that_are_named(project: Project, mute: Mute) -> None:
    (place,) = status(project.catalog, project.settings, ["shut"])["places"]
    assert place["backend"] == "shut"
    assert mute.taken == []
    with pytest.raises(SettingsError, match=r"no host 'shu'\. Did you mean shut\?"):
        status(project.catalog, project.settings, ["shu"])


def test_of_runs_for_any_place_this_machine_is_looked_at_as_well(project: Project) -> None:
    settings = settings_in(project.settings.home, '[execution]\nbackend = "auto"\n')
    (place,) = status(project.catalog, settings)["places"]
    assert (place["backend"], place["problem"]) == ("local", None)


def test_what_runs_elsewhere_is_stopped_although_a_host_is_away(
    project: Project, mute: Mute
) -> None:
    away = [active(project, "mute") for _ in range(4)]
    here = add_run(project)
    assert project.catalog.claim(here.id, gone_owner())
    waiting = add_run(project, queued=True)
    with pytest.raises(BackendError, match=f"not known whether run {away[0].id} was stopped"):
        kill(project.catalog, project.settings, None, all_runs=True)
    assert project.catalog.get_run(here.id).status == "cancelled"
    assert project.catalog.get_run(waiting.id).status == "cancelled"
    assert {project.catalog.get_run(run.id).status for run in away} == {"running"}
    assert len(mute.taken) == 1  # its other runs would only wait again


def test_a_clean_tells_who_was_away_and_cleans_the_rest(project: Project) -> None:
    (project.settings.outputs / "previews" / "scenes").mkdir(parents=True)
    (project.settings.outputs / "previews" / "scenes" / "gone.webp").write_bytes(b"x")
    done = clean(project.catalog, project.settings, 0)
    assert [one.id for one in done.removed] == ["gone.webp"]
    assert len(done.problems) == 2


def test_one_error_is_a_result_and_another_is_raised_when_all_have_ended(tmp_path: Path) -> None:
    def do(name: str) -> str:
        if name == "told":
            raise StateError("no")
        if name == "broken":
            raise RuntimeError("a fault of ours")
        (tmp_path / name).touch()
        return name

    found = at_once(["a", "told", "b"], do)
    assert list(found) == ["a", "told", "b"]
    assert (found["a"], str(found["told"])) == ("a", "no")
    with pytest.raises(RuntimeError, match="a fault of ours"):
        at_once(["broken", "c"], do)
    assert (tmp_path / "c").exists()
