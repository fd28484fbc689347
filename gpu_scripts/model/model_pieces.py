"""Cut a source into pieces for the model, and join the model's results into one video.

Runs on the GPU side: Python 3.10 or newer, its standard library, and ffmpeg.

Every frame is counted: pieces are cut without loss, and a file with a wrong number of frames is an
error.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from model_files import FULL, whole_file
from model_judging import Failure
from model_log import one_line
from model_needs import Refused
from model_process import Processes
from model_request import Sample

LOSSLESS = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0")
JOINED = ("-c:v", "libx264", "-preset", "medium", "-crf", "12", "-pix_fmt", "yuv420p")


class PieceFailed(Exception):
    """A video could not be cut or joined."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.failure = Failure(kind, sentence)


class Ffmpeg:
    """Cuts and joins videos at exact frame numbers."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._ffmpeg = shutil.which("ffmpeg") or _bundled()
        self._ffprobe = shutil.which("ffprobe")

    def split(self, sample: Sample, run: Path) -> None:
        """Cut a sample's source into its pieces, in one pass.

        Raises:
            PieceFailed: the source cannot be read, or has another length than the request says.
        """
        paths = [run / sample.piece_path(k) for k in range(len(sample.pieces))]
        paths[0].parent.mkdir(exist_ok=True)
        copies = "".join(f"[c{k}]" for k in range(len(paths)))
        filters = [f"[0:v:0]split={len(paths)}{copies}"]
        words = ["-i", str(run / sample.source)]
        outputs: list[str] = []
        for k, (start, end) in enumerate(sample.pieces):
            cut = f"trim=start_frame={start}:end_frame={end}"
            filters.append(f"[c{k}]{cut},{_steady(sample.fps)}[p{k}]")
            outputs += ["-map", f"[p{k}]", "-r", str(sample.fps), *LOSSLESS, str(paths[k])]
        self._run([*words, "-filter_complex", ";".join(filters), *outputs], "validation", "cut")
        for k, (start, end) in enumerate(sample.pieces):
            frames = self.frames(paths[k])
            if frames != end - start:
                problem = f"{sample.source} is not as long as the request says"
                detail = f"its frames {start} to {end - 1} are {frames}, not {end - start}"
                raise PieceFailed("validation", f"{problem}: {detail}.")

    def join(self, sample: Sample, made: Sequence[Path], output: Path) -> None:
        """Join the last frames of each finished piece into one video, whole or not at all.

        The video keeps the colour tags of the pieces, which name the matrix of the model's writer.

        Raises:
            PieceFailed: a piece has a wrong number of frames, or the video cannot be written.
        """
        for k, (start, end) in enumerate(sample.pieces):
            frames = self.frames(made[k])
            if frames != end - start:
                problem = f"The model made {frames} frames of piece {k + 1} of {len(made)}"
                raise PieceFailed("model_failed", f"{problem}, not {end - start}.")
        words: list[str] = []
        filters: list[str] = []
        for k, (start, end) in enumerate(sample.pieces):
            words += ["-i", str(made[k])]
            filters.append(
                f"[{k}:v:0]trim=start_frame={end - start - sample.keep[k]},"
                f"{_steady(sample.fps)},setsar=1[k{k}]"
            )
        kept = "".join(f"[k{k}]" for k in range(len(made)))
        filters.append(f"{kept}concat=n={len(made)}:v=1:a=0,{_steady(sample.fps)}[v]")
        words += ["-filter_complex", ";".join(filters), "-map", "[v]", "-r", str(sample.fps)]
        with whole_file(output) as part:
            words += [*JOINED, "-movflags", "+faststart", "-f", "mp4", str(part)]
            self._run(words, "model_failed", "joined")
            frames = self.frames(part)
            if frames != sum(sample.keep):
                problem = f"The joined video has {frames} frames, not {sum(sample.keep)}"
                raise PieceFailed("model_failed", f"{problem}.")

    def clip(self, source: Path, frames: int, longest: int, target: Path) -> None:
        """Write the first frames of a video, the longer side `longest` pixels, both sides even.

        Raises:
            PieceFailed: the video cannot be read.
        """
        longest -= longest % 2
        sides = f"if(gte(iw,ih),{longest},-2)", f"if(gte(iw,ih),-2,{longest})"
        size = f"scale=w='{sides[0]}':h='{sides[1]}',setsar=1"
        target.parent.mkdir(parents=True, exist_ok=True)
        words = ["-i", str(source), "-map", "0:v:0", "-vf", size, "-frames:v", str(frames)]
        self._run([*words, *LOSSLESS, "-pix_fmt", "yuv420p", str(target)], "validation", "read")

    def frames(self, path: Path) -> int:
        """Return the number of decoded frames of a video; 0 if the video cannot be read."""
        if self._ffprobe:
            words = ["-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
            ran = self._processes.run(
                [self._ffprobe, "-v", "error", "-select_streams", "v:0", *words, str(path)]
            )
            found = re.findall(r"^(\d+),?$", ran.out, re.MULTILINE)
        else:
            words = ["-i", str(path), "-map", "0:v:0", "-f", "null", "-progress", "-", os.devnull]
            ran = self._processes.run([self._ffmpeg, "-v", "error", "-nostdin", *words])
            found = re.findall(r"^frame=(\d+)$", ran.out, re.MULTILINE)
        return int(found[-1]) if found else 0

    def _run(self, words: Sequence[str], kind: str, done: str) -> None:
        ran = self._processes.run([self._ffmpeg, "-v", "error", "-nostdin", "-y", *words])
        if ran.code:
            lines = [line for line in ran.err.splitlines() if line.strip()] or ["no reason given"]
            if any(os.strerror(number) in ran.err for number in FULL):
                raise PieceFailed("disk_full", "No space left where the model runs.")
            why = one_line("; ".join(dict.fromkeys(lines[:2] + lines[-1:])))
            raise PieceFailed(kind, f"The video could not be {done}: {why}.")


def _steady(fps: Fraction) -> str:
    """Return a filter that numbers the frames again, at a constant rate."""
    return f"settb={fps.denominator}/{fps.numerator},setpts=N"


def _bundled() -> str:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe  # type: ignore[import-not-found,unused-ignore]

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        problem = "ffmpeg is not on PATH, and imageio_ffmpeg has no ffmpeg"
        raise Refused("launch_failed", f"{problem}: install ffmpeg in the image") from None
