"""The reference of all commands: `python -m cosmos_pipelines.cli.reference` writes docs/cli.md.

An argument names another file; `-` is stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmos_pipelines.files import write_text

HEAD = """\
# Command line

<!-- Made by `python -m cosmos_pipelines.cli.reference`; do not edit. -->

Data is printed on stdout, messages on stderr. `--json` prints JSON and nothing else on stdout. Ids
may be shortened to any unique beginning, and prompts also have names. `NO_COLOR` turns colours off;
without a terminal there are no colours.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed on this machine (disk full, a file that cannot be written, a bug) |
| 2 | bad input: usage, an unknown id, an unusable file, a value out of range |
| 3 | wrong state: the right thing at the wrong moment |
| 4 | the GPU side failed; `cosmos why RS_ID` shows the reason |
| 130 | interrupted or cancelled |

For several runs the exit code is the highest of all runs.
"""


def reference() -> str:
    """Return the whole document, the same on every machine."""
    from cosmos_pipelines.cli.app import root_command

    root = root_command()
    parts = [HEAD, *(_section(words, text) for words, text in helps(root))]
    return "\n".join(parts)


def helps(command: Any, parent: Any = None, words: str = "cosmos") -> Iterator[tuple[str, str]]:
    """Yield every command with its help: first the command, then its subcommands."""
    context = command.context_class(
        command,
        info_name=words.rsplit(maxsplit=1)[-1],
        parent=parent,
        terminal_width=100,
        max_content_width=100,
        help_option_names=["-h", "--help"],
    )
    yield words, command.get_help(context)
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from helps(command.commands[name], context, f"{words} {name}")


def _section(words: str, text: str) -> str:
    level = "#" * min(len(words.split()) + 1, 4)
    return f"{level} {words}\n\n```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    [target] = sys.argv[1:] or ["docs/cli.md"]
    if target == "-":
        sys.stdout.write(reference())
    else:
        write_text(Path(target), reference())
