"""An interrupt in the middle of a transaction: it stays an interrupt, and harms no later one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from cosmos_pipelines.errors import CosmosError


@contextmanager
def interrupts_first(engine: Engine) -> Iterator[None]:
    """Raise an interrupt as itself, and use no connection again in which it may have come.

    SQLAlchemy closes a transaction that is only half made with an AttributeError, which would hide
    that the user has pressed Ctrl-C; and it keeps a connection with a statement half done.
    """
    handled = sys.exc_info()[1]
    try:
        yield
    except CosmosError:
        raise
    except GeneratorExit:
        raise
    except BaseException as e:
        if (interrupt := _interrupt_in(e, handled)) is None:
            raise
        engine.dispose()
        if interrupt is e:
            raise
        raise interrupt from None


def _interrupt_in(error: BaseException, handled: BaseException | None) -> BaseException | None:
    """Return the interrupt in whose handling an error was raised, or that the error is."""
    behind: BaseException | None = error
    while behind is not None and behind is not handled:
        if not isinstance(behind, Exception | GeneratorExit):
            return behind
        behind = behind.__context__
    return None
