"""The state of the samples over all loads of the model: made, failed, or still to make.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from model_files import Finished, move, not_written, sha256_of
from model_judging import Failure
from model_log import Log
from model_pieces import Ffmpeg, PieceFailed
from model_process import Stopped
from model_request import Part, Request, Sample

RECORD = "outputs/record.json"


class Samples:
    """Takes finished videos, and prints and records the end of each sample.

    Pieces are joined while the model goes on: a join takes minutes.
    """

    def __init__(self, request: Request, log: Log, ffmpeg: Ffmpeg | None) -> None:
        self._request = request
        self._log = log
        self._ffmpeg = ffmpeg
        self._finished = Finished(request.run, log.say)
        self._made: dict[str, dict[str, Any]] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._pieces: dict[str, dict[int, Path]] = {}
        self._joins: dict[Future[None], Sample] = {}
        self._pool = ThreadPoolExecutor(max_workers=1)
        self.loads = 0

    @property
    def all_made(self) -> bool:
        """Whether every sample was made."""
        return len(self._made) == len(self._request.samples)

    def open_parts(self) -> list[Part]:
        """Return the parts that are still to be made."""
        return [p for p in self._request.parts() if self._is_open(p)]

    def _is_open(self, part: Part) -> bool:
        run_id = part.sample.run_id
        if run_id in self._finished.failed or run_id in self._made:
            return False
        return part.piece is None or part.piece not in self._pieces.get(run_id, ())

    def place(self, sample: Sample) -> str:
        """Return the beginning of a log line about a sample."""
        of = len(self._request.samples)
        return f"[{sample.place}/{of}] {sample.run_id} {self._request.operation}:"

    def chunks_made(self, sample: Sample) -> int:
        """Return the number of a sample's chunks in its finished pieces."""
        pieces = len(self._pieces.get(sample.run_id, ()))
        return round(sample.chunks * pieces / len(sample.pieces)) if pieces else 0

    def take(self, part: Part, video: Path, facts: dict[str, Any]) -> None:
        """Take the video of a part; `facts`: its facts for the record."""
        sample = part.sample
        if not self._is_open(part):
            return
        known = self._facts.setdefault(sample.run_id, {"seconds": 0.0})
        known.update({**facts, "seconds": known["seconds"] + facts["seconds"]})
        if part.piece is None or len(sample.pieces) == 1:
            self._take_whole(sample, video)
            return
        pieces = self._pieces.setdefault(sample.run_id, {})
        pieces[part.piece] = video
        if len(pieces) == len(sample.pieces):
            paths = [pieces[k] for k in range(len(pieces))]
            assert self._ffmpeg is not None
            output = self._request.run / sample.output
            join = self._pool.submit(self._ffmpeg.join, sample, paths, output)
            self._joins[join] = sample

    def _take_whole(self, sample: Sample, video: Path) -> None:
        try:
            digest = sha256_of(video)
            move(video, self._request.run / sample.output)
        except OSError as e:
            self.fail(sample, not_written(e))
            return
        self._done(sample, {"model_sha256": digest})

    def _done(self, sample: Sample, more: dict[str, Any]) -> None:
        facts = self._facts[sample.run_id]
        self._made[sample.run_id] = {**facts, **more, "seconds": round(facts["seconds"], 1)}
        self._finished.add(sample.output, more.get("model_sha256"), self._made)
        seconds = f"{facts['seconds']:.1f} s"
        self._log.say(f"{self.place(sample)} done in {seconds}, {sample.output}")

    def fail(self, sample: Sample, failure: Failure) -> None:
        """Print and record why a sample will have no video, once."""
        if sample.run_id not in self._finished.failed and sample.run_id not in self._made:
            self._finished.fail(sample.run_id, failure)

    def fail_part(self, part: Part, failure: Failure) -> None:
        """Print and record why a sample will have no video because of one part."""
        if part.piece is not None and len(part.sample.pieces) > 1:
            which = f"Piece {part.piece + 1} of {len(part.sample.pieces)}"
            failure = failure._replace(sentence=f"{which}: {failure.sentence}")
        self.fail(part.sample, failure)

    def look(self) -> None:
        """Take the joined videos that are ready."""
        self._settle({join for join in self._joins if join.done()})

    def finish_joins(self) -> None:
        """Wait for all joins."""
        while self._joins:
            self._settle(wait(self._joins, timeout=0.2).done)  # signals are handled in between

    def _settle(self, joins: Collection[Future[None]]) -> None:
        for join in joins:
            sample = self._joins.pop(join)
            try:
                join.result()
            except PieceFailed as e:
                self.fail(sample, e.failure)
            except OSError as e:
                self.fail(sample, not_written(e))
            except Stopped:
                continue  # neither made nor failed, as all active samples
            else:
                self._done(sample, {})

    def close(self) -> None:
        """Take joined videos, drop unfinished joins, write the record."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._settle([join for join in self._joins if not join.cancelled()])
        self._joins.clear()
        self._finished.say_again()
        failed = self._finished.failed
        record = {"loads": self.loads, "samples": self._made, "failed": failed}
        self._finished.write(RECORD, record, "the times of the samples are not recorded")
