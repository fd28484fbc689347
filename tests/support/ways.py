"""The way that a connection takes for much data."""

from __future__ import annotations

import pytest

from cosmos_pipelines.remote.ssh.openssh import OpenSsh


def without_openssh(shared: OpenSsh) -> None:
    """Let the connection find no `ssh` here; it looks for `ssh` again after five minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        assert not shared.usable()
    assert shared.problem == "ssh is not installed"
