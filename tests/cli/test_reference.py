"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cosmos_pipelines.cli.app import root_command

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


def test_the_reference_is_up_to_date() -> None:
    words = [sys.executable, "-m", "cosmos_pipelines.cli.reference", "-"]
    made = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert made == DOCUMENT.read_text(encoding="utf-8"), "run `make docs`"


def test_every_argument_and_option_is_explained() -> None:
    commands = [root_command()]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        for parameter in command.params:
            assert parameter.help, f"{command.name}: {parameter.name}"
