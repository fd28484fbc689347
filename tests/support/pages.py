"""Serves a project's page in a separate process: pages.py HOME PORT."""

from __future__ import annotations

import sys
from pathlib import Path

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.page.server import serve
from cosmos_pipelines.settings import load_settings


def say(text: str) -> None:
    print(text, flush=True)


def main(home: str, port: str) -> int:
    """Serve until interrupted; print the URL as soon as the page answers."""
    try:
        serve(
            load_settings(Path(home)),
            host="127.0.0.1",
            port=int(port),
            ready=lambda addresses: say(str(addresses.dagster).rstrip("/")),
            say=say,
        )
    except CosmosError as e:
        say(f"error: {e}")
        return e.exit_code
    say("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
