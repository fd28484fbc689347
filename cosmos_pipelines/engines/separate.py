"""The common part of engines with one JSON document for each sample. Pure.

Samples of an order must agree only in settings that the document does not have; seeds, steps and
lengths may differ.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from cosmos_pipelines.engines.base import Cost
from cosmos_pipelines.engines.controls import controls_of, kind_of, transfer_of
from cosmos_pipelines.engines.cosmos import Cosmos, Needs, Placed, one_key
from cosmos_pipelines.engines.geometry import chunk_notes, chunks_of
from cosmos_pipelines.operations.base import CONTROLS, Expected, Job, Order, as_document
from cosmos_pipelines.operations.transfer import Transfer


class Separate(Cosmos):
    """An engine that reads several documents and makes one sample at a time in one model load."""

    chunk: ClassVar[int]
    """Frames that are generated at once."""
    produces: ClassVar[Mapping[str, str | None]]
    """A sample's files below the model's output folder."""
    says: ClassVar[Mapping[str, Sequence[Any]]]
    """The meaning of the model's log lines."""

    @abstractmethod
    def _shared(self, job: Job) -> Hashable:
        """Return what all runs of an order must share, also runs of different control sets."""

    @abstractmethod
    def _spec(self, job: Job, placed: Placed, controls: Sequence[str]) -> dict[str, Any]:
        """Return a sample's document; `controls`: the controls of all samples of the order."""

    @abstractmethod
    def _expected(self, job: Job) -> Expected:
        """Return the file that the model must make."""

    @abstractmethod
    def _command(self, job: Job, specs: Sequence[str], order_id: str) -> list[str]:
        """Return the model's entry point with these documents; it writes below `{run}/made`."""

    @abstractmethod
    def _needs_of(self, jobs: Sequence[Job]) -> Needs:
        """Return what the host must have before the model is loaded."""

    def _environment(self, job: Job) -> Mapping[str, str]:  # noqa: ARG002
        """Return variables in addition to those of the set-up."""
        return {}

    def _in_turn(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs in the order in which the model makes them."""
        return list(jobs)

    def cost(self, job: Job) -> Cost:
        """See `Engine.cost`."""
        operation = transfer_of(self._settled(job))
        overlap = operation.num_conditional_frames or 0
        return Cost(
            chunks=chunks_of(frames_of(job), self.chunk, overlap),
            steps=operation.num_steps or 1,
            gpus=operation.num_gpus,
            kind=kind_of(job, operation),
        )

    def allowed_s(self, job: Job) -> int:
        """See `Engine.allowed_s`: an hour for loading, half an hour for each chunk."""
        return 3600 + 1800 * self.cost(job).chunks

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """See `Engine.compile`.

        Runs of different control sets come in one order only if the user asked for that.
        """
        jobs = [self._settled(job) for job in jobs]
        one_key(jobs, self._shared)
        wanted = {control for job in jobs for control in controls_of(transfer_of(job))}
        controls = [control for control in CONTROLS if control in wanted]
        placed, in_turn = Placed(".."), self._in_turn(jobs)
        documents = {
            spec_path(job): as_document(self._spec(job, placed, controls)) for job in in_turn
        }
        request = {
            "folder": "made",
            "lines": None,
            "produces": self.produces,
            "samples": [self._sample(job) for job in in_turn],
            "batch_size": 1,
            "needs": self._needs_of(jobs).model_dump(mode="json", exclude_none=True),
            "says": self.says,
        }
        command = self._command(jobs[0], [f"{{run}}/{path}" for path in documents], order_id)
        expected = [self._expected(job) for job in jobs]
        env = self._environment(jobs[0])
        return self._order(jobs, order_id, command, request, documents, placed, expected, env)

    def _settled(self, job: Job) -> Job:
        return job.model_copy(update={"operation": self.settled(job.operation)})

    def _sample(self, job: Job) -> dict[str, Any]:
        return {
            "run_id": job.run_id,
            "prompt": job.text,
            "output": f"outputs/{self._expected(job).name}",
            "chunks": self.cost(job).chunks,
            "spec": spec_path(job),
        }


def spec_path(job: Job) -> str:
    """Return the path of a sample's document below the run folder."""
    return f"specs/{job.run_id}.json"


def frames_of(job: Job) -> int:
    """Return the number of frames of the colour pass that are used."""
    operation = job.operation
    most = operation.max_frames if isinstance(operation, Transfer) else None
    return min(job.inputs["color"].frames, most or job.inputs["color"].frames)


def length_notes(operation: Transfer, job: Job, chunk: int) -> list[str]:
    """Say what the clip's length and its used part mean for cost and quality."""
    frames, whole = frames_of(job), job.inputs["color"].frames
    notes = [f"Only the first {frames} of {whole} frames are used."] if frames < whole else []
    overlap = operation.num_conditional_frames or 0
    return notes + chunk_notes(frames, chunk, overlap, "short clips are filled up by mirroring")
