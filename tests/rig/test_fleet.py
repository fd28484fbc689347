"""The rig: the promises that other tests rely on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.rig.fleet import Fleet
from tests.rig.host import Host, run, until


def test_a_host_sees_nothing_of_this_machine_but_its_programs(gpu1: Host) -> None:
    here = Path(__file__).resolve()
    assert not (gpu1.root / str(here).lstrip("/")).exists()
    assert sorted(gpu1.console("ls", "/home").split()) == [b"nobodyd", b"ops"]
    assert gpu1.console("hostname").strip() == b"gpu1"
    assert len(gpu1.processes("pytest")) == 0


def test_two_hosts_reach_each_other_by_address(gpu1: Host, gpu2: Host) -> None:
    answer = gpu1.console("ssh-keyscan", "-t", "ed25519", gpu2.address)
    key = gpu2.console("cat", "/system/ssh/host_ed25519.pub").split()[1]
    assert key in answer


def test_a_power_cut_keeps_the_disks_and_ends_the_containers(gpu1: Host) -> None:
    image = gpu1.image("busybox")
    made = gpu1.docker("run", "--detach", "--pull=never", image, "sleep", "600")
    (gpu1.root / "data/kept").write_text("yes")
    gpu1.console("sync")
    gpu1.power_off()
    assert not gpu1.port_open(22)
    gpu1.boot()
    assert (gpu1.root / "data/kept").read_text() == "yes"
    assert gpu1.docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", made) == (
        "exited 255"
    )
    assert gpu1.image("busybox") == image


def test_containers_outlive_the_daemon_only_with_live_restore(gpu1: Host) -> None:
    image = gpu1.image("busybox")
    state = ["inspect", "--format", "{{.State.Status}}"]
    made = gpu1.docker("run", "--detach", "--pull=never", image, "sleep", "600")
    gpu1.restart_docker(live_restore=True, crash=True)
    assert gpu1.docker(*state, made) == "running"
    gpu1.restart_docker(live_restore=False, crash=True)
    assert gpu1.docker(*state, made) == "exited"


def test_a_cut_link_carries_nothing_until_it_is_mended(gpu1: Host) -> None:
    gpu1.cut()
    assert not gpu1.port_open(22)
    gpu1.mend()
    until(lambda: gpu1.port_open(22), "the mended link")


def test_a_full_disk_takes_no_more_than_was_left(gpu1: Host) -> None:
    gpu1.fill_disk(leave_bytes=1 << 20)
    free = int(gpu1.console("stat", "-f", "-c", "%a", "/data")) * 4096
    assert free <= 1 << 20
    gpu1.free_disk()
    assert int(gpu1.console("stat", "-f", "-c", "%a", "/data")) * 4096 > 1 << 30


def test_the_simulated_gpu_answers_on_the_host_and_in_a_container(gpu1: Host) -> None:
    ask = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    expected = "Simulated H100 80GB, 81559"
    assert gpu1.console(*ask).decode().strip() == expected
    image = gpu1.image("busybox")
    options = ["--rm", "--pull=never", "--gpus", "all", "--ulimit", "memlock=-1", "--ipc=host"]
    assert gpu1.docker("run", *options, image, *ask) == expected


def test_the_preview_image_computes_what_this_machine_computes(gpu1: Host) -> None:
    image = gpu1.image("preview")
    program = (
        "import hashlib, numpy as np, av, PIL.Image as I;"
        "a = np.sin(np.arange(300 * 200 * 3.0)).reshape(200, 300, 3);"
        "p = I.fromarray((a * 255).astype('uint8')).resize((640, 352), I.Resampling.LANCZOS);"
        "f = av.VideoFrame.from_image(p).reformat(format='yuv420p');"
        "c = av.CodecContext.create('libx264', 'w'); c.width, c.height = 640, 352;"
        "c.pix_fmt = 'yuv420p'; c.time_base = '1/24';"
        "c.options = {'threads': '1'};"
        "out = b''.join(bytes(x) for x in c.encode(f) + c.encode(None));"
        "print(hashlib.sha256(out).hexdigest(), len(out))"
    ).replace("'1/24'", "__import__('fractions').Fraction(1, 24)")
    here = run([sys.executable, "-c", program]).decode().strip()
    there = gpu1.docker(
        "run", "--rm", "--pull=never", "-u", "2001:2001", image, "python3", "-c", program
    )
    assert there == here


def test_a_fleet_whose_session_was_killed_ends_and_is_swept(fleet: Fleet) -> None:
    program = (
        "import sys, time; from tests.rig.fleet import Fleet; f = Fleet(1); f.start();"
        "h = f.hosts['gpu1']; "
        "print(h.address, h.link.name, h._machine.pid, flush=True); time.sleep(600)"
    )
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root)
    assert child.stdout is not None
    address, link, pid = child.stdout.readline().decode().split()
    assert address.startswith("10.77.") and address != fleet.hosts["gpu1"].address
    child.kill()
    child.wait()
    until(lambda: not Path("/proc", pid).exists(), "the end of its host")
    # The next session in this slot removes the remains.
    again = Fleet(1)
    try:
        assert again.hosts["gpu1"].link.name == link
        assert link not in run(["ip", "link"]).decode()
        assert not Path("/run/netns", link).exists()
    finally:
        again.stop()
