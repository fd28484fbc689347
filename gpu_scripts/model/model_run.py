"""Run a model of NVIDIA for the samples of a request, and keep every finished video.

    python model_run.py RUN/request.json -- COMMAND OF THE MODEL'S OWN ENTRY POINT

First checks the needs of the model, then starts the model, prints the progress, and moves each
video to its place as soon as the video's text shows that it is whole and which sample it belongs
to. If the model ends early because of one sample, the model is started again for the other samples.
Runs on the GPU side: Python 3.10 or newer, its standard library, and ffmpeg for sources in pieces.

    [2/5] rs_... transfer: loading (load 1)
    [2/5] rs_... transfer: chunk 1/2, step 7/35       current; without a step: finished chunks
    [2/5] rs_... transfer: done in 123.4 s, outputs/rs_....mp4
    FAILED rs_...: <kind>: <sentence>
    REFUSED: <kind>: <sentence>
    GOING ON with 3 samples: load 2

Exit code 0: every sample was made. 1: some samples failed. 2: refused, nothing was started. 143:
stopped by TERM or INT. Finished videos are kept in each case; `outputs/record.json` lists them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import model_needs
from model_files import not_written, write_whole
from model_judging import Failure, Load, goes_on, judged, never_reached
from model_load import LoadOfModel, folder_of
from model_log import Log, one_line
from model_needs import Refused
from model_pieces import Ffmpeg, PieceFailed
from model_process import Processes, Stopped
from model_request import Part, read_request
from model_samples import Samples

STOPPED = 143
USAGE = "usage: model_run.py RUN/request.json -- COMMAND..."


def main(argv: Sequence[str]) -> int:
    """See the module; return the exit code."""
    log, processes = Log(), Processes()
    processes.catch_signals()
    try:
        order = Order(argv, log, processes)
        model_needs.check(
            order.request.needs,
            order.request.engine,
            order.request.run,
            asking(processes),
            order.request.says.failures,
        )
    except Refused as e:
        log.say(f"REFUSED: {e.kind}: {one_line(str(e), 500)}")
        return 2
    except Stopped:
        return STOPPED
    try:
        order.carry_out()
    except Stopped:
        return STOPPED
    finally:
        processes.close()
        order.samples.close()
    if processes.asked:
        return STOPPED
    return 0 if order.samples.all_made else 1


def asking(processes: Processes) -> model_needs.Ask:
    """Return a function that runs a program and returns its output."""

    def ask(argv: tuple[str, ...]) -> str:
        ran = processes.run(argv)
        if ran.code:
            raise OSError(one_line(ran.err + ran.out) or f"exit code {ran.code}")
        return ran.out

    return ask


class Order:
    """A request, and the command for it."""

    def __init__(self, argv: Sequence[str], log: Log, processes: Processes) -> None:
        if len(argv) < 3 or argv[1] != "--":
            raise Refused("validation", USAGE)
        self._log = log
        self._processes = processes
        self._command = list(argv[2:])
        self.request = read_request(Path(argv[0]))
        self._run = argv[0].rpartition("/")[0] or "."
        """The run folder's path in the command."""
        self._lines = self._read_lines()
        self._check_command()
        pieces = any(sample.pieces for sample in self.request.samples)
        self._ffmpeg = Ffmpeg(processes) if pieces else None
        self.samples = Samples(self.request, log, self._ffmpeg)

    def _read_lines(self) -> list[bytes]:
        name, count = self.request.lines, len(self.request.parts())
        if name is None:
            return []
        try:
            lines = (self.request.run / name).read_bytes().splitlines(keepends=False)
        except OSError as e:
            raise Refused("validation", f"cannot read {name}: {e}") from None
        if len(lines) != count or not all(line.strip() for line in lines):
            raise Refused("validation", f"{name} has {len(lines)} lines for {count} parts")
        return lines

    def _check_command(self) -> None:
        request = self.request
        words = [request.folder, *(s.spec for s in request.samples if s.spec)]
        words += [request.lines] if request.lines else []
        for word in words:
            if f"{self._run}/{word}" not in self._command:
                raise Refused("validation", f"the command has no word {self._run}/{word}")
        if request.lines is None and len(request.parts()) > 1:
            bare = [s.run_id for s in request.samples if not s.spec or len(s.pieces) > 1]
            if bare:
                raise Refused("validation", f"{bare[0]} cannot be left out of the command")

    def carry_out(self) -> None:
        """Make all samples, as far as possible.

        Raises:
            Stopped: TERM or INT has come.
        """
        self._cut_sources()
        parts: Sequence[Part] = self.samples.open_parts()
        while parts:
            self.samples.loads += 1
            if self.samples.loads > 1:
                count = len({part.sample.run_id for part in parts})
                noun = "sample" if count == 1 else "samples"
                self._log.say(f"GOING ON with {count} {noun}: load {self.samples.loads}")
            parts = self._one_load(parts, self.samples.loads)
        self.samples.finish_joins()

    def _cut_sources(self) -> None:
        for sample in self.request.samples:
            if sample.pieces and self._ffmpeg:
                try:
                    self._ffmpeg.split(sample, self.request.run)
                except PieceFailed as e:
                    self.samples.fail(sample, e.failure)
                except OSError as e:
                    self.samples.fail(sample, not_written(e))

    def _one_load(self, parts: Sequence[Part], number: int) -> Sequence[Part]:
        """Load the model for `parts`; return the parts for another load."""
        try:
            words = self._words(parts, number)
        except OSError as e:
            for part in parts:
                self.samples.fail(part.sample, not_written(e))
            return []
        model = LoadOfModel(self.request, parts, number, self.samples, self._log)
        load = model.run(self._processes, words)
        if self._processes.was_stopped(load.end.code):
            raise Stopped
        failures = self._judge(model, load)
        for at, failure in failures.items():
            self.samples.fail_part(parts[at], failure)
        left = self.samples.open_parts()
        if not left or goes_on(failures.values(), load.end, model.made, len(left)):
            assert len(left) < len(parts)
            return left
        where = parts[max(failures)].sample.run_id if failures else ""
        rest = never_reached(failures.values(), load.end, model.made, where)
        for part in left:
            self.samples.fail(part.sample, rest)
        return []

    def _judge(self, model: LoadOfModel, load: Load) -> dict[int, Failure]:
        """Return why parts have no video; the sentence says if there is a video that may be cut."""
        failures = judged(load)
        for at, failure in failures.items():
            if failure.kind == "output_missing" and model.has_video(at):
                last = "text" if self.request.marker is None else "file"
                problem = f"The video exists, but not the {last} that is written after it"
                failures[at] = Failure("output_missing", f"{problem}: the video may not be whole.")
        return failures

    def _words(self, parts: Sequence[Part], number: int) -> list[str]:
        """Return the command for these parts: as given for all parts, else with their lines."""
        if len(parts) == len(self.request.parts()):
            return self._command
        request = self.request
        run = self._run
        new = {f"{run}/{request.folder}": f"{run}/{folder_of(request.folder, number)}"}
        if request.lines:
            path = Path(request.lines)
            name = str(path.with_name(f"{path.stem}.{number}{path.suffix}"))
            content = b"".join(self._lines[part.line] + b"\n" for part in parts)
            write_whole(request.run / name, content)
            new[f"{run}/{request.lines}"] = f"{run}/{name}"
        kept = {part.sample.spec for part in parts}
        gone = {f"{run}/{s.spec}" for s in request.samples if s.spec and s.spec not in kept}
        return [new.get(word, word) for word in self._command if word not in gone]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
