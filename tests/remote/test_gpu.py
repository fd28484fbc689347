"""What nvidia-smi says, on hosts that work and on hosts that do not."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.remote import gpu
from cosmos_pipelines.remote.gpu import GpuReader, Peak

LINE = "0, GPU-5a3b, 81559, 40123, 97, 64, 612.45, 580.65.06, NVIDIA H100 80GB HBM3"
VAGUE = "1, GPU-77, [N/A], [Not Supported], [Unknown Error], ERR!, [N/A], 580.65.06, Some, GPU"


@dataclass
class Completed:
    exit_code: int
    stdout: bytes
    stderr: bytes


def run(argv: list[str]) -> Completed:
    done = subprocess.run(argv, capture_output=True, check=False)
    return Completed(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name first on PATH, which says what `says` holds and counts its calls."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho x >>{tmp_path}/calls\ncat {tmp_path}/says\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "says"


def test_every_field_is_read() -> None:
    (found,) = gpu.parse(0, LINE + "\n").gpus
    assert found == gpu.Gpu(0, "GPU-5a3b", "NVIDIA H100 80GB HBM3", "580.65.06", 81559, 40123, 97,
                            64, 612.45)  # fmt: skip
    assert found.memory_free_mib == 41436


def test_what_the_driver_does_not_tell_is_none_and_the_name_may_hold_a_comma() -> None:
    first, second = gpu.parse(0, f"{LINE}\n{VAGUE}\n").gpus
    assert first.load_percent == 97
    assert second == gpu.Gpu(1, "GPU-77", "Some, GPU", "580.65.06", None, None, None, None, None)
    assert second.memory_free_mib is None


def test_a_gpu_that_must_be_reset_is_told_though_its_memory_has_values() -> None:
    row = "0, GPU-5a3b, 81559, 0, [GPU requires reset], [GPU requires reset], [N/A], 580.1, H100"
    (found,) = gpu.parse(0, row).gpus
    assert (found.fault, found.memory_used_mib, found.temperature_c) == (
        "GPU requires reset",
        0,
        None,
    )


def test_a_gpu_that_is_missing_in_the_list_is_told_beside_the_others() -> None:
    lost = "Unable to determine the device handle for GPU 0000:0B:00.0: Unknown Error"
    state = gpu.parse(0, f"{lost}\n{LINE}\n")
    assert len(state.gpus) == 1
    assert state.problem == lost


def test_signs_of_a_failing_gpu_are_read_whatever_the_driver_knows() -> None:
    said = """temperature.gpu 0, 41
temperature.gpu 1, [GPU requires reset]
ecc.errors.uncorrected.volatile.total 0, 0
ecc.errors.uncorrected.volatile.total 1, 301
ecc.errors.uncorrected.volatile.total 2, [N/A]
remapped_rows.pending 2, Yes
retired_pages.pending 0, [N/A]
gpu_recovery_action Field "gpu_recovery_action" is not a valid field to query.
gpu_recovery_action 0, None
gpu_recovery_action 3, Drain and Reset
"""
    assert gpu.parse_health(said) == {
        "GPU 1": ["GPU requires reset", "301 uncorrected ECC errors since its start"],
        "GPU 2": ["a repair of its memory waits for a reset"],
        "GPU 3": ["the driver asks for: Drain and Reset"],
    }


@pytest.mark.parametrize(
    ("exit_code", "stdout", "stderr", "problem"),
    [
        (127, "", "sh: 1: nvidia-smi: not found", "nvidia-smi is not installed"),
        (6, "No devices were found\n", "", "finds no GPU"),
        (0, "", "", "finds no GPU"),
        (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", "",
         "couldn't communicate"),
        (18, "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 5",
         "", "version mismatch NVML library"),
        (255, "", "", "exit code 255"),
    ],
)  # fmt: skip
def test_a_host_without_a_working_gpu_is_an_answer(
    exit_code: int, stdout: str, stderr: str, problem: str
) -> None:
    state = gpu.parse(exit_code, stdout, stderr)
    assert state.gpus == ()
    assert problem in (state.problem or "")
    assert "\n" not in (state.problem or "")


@given(st.integers(0, 255), st.text() | st.text(",[]N/A0123456789.\n "), st.text())
def test_no_words_of_the_driver_crash_us(exit_code: int, stdout: str, stderr: str) -> None:
    state = gpu.parse(exit_code, stdout, stderr)
    assert bool(state.gpus) != bool(state.problem)


def test_the_driver_is_asked_once_a_second(nvidia_smi: Path) -> None:
    now = 100.0
    nvidia_smi.write_text(LINE)
    reader = GpuReader(run, clock=lambda: now)
    first = reader.read()
    nvidia_smi.write_text(LINE.replace("40123", "50000"))
    now += 0.9
    assert reader.read() is first
    now += 0.1
    assert reader.read().gpus[0].memory_used_mib == 50000
    assert (nvidia_smi.parent / "calls").read_text().count("x") == 2


def test_a_broken_driver_is_read_without_an_exception(nvidia_smi: Path) -> None:
    nvidia_smi.write_bytes(b"\xff NVML: \xfe\n")
    assert "NVML" in (GpuReader(run).read().problem or "")


def test_the_peak_is_of_all_looks_and_of_the_runs_own_gpus() -> None:
    peak = Peak()
    assert peak.as_dict() == {}
    other = LINE.replace("0, GPU", "1, GPU").replace("40123", "80000")
    for used, load in (("100", "50"), ("300", "10"), ("200", "70")):
        line = LINE.replace("40123", used).replace("97", load)
        peak.add(gpu.parse(0, f"{line}\n{other}"), indices=[0])
    peak.add(gpu.parse(9, "broken"))
    assert peak.as_dict() == {"gpu_peak_memory_mib": 300, "gpu_peak_load_percent": 70}
