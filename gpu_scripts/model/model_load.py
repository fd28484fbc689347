"""One load of the model: read its lines, take its files, and judge its end.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from model_assigning import Assigned, assigned
from model_judging import End, Failure, Line, Load
from model_log import Log, ProgressLines, WithoutDebug
from model_position import Mark, Position
from model_process import Processes
from model_request import Part, Pattern, Request
from model_samples import Samples
from model_words import LastWords, Lines, filled

SETTLED_S = 1.0
"""Seconds without a change after which a text counts as whole."""


class LoadOfModel:
    """Reads the lines of a model load that makes `parts`, and takes the finished videos."""

    def __init__(
        self, request: Request, parts: Sequence[Part], number: int, samples: Samples, log: Log
    ) -> None:
        self._request = request
        self._says = request.says
        self.parts = parts
        self._number = number
        self._samples = samples
        self._log = log
        self._quiet = WithoutDebug()
        self._progress = ProgressLines(log)
        self.folder = request.run / folder_of(request.folder, number)
        self.made = 0
        self._reached: set[int] = set()
        self._texts: dict[int, tuple[str, float]] = {}
        """By number: the text that was found, and since when it is unchanged."""
        self._given: set[int] = set()
        """Numbers whose video was taken."""
        names = [part.sample.run_id for part in parts]
        self._position = Position(names, list(self._written_paths()), request.batch_size)
        self._chunks: dict[int, int] = {}
        self._steps: dict[int, int] = {}
        """The last printed step of a part."""
        self._lines: list[tuple[Mark, Failure]] = []
        self._output = Lines()
        self._words = LastWords()
        self._started = time.monotonic()
        self._loaded: float | None = None
        self._last_made = 0.0
        self._group_began: dict[int, float] = {}

    def run(self, processes: Processes, command: Sequence[str]) -> Load:
        """Start the model, read its lines until it ends, and return the facts of the load.

        Raises:
            Stopped: a signal to stop came before the start.
        """
        self._log.say(f"{self._place(0)} loading (load {self._number})")
        try:
            code = processes.listen(command, self.heard, self.tick)
        except OSError as e:
            failure = Failure("launch_failed", f"{command[0]} cannot be started: {e.strerror}.")
            self._lines = [(self._position.mark(), failure)]
            return self._ended(End(127))
        self._log.pass_on(self._quiet.rest())
        for line in self._output.rest():
            self._scan(line)
        self._look(ended=True, well=code == 0)
        self._progress.settle()
        self._log.model_ended()
        return self._ended(End(code, self._words.said, self._words.killed))

    def _ended(self, end: End) -> Load:
        at = self._position
        return Load(
            parts=len(self.parts),
            batch_size=self._request.batch_size,
            reached=self._reached | self._unread(end),
            begun=self._begun(end),
            exact=at.exact,
            lines=[Line(at.part_of(mark), failure) for mark, failure in self._lines],
            end=end,
        )

    def _begun(self, end: End) -> int:
        """Return the last part that is known to have started."""
        at = self._position
        if end.code == 0 or not self._texts:
            return at.furthest
        group = self._group(max(self._texts))
        if self._reached.issuperset(group) or not self._is_last(group):
            return at.furthest
        # The model has written some files of a sub-batch, and seems to be at the next sub-batch.
        return at.furthest if self._may_be_refused(group) else min(at.furthest, group[-1])

    def _unread(self, end: End) -> set[int]:
        """Return parts that have a video of a failed load, without a text; they are made again."""
        if self._request.text is not None or self._request.marker is not None or end.code == 0:
            return set()
        with_video = [n for n in range(len(self.parts)) if self.has_video(n)]
        return set(with_video[:-1] if len(with_video) == len(self.parts) else with_video)

    def heard(self, data: bytes) -> None:
        """Pass the model's output on to the log, and scan its lines."""
        self._log.pass_on(self._quiet.cut(data))
        for line in self._output.cut(data):
            self._scan(line)

    def tick(self) -> None:
        """Take what is finished."""
        self._look(ended=False, well=False)
        self._samples.look()
        self._progress.tick()
        self._log.flush()

    def _scan(self, line: str) -> None:
        self._words.heard(line)
        says = self._says
        if self._loaded is None and _first(says.loaded, line):
            self._loaded = time.monotonic()
            self._tell()
        if begins := _first(says.begins, line):
            self._position.begins(begins)
        for number in self._position.mentioned(line):
            if number in self._given or self.has_video(number):
                self._position.written(number)
                self._look(ended=False, well=False)
        if _first(says.chunk, line):
            at = self._position.now
            self._chunks[at] = self._chunks.get(at, 0) + 1
            self._tell()
        elif step := _first(says.step, line):
            self._count_step(int(step.group("step")))
            self._tell(step.group("step"), step.group("steps"))
        if _first(says.ignores, line):
            return
        for kind, pattern, sentence in says.failures:
            if found := pattern.search(line):
                self._look(ended=False, well=False)  # the line may belong to the next part
                failure = Failure(kind, filled(sentence, found))
                self._lines.append((self._position.mark(), failure))
                return

    def _count_step(self, step: int) -> None:
        """Count a step; a lower step than before means a new chunk if no line marks chunks."""
        at = self._position.now
        if not self._says.chunk and step < self._steps.get(at, 0):
            self._chunks[at] = self._chunks.get(at, 0) + 1
        self._steps[at] = step

    def _tell(self, step: str = "", steps: str = "") -> None:
        group = self._group(self._position.now)
        if self._reached.issuperset(group):
            return  # the group's end was found before its lines were read
        at = group.start
        made = sum(self._chunks.get(n, 0) for n in group)
        sample = self.parts[at].sample
        chunk = self._samples.chunks_made(sample) + made + (1 if step else 0)
        doing = f", step {step}/{steps}" if step else ""
        chunk = min(chunk, sample.chunks)
        self._progress.tell(f"{self._place(at)} chunk {chunk}/{sample.chunks}{doing}")

    def _place(self, number: int) -> str:
        return self._samples.place(self.parts[number].sample)

    def _group(self, number: int) -> range:
        """Return the sub-batch of a part."""
        size = self._request.batch_size
        start = number // size * size
        return range(start, min(start + size, len(self.parts)))

    def _look(self, *, ended: bool, well: bool) -> None:
        """Take what is finished; `ended`: the model has ended; `well`: with exit code 0."""
        for number in range(len(self.parts)):
            if number not in self._given and (text := self._found(number, well)) is not None:
                before = self._texts.get(number)
                if before is None or before[0] != text:
                    self._texts[number] = (text, time.monotonic())
        for start in range(0, len(self.parts), self._request.batch_size):
            group = self._group(start)
            texts = {n - start: self._texts[n][0] for n in group if n in self._texts}
            if texts and not self._reached.issuperset(group):
                self._settle(group, self._whose(group, texts, ended, well))

    def _found(self, number: int, well: bool) -> str | None:
        """Return the text of a finished video; None if the video is not finished."""
        if not self.has_video(number):
            return None
        marker = self._request.marker
        if marker is not None and not self._path(marker, number).is_file():
            return None
        if self._request.text is None:
            self._position.there(number)
            return "" if well or marker is not None else None
        try:
            return self._path(self._request.text, number).read_text("utf-8", "replace")
        except OSError:
            return None

    def _prompt(self, number: int) -> str | None:
        return None if self._request.text is None else self.parts[number].sample.prompt

    def _whose(self, group: range, texts: dict[int, str], ended: bool, well: bool) -> Assigned:
        """Find the owners of a sub-batch's files, as far as they are known now."""
        now, last = time.monotonic(), max(self._texts)
        whole = [n for n in texts if group[n] < last or now - self._texts[group[n]][1] >= SETTLED_S]
        return assigned(
            [self._prompt(n) for n in group],
            texts,
            complete=ended or last > group[-1] or len(whole) == len(group),
            settled=whole,
            died=ended and not well and self._is_last(group),
            refused=self._may_be_refused(group),
        )

    def _is_last(self, group: range) -> bool:
        """Whether there is no sign that the model has come to a later sub-batch."""
        at = self._position
        later = any(number > group[-1] for number in self._texts)
        return not later and not (at.exact and at.now > group[-1])

    def _may_be_refused(self, group: range) -> bool:
        """Whether the guardrail may have dropped a part of a sub-batch."""
        at = self._position
        first = at.first_taken_for(group, self._texts)
        return any(f.kind == "blocked" and at.part_of(mark) >= first for mark, f in self._lines)

    def _settle(self, group: range, whose: Assigned) -> None:
        for number, owner in whose.videos.items():
            if group[number] not in self._given:
                self._given.add(group[number])
                self._take(group[number], group[owner], len(group))
        for owner, failure in whose.failed.items():
            if group[owner] not in self._reached:
                self._reached.add(group[owner])
                self._position.there(group[owner])
                self._progress.settle()
                self._samples.fail_part(self.parts[group[owner]], failure)

    def _take(self, number: int, owner: int, together: int) -> None:
        """Give the video of this number to its owner."""
        if owner in self._reached:
            return
        now = time.monotonic()
        start = self._group(owner).start
        began = max(self._last_made, self._loaded or self._started)
        began = self._group_began.setdefault(start, began)
        facts = {
            "seconds": (now - began) / together,
            "load_s": round(self._loaded - self._started, 1) if self._loaded else None,
            "load": self._number,
            "prompt_txt": self._prompt(owner) is not None,
        }
        self.made += 1
        self._reached.add(owner)
        self._position.there(owner)
        self._words.survived()
        self._last_made = now
        self._progress.settle()
        self._samples.take(self.parts[owner], self._path(self._request.video, number), facts)

    def _written_paths(self) -> Iterator[list[str]]:
        """Yield for each part the paths of its files as a line of the model writes them."""
        request = self._request
        patterns = [p for p in (request.video, request.text, request.marker) if p is not None]
        for number in range(len(self.parts)):
            paths = [self._path(pattern, number) for pattern in patterns]
            yield [str(path.relative_to(self._request.run)) for path in paths]

    def has_video(self, number: int) -> bool:
        """Whether a part has a video, also without a text that shows that the video is whole."""
        return bool(_size(self._path(self._request.video, number)))

    def _path(self, pattern: str, number: int) -> Path:
        name = self.parts[number].sample.run_id
        return self.folder / pattern.replace("{index}", str(number)).replace("{name}", name)


def folder_of(folder: str, number: int) -> str:
    """Return the output folder of a load."""
    return folder if number == 1 else f"{folder}.{number}"


def _first(patterns: Sequence[Pattern], line: str) -> re.Match[str] | None:
    return next((found for pattern in patterns if (found := pattern.search(line))), None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
