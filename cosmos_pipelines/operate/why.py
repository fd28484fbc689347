"""`cosmos why`: the cause of a failure in a sentence, what shows it, and the next command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.bundle import bundle
from cosmos_pipelines.runs.log import log_file
from cosmos_pipelines.runs.lost import orphans
from cosmos_pipelines.settings import Settings

MOST: Final = 5
"""Lines of evidence from one file."""
LAST: Final = 3
"""Lines shown where none tells the cause by itself."""
READ_BYTES: Final = 1 << 20
"""From the end of a file."""


@dataclass(frozen=True)
class Cause:
    """What a kind of failure means, where it shows, and what one does about it."""

    sentence: str
    shows: str
    """Lines of the logs and of the bundle that show it: a regular expression."""
    next: tuple[tuple[str, str], ...]
    """Commands, with what they are for; `{run}`, `{model_type}` and `{host}` are filled in."""
    files: tuple[str, ...] = ()
    """Files of the bundle that may show it, besides the logs."""


_LOGS: Final = ("cosmos logs {run}", "the whole log")
_AGAIN: Final = ("cosmos run {run}", "tries it again")
_DOCTOR: Final = ("cosmos doctor", "says what is wrong on the host, and what to do")

CAUSES: Final[Mapping[str, Cause]] = {
    "validation": Cause(
        "Its input was refused before anything was started.",
        r"refused|error:|must|cannot|needs",
        (("cosmos show {run}", "shows its settings"), _AGAIN),
    ),
    "unreachable": Cause(
        "The host could not be reached, or the connection was lost and did not come back.",
        r"(?i)unreachable|did not answer|was lost|cannot be reached|nothing listens|no host",
        (_DOCTOR, ("cosmos run {run}", "finds what may still run there, or starts it again")),
        ("notes.txt",),
    ),
    "launch_failed": Cause(
        "It could not be started.",
        r"(?i)from daemon|\"Error\": \"[^\"]|(could not|cannot) start|not found|permission denied|"
        r"refused|no such|docker: |run\.sh: ",
        (_DOCTOR, _AGAIN),
        ("folder/start.log", "container.json", "notes.txt"),
    ),
    "out_of_memory": Cause(
        "It ran out of memory: the program was killed for want of it, or the GPU had no more.",
        r"(?i)out ?of ?memory|oom-kill|MemoryError|CUDA error|\"OOMKilled\": true|Killed process",
        (
            ("cosmos status", "shows who else uses the GPU's memory"),
            ("cosmos run {run}", "tries it again once there is room; alone, it needs less"),
        ),
        ("container.json", "dmesg.txt", "gpu.txt"),
    ),
    "blocked": Cause(
        "A guardrail of the model refused the prompt or the video.",
        r"GUARDRAIL BLOCKED|Match Word|(?i:^(?:FAILED \S+: )?blocked\b|not safe|refuses|unsafe)",
        (
            ("cosmos show {run}", "shows its prompt"),
            ("cosmos create prompt TEXT SCENE_DIR", "registers it in other words"),
        ),
    ),
    "model_failed": Cause(
        "The model's program failed, or made something else than was asked for.",
        r"FAILED|Traceback|\w+(Error|Exception)\b|error:|exit code|instead of",
        (_LOGS, _AGAIN),
    ),
    "output_missing": Cause(
        "The program said success, but its result is not there or cannot be used.",
        r"(?i)saved|unusable|missing|truncated|made no|is gone|sha-256|no result",
        (_LOGS, _AGAIN),
        ("folder/result.json",),
    ),
    "timeout": Cause(
        "It took longer than it may and was stopped.",
        r"(?i)stopping|over \d+ s|longer than allowed",
        (
            ("cosmos logs {run}", "shows how far it came"),
            ("cosmos run {run}", "tries again; raise execution.{model_type}_timeout_s before"),
        ),
    ),
    "cancelled": Cause(
        "It was stopped on request.",
        r"(?i)stopp|cancel|interrupt",
        (("cosmos run {run}", "starts it again"),),
    ),
    "lost": Cause(
        "It vanished: what executed it ended without leaving an exit code.",
        r"(?i)vanish|adopted|lost|boot|is gone|killed",
        (_DOCTOR, ("cosmos run {run}", "starts it again")),
        ("container.json", "dmesg.txt", "folder/boot_id", "notes.txt"),
    ),
    "disk_full": Cause(
        "No room was left on a disk.",
        r"(?i)no space left|ENOSPC|quota exceeded|no room|100%",
        (("cosmos doctor", "says on which machine, and what takes the room"), _AGAIN),
        ("here.txt", "disk.txt"),
    ),
}


def explain(catalog: Catalog, settings: Settings, run_id: str) -> dict[str, Any]:
    """Why a run failed; for others, that it did not, or what it does now.

    Returns: run_id, status, error_kind, cause (a sentence), evidence (file relative to home, line
    number or None, text), next (command, what it is for), diagnostics (the bundle's directory).

    Raises:
        UnknownId: there is no such run.
    """
    run = catalog.get_run(run_id)
    told = {"run_id": run.id, "status": run.status, "error_kind": run.error_kind}
    if run.status not in ("failed", "cancelled"):
        left = any(other.id == run.id for other in orphans(catalog))
        sentence, commands = _not_failed(run, left)
        proof = _last_words(settings, run) if run.status in ACTIVE else []
        return told | _answer(sentence, proof, commands, None)
    cause = CAUSES.get(run.error_kind or "cancelled", CAUSES["model_failed"])
    files = bundle(settings, run.id)
    folder = _shown(settings, next(iter(files.values())).parent) if files else None
    proof = _evidence(settings, run, cause, files)
    places = {"run": run.id, "model_type": run.model_type, "host": run.host or "the host"}
    commands = [(command.format(**places), use.format(**places)) for command, use in cause.next]
    sentence = f"{cause.sentence} {run.error_message or ''}".strip()
    return told | _answer(sentence, proof, commands, folder)


def _answer(
    cause: str,
    evidence: Sequence[Evidence],
    commands: Sequence[tuple[str, str]],
    folder: str | None,
) -> dict[str, Any]:
    return {
        "cause": cause,
        "evidence": [asdict(one) for one in evidence],
        "next": [{"command": command, "use": use} for command, use in commands],
        "diagnostics": folder,
    }


def _not_failed(run: Run, left: bool) -> tuple[str, list[tuple[str, str]]]:
    """What to say of a run that has not failed, and the commands for it."""
    if run.status == "completed":
        made = run.outputs.get("video") or run.outputs.get("file") or "nothing to look at"
        show = (f"cosmos show {run.id}", "shows all that is known of it")
        return f"It did not fail: it is completed, and made {made}.", [show]
    if run.status == "pending":
        queued = "waits for the daemon" if run.queued_at else "has not been started"
        return f"It did not fail: it {queued}.", [(f"cosmos run {run.id}", "executes it now")]
    if left:
        sentence = f"It says {run.status}, but the process that executed it is gone."
        return sentence, [(f"cosmos run {run.id}", "goes on with it where it stands")]
    doing = {
        "uploading": "brings its inputs to where it shall run",
        "running": f"runs on {run.host or 'this machine'}",
        "downloading": "brings its results home and verifies them",
    }[run.status]
    follow = (f"cosmos logs -f {run.id}", "watches it")
    stop = (f"cosmos kill {run.id}", "stops it")
    return f"It has not failed: it {doing}; {run.leased_by} executes it.", [follow, stop]


@dataclass(frozen=True)
class Evidence:
    """A line that shows something."""

    file: str
    line: int | None
    """From 1; None where only the end of a long file was read."""
    text: str


def telling(lines: Sequence[str], shows: str, most: int = MOST) -> list[int]:
    """Indices of the last `most` lines in which the pattern is found."""
    pattern = re.compile(shows)
    return [n for n, line in enumerate(lines) if pattern.search(line)][-most:]


def _evidence(
    settings: Settings, run: Run, cause: Cause, files: Mapping[str, Path]
) -> list[Evidence]:
    log = log_file(settings.outputs, run.id)
    sources = [log, log.with_name("cosmos.log"), *(files[n] for n in cause.files if n in files)]
    found = [one for file in sources for one in _in_file(settings, file, cause.shows)]
    return found or _last_words(settings, run)


def _in_file(settings: Settings, file: Path, shows: str) -> Iterator[Evidence]:
    lines, whole = _lines(file)
    for n in telling(lines, shows):
        yield Evidence(_shown(settings, file), n + 1 if whole else None, lines[n].strip())


def _last_words(settings: Settings, run: Run) -> list[Evidence]:
    """The last lines of the model's log, or of ours where there is none."""
    log = log_file(settings.outputs, run.id)
    for file in (log, log.with_name("cosmos.log")):
        lines, whole = _lines(file)
        said = [(n, line.strip()) for n, line in enumerate(lines) if line.strip()]
        if said:
            name = _shown(settings, file)
            return [Evidence(name, n + 1 if whole else None, text) for n, text in said[-LAST:]]
    return []


def _lines(file: Path) -> tuple[list[str], bool]:
    """The lines of a file (of its last MiB), and whether these are all."""
    if not file.is_file():
        return [], True
    size = file.stat().st_size
    with file.open("rb") as f:
        f.seek(max(0, size - READ_BYTES))
        text = f.read().decode("utf-8", errors="replace")
    return re.split(r"\r\n|\n|\r", text), size <= READ_BYTES


def _shown(settings: Settings, file: Path) -> str:
    """A path as the user finds it: relative to home where it is below."""
    below = file.is_relative_to(settings.home)
    return file.relative_to(settings.home).as_posix() if below else str(file)
