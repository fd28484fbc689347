"""`cosmos why`: the cause of a failure in a sentence, its evidence, and the next command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.backends.owner import owner_shown
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.bundle import bundle
from cosmos_pipelines.runs.log import log_file
from cosmos_pipelines.runs.lost import is_lost
from cosmos_pipelines.settings import Settings

MOST: Final = 5
"""Number of evidence lines from one file."""
LAST: Final = 3
"""Number of last lines that are shown if no line shows the cause."""
READ_BYTES: Final = 1 << 20
"""Bytes that are read from the end of a file."""


@dataclass(frozen=True)
class Cause:
    """The meaning of a kind of failure, its evidence in the logs, and the commands that help."""

    sentence: str
    shows: str
    """A regular expression for the lines of logs and bundle that show the cause."""
    next: tuple[tuple[str, str], ...]
    """Commands and their purpose; `{run}`, `{parent}`, `{model_type}` and `{host}` are filled."""
    files: tuple[str, ...] = ()
    """Files of the bundle that may show the cause, besides the logs."""


_LOGS: Final = ("cosmos logs {run}", "the whole log")
_AGAIN: Final = ("cosmos run {run}", "tries the run again")
_DOCTOR: Final = ("cosmos doctor", "says what is wrong on the host, and what to do")

_UNSAID: Final = frozenset({"model_failed", "lost", "timeout", "stalled"})
"""Failures of which a broken GPU may be the cause, without a word of it in the model's log."""
_XID: Final = r"NVRM: Xid \(PCI:"
"""How NVIDIA's kernel module begins the report of an error: open-gpu-kernel-modules, nvidia.ko."""

CAUSES: Final[Mapping[str, Cause]] = {
    "validation": Cause(
        "The run's input was refused before the run was started.",
        r"refused|error:|must|cannot|needs",
        (("cosmos show {run}", "shows the run's settings"), _AGAIN),
    ),
    "unreachable": Cause(
        "The host could not be reached, or gave no usable answer.",
        r"(?i)unreachable|no usable answer|did not answer|was lost|lost sight|may still run|"
        r"cannot be reached|nothing listens|no host",
        (
            _DOCTOR,
            ("cosmos run {run}", "continues the order if it still runs, or starts it again"),
            ("cosmos kill {run}", "stops the order if it still runs"),
        ),
        ("notes.txt",),
    ),
    "launch_failed": Cause(
        "The run could not be started.",
        r"(?i)from daemon|\"Error\": \"[^\"]|(could not|cannot) start|not found|permission denied|"
        r"refused|no such|docker: |run\.sh: ",
        (_DOCTOR, _AGAIN),
        ("folder/start.log", "container.json", "notes.txt"),
    ),
    "out_of_memory": Cause(
        "The run ran out of memory: the program was killed, or the GPU's memory was full.",
        r"(?i)out ?of ?memory|oom-kill|MemoryError|CUDA error|\"OOMKilled\": true|Killed process",
        (
            ("cosmos status", "shows what else uses the GPU's memory"),
            ("cosmos run {run}", "tries again once memory is free; a single run needs less"),
        ),
        ("container.json", "dmesg.txt", "gpu.txt"),
    ),
    "gpu_lost": Cause(
        "The GPU or its driver failed, or the run's container could not see the GPU.",
        r"(?i)NVML|NVRM: .*Xid|CUDA (unknown )?error|ECC error|No CUDA GPUs|CUDA-capable|"
        r"GPU is lost|requires reset|fallen off the bus|device handle|no devices were found|"
        r"NVIDIA driver|nvidia-container-cli|not yet initialized",
        (
            ("cosmos doctor", "says what is wrong with the GPUs of the host, and what to do"),
            ("cosmos run {run}", "tries the run again, in a new container"),
        ),
        ("gpu.txt", "dmesg.txt", "notes.txt"),
    ),
    "blocked": Cause(
        "A guardrail of the model refused the prompt or the video.",
        r"GUARDRAIL BLOCKED|Match Word|(?i:^(?:FAILED \S+: )?blocked\b|not safe|refuses|unsafe)",
        (
            ("cosmos show {run}", "shows the run's prompt"),
            ("cosmos create prompt TEXT SCENE_DIR", "registers the prompt in other words"),
        ),
    ),
    "model_failed": Cause(
        "The model's program failed, or its output is not what the run asked for.",
        r"FAILED|Traceback|\w+(Error|Exception)\b|error:|exit code|instead of",
        (_LOGS, _AGAIN),
    ),
    "output_missing": Cause(
        "The program reported success, but its result is missing or cannot be used.",
        r"(?i)saved|unusable|missing|truncated|made no|is gone|sha-256|no result",
        (_LOGS, _AGAIN),
        ("folder/result.json",),
    ),
    "timeout": Cause(
        "The run took longer than its time limit and was stopped.",
        r"(?i)stopping|over \d+ s|longer than allowed",
        (
            ("cosmos logs {run}", "shows how far the run came"),
            ("cosmos run {run}", "tries again; raise execution.{model_type}_timeout_s before"),
        ),
    ),
    "stalled": Cause(
        "The model hung: it wrote nothing and its GPUs did nothing, and so it was stopped.",
        r"(?i)stopping|seems to hang|no load on its GPUs",
        (
            ("cosmos logs {run}", "shows where the model stood still"),
            _DOCTOR,
            ("cosmos run {run}", "tries again; execution.stall_end_s sets how long it waits"),
        ),
        ("gpu.txt", "dmesg.txt"),
    ),
    "cancelled": Cause(
        "The run was stopped on request.",
        r"(?i)stopp|cancel|interrupt",
        (("cosmos run {run}", "starts the run again"),),
    ),
    "lost": Cause(
        "The run's order ended without an exit code, or could not be followed any more.",
        r"(?i)vanish|without an exit code|adopted|lost|boot|is gone|killed",
        (_DOCTOR, ("cosmos run {run}", "continues the order if it still runs, or starts it again")),
        ("container.json", "dmesg.txt", "folder/boot_id", "notes.txt"),
    ),
    "disk_full": Cause(
        "No room was left on a disk.",
        r"(?i)no space left|ENOSPC|quota exceeded|no room|100%",
        (("cosmos doctor", "says on which machine, and what uses the disk"), _AGAIN),
        ("here.txt", "disk.txt"),
    ),
    "parent_failed": Cause(
        "The run that makes what this run is made of has no result.",
        r"(?i)has failed|was cancelled",
        (
            ("cosmos why {parent}", "says why that run has no result"),
            ("cosmos run {parent} {run}", "executes both again"),
        ),
    ),
}


def explain(catalog: Catalog, settings: Settings, run_id: str) -> dict[str, Any]:
    """Say why a run failed; for a run that did not fail, its state.

    Returns: run_id, status, error_kind, cause (a sentence), evidence (file relative to home, line
    number or None, text), next (command, its purpose), diagnostics (the bundle's directory).

    Raises:
        UnknownId: there is no such run.
    """
    run = catalog.get_run(run_id)
    facts = {"run_id": run.id, "status": run.status, "error_kind": run.error_kind}
    if run.status not in ("failed", "cancelled"):
        sentence, commands = _not_failed(run, is_lost(catalog, run))
        evidence = _last_lines(settings, run) if run.status in ACTIVE else []
        return facts | _answer(sentence, evidence, commands, None)
    cause = CAUSES.get(run.error_kind or "cancelled", CAUSES["model_failed"])
    files = bundle(settings, run.id)
    folder = _user_path(settings, next(iter(files.values())).parent) if files else None
    evidence = _evidence(settings, run, cause, files)
    xids = _xids(settings, run, files)
    places = {
        "run": run.id,
        "parent": run.parent_run_id or "",
        "model_type": run.model_type,
        "host": run.host or "the host",
    }
    commands = [(command.format(**places), use.format(**places)) for command, use in cause.next]
    sentence = f"{cause.sentence} {run.error_message or ''}".strip()
    if xids:
        sentence += " The kernel there has logged errors of a GPU (Xid), perhaps the cause."
        commands = [_DOCTOR, *(c for c in commands if c != _DOCTOR)]
    return facts | _answer(sentence, [*evidence, *xids], commands, folder)


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


def _not_failed(run: Run, lost: bool) -> tuple[str, list[tuple[str, str]]]:
    """Return a sentence on a run that has not failed, and the commands for it."""
    if run.status == "completed":
        output = run.outputs.get("video") or run.outputs.get("file") or "no file"
        show = (f"cosmos show {run.id}", "shows the whole record of the run")
        return f"The run did not fail: it is completed, and made {output}.", [show]
    if run.status == "pending":
        now = (f"cosmos run {run.id}", "executes the run now")
        if run.queued_at is None:
            return "The run did not fail: it has not been started.", [now]
        why = (f"cosmos queue why {run.id}", "says what it waits for")
        return "The run did not fail: it waits in the queue.", [why, now]
    if lost:
        sentence = f"The run says {run.status}, but the process that executed it is gone."
        return sentence, [(f"cosmos run {run.id}", "continues the run")]
    doing = {
        "uploading": "uploads its inputs",
        "running": f"runs on {run.host or 'this machine'}",
        "downloading": "downloads its results and verifies them",
    }[run.status]
    follow = (f"cosmos logs -f {run.id}", "follows the log")
    stop = (f"cosmos kill {run.id}", "stops the run")
    owner = owner_shown(run.leased_by)
    return f"The run has not failed: it {doing}; {owner} executes it.", [follow, stop]


@dataclass(frozen=True)
class Evidence:
    """A line of a log or of the bundle that shows the cause."""

    file: str
    line: int | None
    """Counted from 1; None if only the end of a long file was read."""
    text: str


def telling(lines: Sequence[str], shows: str, most: int = MOST) -> list[int]:
    """Return the indices of the last `most` lines that match the pattern `shows`."""
    pattern = re.compile(shows)
    return [n for n, line in enumerate(lines) if pattern.search(line)][-most:]


def _evidence(
    settings: Settings, run: Run, cause: Cause, files: Mapping[str, Path]
) -> list[Evidence]:
    log = log_file(settings.outputs, run.id)
    sources = [log, log.with_name("cosmos.log"), *(files[n] for n in cause.files if n in files)]
    found = [one for file in sources for one in _in_file(settings, file, cause.shows)]
    return found or _last_lines(settings, run)


def _xids(settings: Settings, run: Run, files: Mapping[str, Path]) -> list[Evidence]:
    """Return the kernel's lines on errors of a GPU, for a failure that does not say its cause."""
    if run.error_kind not in _UNSAID or "dmesg.txt" not in files:
        return []
    return list(_in_file(settings, files["dmesg.txt"], _XID))


def _in_file(settings: Settings, file: Path, shows: str) -> Iterator[Evidence]:
    lines, whole = _lines(file)
    for n in telling(lines, shows):
        yield Evidence(_user_path(settings, file), n + 1 if whole else None, lines[n].strip())


def _last_lines(settings: Settings, run: Run) -> list[Evidence]:
    """Return the last lines of the model's log, or of `cosmos.log` if the model has no log."""
    log = log_file(settings.outputs, run.id)
    for file in (log, log.with_name("cosmos.log")):
        lines, whole = _lines(file)
        texts = [(n, line.strip()) for n, line in enumerate(lines) if line.strip()]
        if texts:
            name = _user_path(settings, file)
            return [Evidence(name, n + 1 if whole else None, text) for n, text in texts[-LAST:]]
    return []


def _lines(file: Path) -> tuple[list[str], bool]:
    """Return the lines of a file (of its last MiB), and whether these are all lines."""
    if not file.is_file():
        return [], True
    size = file.stat().st_size
    with file.open("rb") as f:
        f.seek(max(0, size - READ_BYTES))
        text = f.read().decode("utf-8", errors="replace")
    return re.split(r"\r\n|\n|\r", text), size <= READ_BYTES


def _user_path(settings: Settings, file: Path) -> str:
    """Return a path for the user: relative to home if the file is below home."""
    below = file.is_relative_to(settings.home)
    return file.relative_to(settings.home).as_posix() if below else str(file)
