"""Pass a Hugging Face token to a container: from the environment or a file of mode 600, over
standard input, into a file on the host that only the user can read and that its reader removes.

The token is never in an argument vector, the environment of a container, a log or an image.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cosmos_pipelines.backends.ssh.folder import LOOK_S, HostFolder
from cosmos_pipelines.errors import BackendError, InputError
from cosmos_pipelines.foreign import read_secret
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.orders import TOKEN
from cosmos_pipelines.operations.base import Directory

VARIABLE: Final = "HF_TOKEN"


def token_of(environment: Mapping[str, str], file: Path | None) -> str | None:
    """Return the token of the environment, else of the file; None if there is neither.

    Raises:
        InputError: the file cannot be read, others can read it, or it holds no token.
    """
    token = environment.get(VARIABLE, "").strip()
    where = VARIABLE
    if not token and file is not None:
        token, where = read_secret(file), str(file)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"The text in {where} cannot be a Hugging Face token.")
    return token or None


@contextmanager
def placed(
    host: HostFolder, root: str, engine: str, token: str | None
) -> Iterator[Directory | None]:
    """Yield the directory that holds the token until the block ends; None if there is no token.

    `root`: the absolute path of `remote_dir` on the host.
    """
    if token is None:
        yield None
        return
    name = uuid.uuid4().hex
    argv = host_setup_script.put_token(root, engine, name)
    try:
        host.ask(argv, input=token.encode(), timeout_s=LOOK_S)
        yield Directory(
            name=TOKEN, source=f"engines/{engine}/.token-{name}", target=f"/cosmos/{TOKEN}"
        )
    finally:
        # If the host is unreachable now, the reader or the next set-up removes the file.
        with suppress(BackendError):
            host.ask(host_setup_script.forget_token(root, engine, name), timeout_s=LOOK_S)
