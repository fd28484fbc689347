"""What is kept of a failure: `outputs/run_<id>/diagnostics/`. Secrets are removed.

A failure is recorded before anything here begins, and nothing here can hide it: whatever could not
be had is named in `notes.txt`.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from loguru import logger

from cosmos_pipelines.backends import facts
from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.catalog.folders import run_directory
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.files import part_of, remove, write_text
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.log import TAIL_BYTES, log_file
from cosmos_pipelines.runs.redact import secrets_of, without_secrets
from cosmos_pipelines.settings import Settings, environment_of

EXAMINE_S: Final = 20.0
"""How long the place where it ran may take to answer; a host that is gone does not."""
FOLDER: Final = "diagnostics"
NOTES: Final = "notes.txt"


class Bundles:
    """Writes what is known of each failure of one execution; runs of an order share one look."""

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self._settings, self._backend = settings, backend
        self._looks: dict[str | None, dict[str, str]] = {}

    def write(self, run: Run, order: Order | None = None) -> None:
        """Keep what is known of this failed run; a bundle of an earlier attempt is replaced."""
        try:
            if run.batch_id not in self._looks:
                self._looks[run.batch_id] = self._look(run, order)
            texts = self._looks[run.batch_id] | self._own(run)
            ours = [
                environment_of(self._settings),
                *(place.docker.env for place in self._settings.places.values()),
            ]
            if "order.json" in texts:  # as we wrote or checked it
                ours.append(json.loads(texts["order.json"])["env"])
            known = {secret for one in ours for secret in secrets_of(one)}
            clean = {name: without_secrets(text, known) for name, text in texts.items()}
            _replace(run_directory(self._settings.outputs, run.id) / FOLDER, clean)
        except Exception as e:  # noqa: BLE001  the run's failure is the one to tell
            logger.warning("{run}: no diagnostics: {error}", run=run.id, error=e)

    def _look(self, run: Run, order: Order | None) -> dict[str, str]:
        """What its backend and this machine tell; nothing of a backend that was never asked."""
        found = {
            "here.txt": _here(self._settings.outputs),
            "versions.json": _json(facts.versions()),
        }
        if order is not None:
            found["order.json"] = order.model_dump_json(indent=1)
        if run.error_kind == "validation" and run.batch_id is None:
            return found
        notes: list[str] = []
        told: dict[str, str] = {}

        def ask() -> None:
            try:
                handle = self._backend.find(run.batch_id) if run.batch_id else None
                if handle is None:
                    notes.append("It was never started there, or nothing is left of it.")
                elif order is None:
                    told["order.json"] = self._backend.order_of(handle).model_dump_json(indent=1)
                told.update(self._backend.examine(handle))
            except Exception as e:  # noqa: BLE001  a note in the bundle
                notes.append(f"{self._backend.name} could not be examined: {e}")

        if not _within(EXAMINE_S, ask):
            notes.append(f"{self._backend.name} did not answer within {EXAMINE_S:g} s.")
        found |= dict(told)
        return found | ({NOTES: "\n".join(notes) + "\n"} if notes else {})

    def _own(self, run: Run) -> dict[str, str]:
        """The run's row and the ends of its logs."""
        log = log_file(self._settings.outputs, run.id)
        texts = {"run.json": _json(run.as_dict())}
        for name, file in (("log_tail.txt", log), ("commands.txt", log.with_name("cosmos.log"))):
            if file.is_file():
                texts[name] = _tail(file)
        return texts


def bundle(settings: Settings, run_id: str) -> dict[str, Path]:
    """The files of a run's bundle by name; empty if there is none."""
    folder = run_directory(settings.outputs, run_id) / FOLDER
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p for p in files}


def _within(seconds: float, ask: Callable[[], None]) -> bool:
    """Whether `ask` came to its end in time; otherwise it is left alone."""
    thread = threading.Thread(target=ask, name="examine", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def _replace(folder: Path, texts: Mapping[str, str]) -> None:
    """Make the folder with these files, or leave the old one."""
    part = part_of(folder)
    try:
        for name, text in texts.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            write_text(part / name, text)
        remove(folder)
        part.rename(folder)
    finally:
        remove(part)


def _tail(file: Path) -> str:
    with file.open("rb") as f:
        f.seek(max(0, file.stat().st_size - TAIL_BYTES))
        return f.read().decode("utf-8", errors="replace")


def _here(outputs: Path) -> str:
    disk = shutil.disk_usage(outputs)
    gib = 1 << 30
    return f"{outputs}: {disk.free / gib:.1f} GiB free of {disk.total / gib:.1f} GiB\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
