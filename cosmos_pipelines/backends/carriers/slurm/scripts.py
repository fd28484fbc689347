"""The programs of the Slurm carrier on a login node: shell with constant text, and arguments. Pure.

`shell` says what is kept about a job in `remote_dir`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cosmos_pipelines.backends.carriers.slurm import shell


@dataclass(frozen=True)
class Scripts:
    """The programs for the jobs in one directory of a cluster."""

    root: str
    """`remote_dir`; relative to the login user's home unless absolute."""
    bin: str = ""
    """The directory of sbatch; empty: as in the login user's PATH."""
    beat_s: int = 5
    """Seconds between two beats of a job."""
    poll_s: int = 10
    """Seconds between two questions to Slurm while a job waits or is silent."""

    def start(self, name: str, *words: str) -> list[str]:
        """Submit a job: its project, order, runs, token and script, then options of sbatch."""
        return self._program(shell.START, name, *words)

    def look(self, name: str) -> list[str]:
        """Print lines of a key and a value: state, order, job, age, slurm."""
        return self._program(shell.LOOK, name)

    def state(self, name: str) -> list[str]:
        """Print the `State`."""
        return self._program(shell.STATE, name)

    def wait(self, name: str) -> list[str]:
        """Return when the job has ended."""
        return self._program(shell.WAIT, name)

    def stop(self, name: str, grace_s: int) -> list[str]:
        """Ask the job to end, and wait `grace_s` for it."""
        return self._program(shell.STOP, name, str(grace_s))

    def kill(self, name: str) -> list[str]:
        """End the job at once."""
        return self._program(shell.KILL, name)

    def remove(self, name: str) -> list[str]:
        """Forget an ended job."""
        return self._program(shell.REMOVE, name)

    def words(self, name: str, lines: int) -> list[str]:
        """Print the last lines of what the job printed before run.sh, and Slurm's facts."""
        return self._program(shell.WORDS, name, str(lines))

    def running(self, project: str) -> list[str]:
        """Print the ids of a project's orders whose jobs wait or run."""
        return self._program(shell.RUNNING, "", project)

    def list_orders(self) -> list[str]:
        """Print a line for each known order: state|order|project|runs|end in seconds since 1970."""
        return self._program(shell.LIST, "")

    def needs(self, partition: str, image: str) -> list[str]:
        """Print the partition's facts; fail if sbatch, image file or partition are missing."""
        return self._program(shell.NEEDS, "", partition, image)

    def trial(self, *options: str) -> list[str]:
        """Let Slurm take a job with these options of sbatch, and remove it before it starts."""
        return self._program(shell.TRIAL, "", *options)

    def probe(self, token: str, wait_s: int, *options: str) -> list[str]:
        """Let a tiny job write a file; print `seen NODE`, or `waits` or `unseen` with its facts."""
        return self._program(shell.PROBE, "", token, str(wait_s), *options)

    def facts(self, name: str) -> list[str]:
        """Print what may explain a failure."""
        return self._program(shell.FACTS, name)

    def _program(self, text: str, name: str, *words: str) -> list[str]:
        fixed = (self.root, self.bin, str(self.beat_s), str(self.poll_s), name)
        return ["sh", "-c", shell.COMMON + text, "cosmos", *fixed, *words]
