"""A run on a host whose user has another login shell, which prints and sets odd options."""

from __future__ import annotations

import pytest

from tests.support.gpu_host import RemoteProject
from tests.support.login_shells import login_shell


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_a_run_is_completed_with_any_login_shell(remote: RemoteProject, shell: str) -> None:
    with login_shell(remote.host, shell, noisy=True):
        (run,) = remote.execute(remote.pending())
        assert run.status == "completed", run
        assert "Welcome to gpu-box" not in remote.model_log(run)
        assert remote.left_on_host() == []
