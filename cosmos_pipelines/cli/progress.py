"""Show runs while they execute: the model's log lines and progress, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from cosmos_pipelines.cli.exit_codes import one_line, say
from cosmos_pipelines.errors import EngineBroken, UnknownId
from cosmos_pipelines.ids import RUN
from cosmos_pipelines.lines import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from cosmos_pipelines.api import CosmosAPI

OnLine = Callable[[str | None, str], None]
OnStep = Callable[[str, int, int], None]


@contextmanager
def shown_lines(ctx: typer.Context, api: CosmosAPI) -> Iterator[OnLine]:
    """Show the log lines of runs while the block executes them; on a terminal a bar per run."""
    _say_own_log(debug=ctx.obj.debug)
    engines = _Engines(api)
    if not sys.stderr.isatty():
        yield lambda run_id, text: say(_prefixed(run_id, text))
        return
    with _bars() as bars:
        tasks: dict[str, TaskID] = {}

        def on_line(run_id: str | None, text: str) -> None:
            subject = run_id or named_run(text)
            if subject and (step := engines.step(subject, text)):
                name = step.run_id or subject
                if name not in tasks:
                    tasks[name] = bars.add_task(name[:11], total=step.total)
                bars.update(tasks[name], completed=step.done, total=step.total)
            else:
                _above(bars, _prefixed(run_id, text))

        yield on_line


@contextmanager
def shown_steps() -> Iterator[OnStep]:
    """Show a bar for each step while the block works; without a terminal a line at a step's end."""
    if not sys.stderr.isatty():
        yield lambda name, done, total: say(f"{name}: {done}/{total}") if done == total else None
        return
    with _bars() as bars:
        tasks: dict[str, TaskID] = {}

        def on_step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(one_line(name), total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield on_step


@contextmanager
def shown_bar() -> Iterator[tuple[Callable[[str, int, int, str], None], Callable[[str], None]]]:
    """Show one bar on a terminal; yield its update (name, done, total, what) and a line printer."""
    with _bars() as bars:
        task = bars.add_task("", total=None)

        def bar(name: str, done: int, total: int, what: str) -> None:
            shown = one_line(f"{name}  {what}")[: max(bars.console.width - 60, 20)]
            bars.update(task, description=shown, completed=done, total=total)

        yield bar, lambda line: _above(bars, line)


def named_run(text: str) -> str | None:
    """Return the run that a line of a batch's log names; None if it names no run."""
    found = RUN.search(text)
    return found[0] if found else None


class _Engines:
    """The engine of each run, read from the catalog once."""

    def __init__(self, api: CosmosAPI) -> None:
        self._api = api
        self._known: dict[str, Any] = {}

    def of(self, run_id: str) -> Any:
        from cosmos_pipelines.engines import engine_named

        if run_id not in self._known:
            self._known[run_id] = engine_named(self._api.get_run(run_id)["engine"])
        return self._known[run_id]

    def step(self, run_id: str, text: str) -> Any:
        """Return a run's progress from a log line; None if the line has none, or no such run."""
        try:
            return self.of(run_id).progress(text)
        except (UnknownId, EngineBroken):  # a program may print any id
            return None


def _prefixed(run_id: str | None, text: str) -> str:
    """Return a log line for the terminal; only the last state of a line overwritten with `\\r`."""
    line = one_line(plain(text))
    return f"{run_id[:11]}  {line}" if run_id else line


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True)


def _above(bars: Progress, line: str) -> None:
    bars.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _say_own_log(*, debug: bool) -> None:
    """Show the log of this program on stderr: warnings, or with --debug all messages."""
    from loguru import logger

    logger.remove()
    logger.add(
        lambda message: say(message.rstrip("\n")),
        level="DEBUG" if debug else "WARNING",
        format="{level.name}: {message}",
        filter=lambda record: debug or "order" not in record["extra"],  # orders come as lines
    )
