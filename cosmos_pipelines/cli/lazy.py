"""Groups of commands that know the names of their commands and import a module only to run it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer import TyperException
from typer.core import TyperGroup

from cosmos_pipelines.cli.exit_codes import ClosedPipe

if TYPE_CHECKING:
    from cosmos_pipelines.cli.typer_private import Command, HelpFormatter


@dataclass(frozen=True)
class Entry:
    """One command: its module below `cosmos_pipelines.cli`, and its line of help."""

    module: str
    section: str
    help: str


def new_app(**settings: Any) -> typer.Typer:
    """Return the Typer app of a command module: no colours, no pretty tracebacks."""
    return typer.Typer(
        cls=settings.pop("cls", Group),
        add_completion=settings.pop("add_completion", False),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **settings,
    )


class Group(TyperGroup):
    """A group that shows its help if no command is given."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments; without arguments show the help."""
        return super().parse_args(ctx, args or ["--help"])

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; an error of its words knows whose help to name."""
        try:
            return super().invoke(ctx)
        except TyperException as e:
            name = ctx.invoked_subcommand
            if name and getattr(e, "ctx", None) is None:
                command = self.commands[name]
                e.ctx = typer.Context(command, info_name=name, parent=ctx)  # type: ignore[attr-defined]
            raise


class Loaded(MutableMapping[str, "Command"]):
    """Commands by name, imported at their first use."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self.entries = entries
        self._commands: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._commands:
            module = import_module(f"cosmos_pipelines.cli.{self.entries[name].module}")
            self._commands[name] = typer.main.get_command(module.app)
            self._commands[name].name = name
        return self._commands[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class LazyGroup(Group):
    """The root group: a table of entries instead of commands."""

    entries: ClassVar[dict[str, Entry]]

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = Loaded(self.entries)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """Return all names, without any import."""
        return list(self.entries)

    def format_commands(self, ctx: typer.Context, formatter: HelpFormatter) -> None:  # type: ignore[override]  # noqa: ARG002
        """Write the table of commands, by section."""
        sections = dict.fromkeys(entry.section for entry in self.entries.values())
        for section in sections:
            rows = [(n, e.help) for n, e in self.entries.items() if e.section == section]
            with formatter.section(section):
                formatter.write_dl(rows, col_max=16)

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[Any]:  # type: ignore[override]
        """Complete the name of a command from the table, or an option of the root."""
        from cosmos_pipelines.cli.typer_private import completion

        if incomplete.startswith("-"):
            return list(super().shell_complete(ctx, incomplete))
        return [
            completion(name, entry.help)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse; raise ClosedPipe if the reader of the help has closed the pipe."""
        with ClosedPipe.told_apart():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; raise ClosedPipe if the reader of stdout has closed the pipe."""
        with ClosedPipe.told_apart():
            return super().invoke(ctx)
