"""The private parts of Typer that the command line uses, and no other file may import.

Typer has its own copy of Click since 0.26, in `typer._click`, and exports neither its types nor its
completion. Tried with Typer 0.27.2 and 0.29.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer._click import Command, HelpFormatter
    from typer._click.shell_completion import CompletionItem


def completion(name: str, help: str) -> CompletionItem:
    """One word that the shell offers, with its line of help."""
    from typer._click.shell_completion import CompletionItem

    return CompletionItem(name, help=help)


__all__ = ["Command", "HelpFormatter", "completion"]
