"""The ssh_docker backend on a real host with a real Docker engine."""

from __future__ import annotations

from cosmos_pipelines.media.probe import probe
from tests.support.gpu_host import RemoteProject


def test_a_run_on_the_host_ends_with_a_verified_video_at_home(remote: RemoteProject) -> None:
    (run,) = remote.execute(remote.pending())
    assert (run.status, run.error_message) == ("completed", None)
    found = probe(remote.settings.home / run.outputs["video"], deep=True)
    assert (found.width, found.height, found.frames, str(found.fps)) == (64, 48, 6, "24")
    assert "frame 6/6" in remote.model_log(run)
    assert run.host == "gpu1"
    assert run.container_name == f"cosmos-{run.id}"
    assert run.container_id is not None
    assert run.image_digest == remote.host.image("preview")
    assert remote.containers() == []
    assert remote.left_there() == []
