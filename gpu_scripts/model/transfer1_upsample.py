"""Run NVIDIA's prompt upsampler for the prompts of a request.

    python transfer1_upsample.py RUN/request.json

Started in the checkout of Cosmos-Transfer1; COSMOS_CHECKPOINTS names the directory of the weights.
First checks the needs of the model, makes a clip of the first frames of each source, then starts
`transfer1_pixtral.py`, which loads the model once for all prompts. Lines and exit codes are those
of `model_run.py`. Runs on the GPU side: Python 3.10 or newer, its standard library, and ffmpeg.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import model_needs
from model_files import Finished, not_written
from model_gpu import GPU_LOST, SENTENCE
from model_judging import End, Failure, never_reached, of_the_end
from model_log import Log, one_line
from model_needs import Refused
from model_pieces import Ffmpeg, PieceFailed
from model_process import Processes, Stopped
from model_run import STOPPED, asking
from model_words import ERROR, Lines
from transfer1_request import Prompt, Prompts, read_prompts

FRAMES = 10
"""Frames of a clip; the upsampler reads the first two."""
OURS = re.compile(r"(?:FAILED (rs_\w+): (\w+): (.+)|\[\d+/\d+\] (rs_\w+) enhance: (done)?)")
"""The worker's own lines: a prompt has failed, has started, or is done."""
WORKER = Path(__file__).with_name("transfer1_pixtral.py")
FAILURES = (
    (
        "out_of_memory",
        r"OutOfMemoryError|CUDA out of memory|No available memory for the cache blocks"
        r"|less than desired GPU memory utilization",
        "The GPU's memory ran out: Pixtral takes nearly all of it.",
    ),
    ("gpu_lost", GPU_LOST, SENTENCE),
    ("disk_full", r"No space left on device", "No space left where the model runs."),
    ("launch_failed", r"(?:ModuleNotFoundError|ImportError): (.+)", "Code is missing: {}."),
    ("launch_failed", r"FileNotFoundError: (.+)", "A file is missing: {}."),
)
"""Kind, pattern and sentence; vLLM prints the cause in its own process, before the worker fails."""


class Enhancement:
    """Executes a request: reads the model's lines and follows its prompts."""

    def __init__(self, request: Prompts, log: Log, processes: Processes) -> None:
        self._request = request
        self._log = log
        self._processes = processes
        self._finished = Finished(request.run, log.say)
        self._output = Lines()
        self._recorded: set[str] = set()
        """Prompts whose end is recorded, answered or failed."""
        self._current: str | None = None
        self._begun = False
        self._cause: Failure | None = None
        self._error = ""

    def carry_out(self) -> int:
        """Answer all prompts; return the exit code.

        Raises:
            Stopped: TERM or INT has come.
        """
        try:
            ready = [prompt for prompt in self._request.prompts if self._clip(prompt)]
            if ready:
                self._log.say(f"{ready[0].place} loading (load 1)")
                self._have_answered(ready)
        finally:
            self._finished.say_again()
        return 0 if all(self._made(prompt) for prompt in self._request.prompts) else 1

    def _have_answered(self, prompts: Sequence[Prompt]) -> None:
        words = [sys.executable, str(WORKER), str(self._request.run / "request.json")]
        ids = [prompt.run_id for prompt in prompts]
        code = self._processes.listen([*words, *ids], self._heard, self._log.flush)
        for line in self._output.rest():
            self._scan(line)
        self._log.model_ended()
        for prompt in prompts:
            self._keep(prompt)  # also answers for which there is no line yet
        if self._processes.was_stopped(code):
            raise Stopped
        self._blame(prompts, code)

    def _made(self, prompt: Prompt) -> bool:
        return (self._request.run / prompt.output).is_file()

    def _clip(self, prompt: Prompt) -> bool:
        try:
            source, target = self._request.run / prompt.source, self._request.run / prompt.clip
            Ffmpeg(self._processes).clip(source, FRAMES, prompt.resolution, target)
        except PieceFailed as e:
            self._fail(prompt, e.failure)
            return False
        except OSError as e:
            self._fail(prompt, not_written(e))
            return False
        return True

    def _fail(self, prompt: Prompt, failure: Failure) -> None:
        self._recorded.add(prompt.run_id)
        self._finished.fail(prompt.run_id, failure)

    def _heard(self, data: bytes) -> None:
        for line in self._output.cut(data):
            self._scan(line)
        self._log.pass_on(data)  # after the record: a reader of "done" finds the text recorded

    def _scan(self, line: str) -> None:
        if match := OURS.match(line):
            failed, kind, sentence, at, done = match.groups()
            self._begun = True
            self._current = None if failed or done else at
            for prompt in self._request.prompts:
                if prompt.run_id in (failed, done and at):
                    self._keep(prompt, Failure(kind, sentence) if failed else None)
            if not failed or "out_of_memory" not in line:
                self._cause, self._error = None, ""
            return
        if error := ERROR.match(line):
            self._error = f"{error[1]}: {error[2]}"
        for kind, pattern, sentence in FAILURES:
            if self._cause is None and (found := re.search(pattern, line)):
                what = one_line(found[1], 200) if found.groups() else ""
                self._cause = Failure(kind, sentence.format(what))

    def _keep(self, prompt: Prompt, failure: Failure | None = None) -> None:
        """Record the end of a prompt if it has failed or is answered."""
        if prompt.run_id in self._recorded or not (failure or self._made(prompt)):
            return
        self._recorded.add(prompt.run_id)
        if failure:
            self._finished.fail(prompt.run_id, failure, say=False)
        else:
            self._finished.add(prompt.output)

    def _blame(self, prompts: Sequence[Prompt], code: int) -> None:
        """Record a failure for each prompt without a recorded end."""
        left = [prompt for prompt in prompts if prompt.run_id not in self._recorded]
        end = End(code, self._error)
        missing = Failure("output_missing", "The model ended without an answer.")
        why = self._cause or of_the_end(end) or missing
        rest = never_reached([why], end, sum(map(self._made, prompts)), self._current or "")
        for prompt in left:
            tried = not self._begun or prompt.run_id == self._current
            self._fail(prompt, why if tried else rest)


def main(argv: Sequence[str]) -> int:
    """See the module; return the exit code."""
    log, processes = Log(), Processes()
    processes.catch_signals()
    try:
        if len(argv) != 1:
            raise Refused("validation", "usage: transfer1_upsample.py RUN/request.json")
        request = read_prompts(Path(argv[0]))
        model_needs.check(request.needs, request.engine, request.run, asking(processes))
        return Enhancement(request, log, processes).carry_out()
    except Refused as e:
        log.say(f"REFUSED: {e.kind}: {one_line(str(e), 500)}")
        return 2
    except Stopped:
        return STOPPED
    finally:
        processes.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
