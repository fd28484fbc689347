"""What `cosmos doctor` says of a host's GPUs. Pure."""

from __future__ import annotations

from cosmos_pipelines.backends.checks import Finding, fail, ok, warn
from cosmos_pipelines.engines.gpu_faults import RESET, gpu_fault
from cosmos_pipelines.remote.gpu import UNUSABLE, Gpu, GpuState, parse_health
from cosmos_pipelines.settings_hosts import Place


def listed(state: GpuState, place: Place, *, needs_gpu: bool) -> Finding:
    """Report the GPUs that `nvidia-smi` lists, and those of the settings that it does not list."""
    if state.gpus and state.problem:
        return fail(*_of_fault(state.problem))
    if state.gpus:
        return _missing(state, place) or ok("; ".join(_words(one) for one in state.gpus))
    problem = state.problem or "no GPU"
    see = f"ssh {place.address} nvidia-smi"
    do = f"See `{see}`; on the host, `sudo dmesg | grep NVRM` shows the reason."
    if "is not installed" in problem:
        do = "Install the NVIDIA driver there (`sudo ubuntu-drivers install`) and reboot."
        if not needs_gpu:
            return warn(problem, f"Only simulated engines can run on this host. {do}")
    elif gpu_fault(problem):
        return fail(*_of_fault(problem))
    return fail(problem, do)


def health(answer: str) -> Finding:
    """Whether a GPU must be reset, or has counted errors of its memory: see `health_argv`."""
    wrong = parse_health(answer)
    if not wrong:
        return ok("no GPU asks for a reset, none has uncorrected memory errors")
    found = "; ".join(f"{name}: {', '.join(signs)}" for name, signs in wrong.items())
    do = f"{RESET[0].upper()}{RESET[1:]}; if it comes back, the GPU must be replaced."
    unusable = any(sign in UNUSABLE for signs in wrong.values() for sign in signs)
    return fail(found, do) if unusable else warn(found, do)


def _missing(state: GpuState, place: Place) -> Finding | None:
    """Return which GPUs of the settings the host does not have; None if it has all."""
    there = [one.index for one in state.gpus]
    missing = [] if place.gpus == "all" else sorted(set(place.gpus) - set(there))
    if not missing:
        return None
    are = "is" if len(missing) == 1 else "are"
    has = ", ".join(map(str, there))
    what = f"GPU {', '.join(map(str, missing))} {are} not there: the host has {has}"
    return fail(what, f"Set gpus in {place.table} of cosmos.toml.")


def _of_fault(problem: str) -> tuple[str, str]:
    """Return what failed and what to do for a sentence of nvidia-smi."""
    fault = gpu_fault(problem)
    return problem, fault[1] if fault else "See `nvidia-smi` there."


def _words(device: Gpu) -> str:
    def gib(mib: int | None) -> str:
        return "?" if mib is None else f"{mib / 1024:.1f}"

    free, total = gib(device.memory_free_mib), gib(device.memory_total_mib)
    return f"{device.index}: {device.name}, {free} of {total} GiB free, driver {device.driver}"
