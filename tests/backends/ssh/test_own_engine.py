"""An engine of another package on a GPU host: its program comes with the order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.media.probe import probe
from tests.support.gpu_host import RemoteProject
from tests.support.own_engine import install_tint


@pytest.fixture
def tint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The example of docs/engines.md as one of the engines of this process."""
    monkeypatch.syspath_prepend(install_tint(tmp_path / "site"))
    from studio_tint import Tint  # type: ignore[import-not-found]

    ENGINES["tint"] = Tint()
    yield "tint"
    del ENGINES["tint"]
    del sys.modules["studio_tint"]


def test_the_program_of_another_package_runs_in_a_container(
    remote: RemoteProject, tint: str
) -> None:
    (run,) = remote.execute(remote.pending(engine=tint, seed=4))
    assert (run.status, run.error_message, run.host) == ("completed", None, "gpu1")
    found = probe(remote.settings.home / run.outputs["video"], deep=True)
    assert (found.width, found.height, found.frames, str(found.fps)) == (64, 48, 6, "24")
    assert "frame 6 of 6 in /cosmos/run" in remote.model_log(run)
    assert remote.left_on_host() == []
