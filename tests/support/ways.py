"""Which way a connection takes for much data."""

from __future__ import annotations

import pytest

from cosmos_pipelines.remote.ssh.openssh import OpenSsh


def without_openssh(shared: OpenSsh) -> None:
    """Let it find no `ssh` on this machine, which it then does not look for for five minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        assert not shared.usable()
    assert shared.problem == "there is no ssh"
