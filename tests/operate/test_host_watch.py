"""Places that are followed: one connection, a history of their GPUs, silence; with a real sshd."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate import host_watch
from cosmos_pipelines.operate.host_watch import HostWatch
from cosmos_pipelines.settings import Settings
from tests.support.project import settings_in
from tests.support.sshd import Sshd, require_sshd, running_sshd
from tests.support.waiting import until

NVIDIA_SMI = Path(__file__).parents[1] / "rig" / "host" / "nvidia-smi"


def with_gpus(base: Path) -> str:
    """The simulated nvidia-smi is in the path of who logs in."""
    (base / "bin").mkdir()
    shutil.copy2(NVIDIA_SMI, base / "bin")
    return f"SetEnv HOME={base / 'home'} PATH={base / 'bin'}:/usr/bin:/bin\n"


@pytest.fixture
def server() -> Iterator[Sshd]:
    """A host with a GPU and without Docker, for one test to end."""
    require_sshd()
    with running_sshd(with_gpus) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, server: Sshd) -> Settings:
    """A project whose GPU host that is."""
    remote = f'[remote]\nhost = "loop"\nssh_config = "{server.config}"\n'
    return settings_in(tmp_path / "home", remote)


def seen(watch: HostWatch) -> dict[str, Any]:
    """What is known of the host."""
    return next(place for place in watch.news()["places"] if place["host"] == "loop")


def history(watch: HostWatch) -> list[Any]:
    """The history of the host's only GPU."""
    return [sample for gpu in seen(watch)["gpus"] for sample in gpu["history"]]


def test_a_host_has_a_history_over_one_connection_and_is_silent_when_it_is_gone(
    server: Sshd, settings: Settings
) -> None:
    with (
        Catalog.open(settings.catalog_url) as catalog,
        HostWatch(catalog, settings, every_s=0.05) as watch,
    ):
        until(lambda: len(history(watch)) >= 4, "a history")
        at, *values = history(watch)[-1]
        assert values == [3, 612, 41]
        assert at > history(watch)[0][0]
        assert len(psutil.Process(server.pid).children()) == 1
        assert seen(watch)["silent_since"] is None
        connections = psutil.Process(server.pid).children(recursive=True)
        os.kill(server.pid, signal.SIGTERM)
        for process in connections:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        until(lambda: seen(watch)["silent_since"], "its silence")
        since = seen(watch)["silent_since"]
        assert seen(watch)["gpus"] == []
        assert seen(watch)["problem"]
        assert seen(watch)["silent_since"] == since


class Odd(LocalBackend):
    """This machine, whose looks end with an error that nobody has foreseen, until it is well."""

    well = threading.Event()

    def active(self) -> list[str]:
        """Fail at first."""
        if not self.well.is_set():
            raise ValueError("an odd answer")
        return super().active()


def test_a_place_is_looked_at_again_after_an_error_that_nobody_has_foreseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path / "home", "")
    monkeypatch.setattr(host_watch, "backend_for", lambda *_: Odd(settings.work))
    with (
        Catalog.open(settings.catalog_url) as catalog,
        HostWatch(catalog, settings, every_s=0.05) as watch,
    ):
        until(lambda: watch.news()["places"][0]["silent_since"], "its silence")
        assert watch.news()["places"][0]["problem"] == "ValueError: an odd answer"
        Odd.well.set()
        until(lambda: watch.news()["places"][0]["answered_at"], "an answer")


def test_nothing_is_looked_at_any_more_when_the_watching_has_ended(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home", "")
    with Catalog.open(settings.catalog_url) as catalog:
        with HostWatch(catalog, settings, every_s=0.01) as watch:
            until(lambda: watch.news()["places"][0]["answered_at"], "an answer")
        assert not [one for one in threading.enumerate() if one.name == "watch-local"]
