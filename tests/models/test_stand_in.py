"""The stand-in does what it is told, so that tests of what follows from it can be trusted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.errors import UnknownId
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.operations import ControlWeights, Enhance, Job, Operation, Transfer, Upscale
from cosmos_pipelines.operations.base import Outcome, Video
from tests.support.stand_in_engine import StandIn, registered

RUN = "rs_" + "1" * 32
MATE = "rs_" + "2" * 32


@pytest.fixture
def color(tmp_path: Path) -> Video:
    path = tmp_path / "color.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(6):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    facts = {"width": 64, "height": 48, "frames": 6, "fps": "24"}
    size = path.stat().st_size
    return Video(path=str(path), sha256=sha256_of(path), size=size, **facts)


def jobs(color: Video, *texts: str) -> list[Job]:
    operation = Transfer(weights=ControlWeights(edge=0.5))
    return [
        Job(run_id=run_id, operation=operation, text=text, inputs={"color": color})
        for run_id, text in zip((RUN, MATE), texts, strict=False)
    ]


def play(
    tmp_path: Path, engine: StandIn, work: list[Job]
) -> tuple[LocalBackend, Outcome, str, Path]:
    backend = LocalBackend(tmp_path / "host")
    handle = backend.launch(engine.compile(work, work[0].run_id))
    log = b"".join(backend.follow(handle)).decode()
    return backend, backend.outcome(handle), log, Path(handle.run_dir) / "outputs"


def frames_of(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


def test_it_works_unless_told_otherwise(tmp_path: Path, color: Video) -> None:
    engine = StandIn()
    _, outcome, log, outputs = play(tmp_path, engine, jobs(color, "a street", "a road"))
    assert outcome.exit_code == 0
    assert set(outcome.outputs) == {f"{RUN}.mp4", f"{MATE}.mp4"}
    assert frames_of(outputs / f"{RUN}.mp4") == 6
    told = [p for line in log.splitlines() if (p := engine.progress(line))]
    assert [(p.done, p.total, p.run_id) for p in told[-1:]] == [(6, 6, MATE)]


@pytest.mark.parametrize(
    ("text", "kind", "exit_code", "mate_done"),
    [
        ("fail", "model_failed", 1, True),
        ("crash", "model_failed", 1, False),
        ("oom", "out_of_memory", 1, False),
        ("blocked: sword", "blocked", 0, True),
        ("lie", "output_missing", 0, True),
        ("die 3", "out_of_memory", 137, False),
    ],
)
def test_it_fails_as_it_is_told(
    tmp_path: Path, color: Video, text: str, kind: str, exit_code: int, mate_done: bool
) -> None:
    engine = StandIn()
    _, outcome, log, _ = play(tmp_path, engine, jobs(color, text, "fine"))
    assert outcome.exit_code == exit_code
    assert (f"{MATE}.mp4" in outcome.outputs) == mate_done
    assert engine.diagnose(outcome, log, RUN).kind == kind


def test_it_makes_wrong_videos_as_it_is_told(tmp_path: Path, color: Video) -> None:
    _, outcome, _, outputs = play(tmp_path, StandIn(), jobs(color, "short", "truncate"))
    assert outcome.exit_code == 0
    assert frames_of(outputs / f"{RUN}.mp4") == 3
    with pytest.raises(av.error.FFmpegError):
        frames_of(outputs / f"{MATE}.mp4")


@pytest.mark.parametrize("text", ["hang", "stubborn"])
def test_it_hangs_until_it_is_cancelled(tmp_path: Path, color: Video, text: str) -> None:
    backend = LocalBackend(tmp_path / "host")
    engine = StandIn()
    handle = backend.launch(engine.compile(jobs(color, text), RUN))
    assert any(b"\n" in chunk for chunk in backend.follow(handle))
    backend.cancel(handle, 0.2)
    assert engine.diagnose(backend.outcome(handle), "", RUN).kind == "cancelled"


@pytest.mark.parametrize(
    ("operation", "name", "source"),
    [(Enhance(), f"{RUN}.txt", "color"), (Upscale(), f"{RUN}.mp4", "video")],
)
def test_it_does_the_other_operations(
    tmp_path: Path, color: Video, operation: Operation, name: str, source: str
) -> None:
    job = Job(run_id=RUN, operation=operation, text="a street", inputs={source: color})
    _, outcome, _, _ = play(tmp_path, StandIn(), [job])
    assert list(outcome.outputs) == [name]


def test_it_is_an_engine_only_while_registered() -> None:
    with registered("hang", timeout_s=2) as engine:
        assert engine_named("stand_in") is engine
    with pytest.raises(UnknownId, match="no engine 'stand_in'"):
        engine_named("stand_in")
