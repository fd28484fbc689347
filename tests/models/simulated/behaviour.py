"""What a simulator is told to do: words in a prompt, or COSMOS_SIMULATE for every sample.

[sim:NAME ARGUMENT]            anywhere in a prompt, as often as wanted
COSMOS_SIMULATE=NAME ARG; ...  the same for all samples

blocked [WORD]           the text guardrail refuses the prompt because of WORD
video_blocked            the video guardrail refuses what was made, after all the work
oom                      PyTorch's out-of-memory error in the first chunk
lost_rank N              rank N fails with a communication error, the others wait for it
hang | stubborn          sleeps in the first chunk; the second one ignores TERM
die                      rank 0 kills itself (signal 9) in the first chunk
hostkill                 the host's memory ran out while the text encoder was read: the
                         launcher and all ranks are killed (signal 9)
exit N                   ends with N in the first chunk
slow S                   S seconds a denoising step
wrong_size | short       a video of half the width and height, of half the frames
no_text                  a video without its text
lie                      says that it saved video and text; there is neither
missing_checkpoint FILE  FILE below the checkpoints is not there, found while loading
gated                    the hub refuses a gated repository, while loading
unknown_error TEXT       RuntimeError: TEXT in the first chunk
same | raise | empty     for the prompt upsampler: answers the input, fails, answers nothing
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from . import ranks

KNOWN = {"blocked", "video_blocked", "oom", "lost_rank", "hang", "stubborn", "die", "hostkill",
         "exit", "slow", "wrong_size", "short", "no_text", "lie", "missing_checkpoint", "gated",
         "unknown_error", "same", "raise", "empty"}  # fmt: skip
LONGEST_SLEEP_S = 300  # a sleeper that everybody forgot ends by itself

Told = dict[str, str]


def told(prompt: str | None) -> Told:
    """Name and argument of everything that this sample shall do."""
    said = re.findall(r"\[sim:([^\]]*)\]", prompt or "")
    said += os.environ.get("COSMOS_SIMULATE", "").split(";")
    found = {}
    for name, _, argument in (words.strip().partition(" ") for words in said if words.strip()):
        if name not in KNOWN:
            sys.exit(
                f"SIMULATOR: no such behaviour: {name!r}; there are {', '.join(sorted(KNOWN))}"
            )
        found[name] = argument.strip()
    return found


def foreign(name: str, base: type[Exception] = RuntimeError) -> type[Exception]:
    """An exception that a traceback shows under another library's name, like `torch.X`."""
    module, _, short = name.rpartition(".")
    return type(short, (base,), {"__module__": module})


OutOfMemory = foreign("torch.OutOfMemoryError")
LostRank = foreign("torch.distributed.DistBackendError")
Gated = foreign("huggingface_hub.errors.GatedRepoError", OSError)


def missing(path: str) -> FileNotFoundError:
    """What `open` says about a file that is not there."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def at_load(everything: Iterable[Told], checkpoint_dir: str, gated_repo: str) -> None:
    """Fail as told by any sample while the model is being loaded."""
    for sample in everything:
        if "missing_checkpoint" in sample:
            raise missing(str(Path(checkpoint_dir, sample["missing_checkpoint"])))
        if "gated" in sample:
            raise Gated(
                "403 Client Error. (Request ID: Root=1-SIMULATED)\n\n"
                f"Cannot access gated repo for url https://huggingface.co/{gated_repo}"
                "/resolve/main/config.json.\n"
                f"Access to model {gated_repo} is restricted and you are not in the authorized "
                f"list. Visit https://huggingface.co/{gated_repo} to ask for access."
            )


def at_text_encoder(sample: Told) -> None:
    """Die as told where the largest file is read into the host's memory."""
    if "hostkill" not in sample:
        return
    words = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().split(b"\0")
    if words[1:2] and words[1].endswith(b"/torchrun"):  # unless another rank was here before
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def at_sampling(sample: Told) -> None:
    """Fail as told in the first chunk of a sample."""
    if "oom" in sample:
        raise OutOfMemory(
            "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of "
            "79.11 GiB of which 1.46 GiB is free. Including non-PyTorch memory, this process has "
            "77.64 GiB memory in use. If reserved but unallocated memory is large try setting "
            "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
        )
    if "lost_rank" in sample:
        if ranks.rank() == int(sample["lost_rank"] or 0):
            raise LostRank("NCCL error: remote process exited or there was a network error")
        sleep_for_ever(stubborn=False)
    if "hang" in sample or "stubborn" in sample:
        sleep_for_ever("stubborn" in sample)
    if "die" in sample and ranks.rank() == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exit" in sample:
        sys.exit(int(sample["exit"] or 1))
    if "unknown_error" in sample:
        raise RuntimeError(sample["unknown_error"])


def denoise(sample: Told, steps: int) -> None:
    """Take as long as told for the steps of one chunk."""
    time.sleep(float(sample.get("slow") or 0) * steps)


def sleep_for_ever(stubborn: bool) -> NoReturn:
    """Sleep until a signal ends us; nobody's orphan sleeps longer than `LONGEST_SLEEP_S`."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(LONGEST_SLEEP_S)
    sys.exit("SIMULATOR: slept long enough")
