"""The Dockerfiles of `gpu_scripts` to their last line, on a stand-in for their base image.

Nothing is downloaded: apt-get, pip and uv only say what they were asked. What this shows is that
each step is a command that a shell understands, and what the image consists of in the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from tests.rig.host import Host

STUB = """\
FROM cosmos-rig/busybox:1
RUN for name in apt-get pip; do \\
        printf '#!/bin/sh\\necho "$(basename "$0") $*" >>/asked\\n' >/usr/bin/$name; \\
        chmod 755 /usr/bin/$name; \\
    done; mkdir -p /lib64 /usr/local/bin /usr/lib/python3/dist-packages
COPY uv /uv
"""
UV = """\
#!/bin/sh
echo "uv $*" >>/asked
mkdir -p /opt/venv/bin /opt/python
case $* in
*hf*)
    mkdir -p /opt/hf/bin
    printf '#!/bin/sh\\necho "hf $*"\\n' >/opt/hf/bin/hf
    chmod 755 /opt/hf/bin/hf
    ;;
esac
"""
CONTEXT = {
    "requirements_docker.txt": "torch\n",
    "pyproject.toml": "",
    "uv.lock": "",
    ".python-version": "3.10\n",
    "packages/x/pyproject.toml": "",
    "secret_code.py": "",
}


@pytest.fixture
def stub(gpu1: Host) -> Iterator[Host]:
    """A host with a base image whose programs are stand-ins."""
    gpu1.image("busybox")
    place = gpu1.root / "data" / "stub"
    place.mkdir()
    (place / "uv").write_text(UV)
    (place / "uv").chmod(0o755)
    for name, text in CONTEXT.items():
        file = gpu1.root / "data" / "context" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    gpu1.docker("build", "--file=-", "--tag=stub:1", "/data/stub", input=STUB.encode())
    yield gpu1
    gpu1.console("sh", "-c", "docker rmi -f $(docker images -q 'made') stub:1 >/dev/null 2>&1 ||:")


def made(host: Host, dockerfile: str) -> str:
    """Build it; what its programs were asked for."""
    arguments = ["--build-arg=BASE=stub:1", "--build-arg=UV=stub:1"]
    text = (SCRIPTS / "images" / dockerfile).read_bytes()
    host.docker("build", "--file=-", "--tag=made:1", *arguments, "/data/context", input=text)
    return inside(host, "cat", "/asked")


def inside(host: Host, *argv: str) -> str:
    """What a program says in the image that was made, as a user of no name."""
    user = ["--user=2001:2001", "--network=none", f"--entrypoint={argv[0]}"]
    return host.docker("run", "--rm", "--pull=never", *user, "made:1", *argv[1:])


def configuration(host: Host) -> dict[str, object]:
    """The image's own settings."""
    told = host.docker("image", "inspect", "--format={{json .Config}}", "made:1")
    return dict(json.loads(told))


def test_transfer1_is_built_in_the_order_of_nvidias_own(stub: Host) -> None:
    asked = made(stub, "Dockerfile.transfer1").splitlines()
    installs = [line for line in asked if line.startswith("pip install")]
    assert "-r /tmp/requirements.txt" in installs[0]
    assert installs[-1].endswith("/torchvision-0.22.1+cu128-cp312-cp312-manylinux_2_28_x86_64.whl")
    assert len(installs) == 9
    assert any("ffmpeg" in line for line in asked if line.startswith("apt-get install"))
    assert not configuration(stub)["Entrypoint"]


@pytest.mark.parametrize(
    ("dockerfile", "call"),
    [
        ("Dockerfile.transfer2_5", ["hf>=1.3.5", "download", "a/b"]),
        ("Dockerfile.cosmos3", ["--with", "click", "hf@1.16.4", "download", "a/b"]),
    ],
)
def test_what_a_lock_file_names_is_installed_at_build_time_where_all_can_read_it(
    stub: Host, dockerfile: str, call: list[str]
) -> None:
    made(stub, dockerfile)
    assert inside(stub, "/usr/local/bin/uvx", *call) == "hf download a/b"
    environment = configuration(stub)["Env"]
    assert isinstance(environment, list)
    assert any(word.startswith("PATH=/opt/venv/bin:") for word in environment)
    assert not configuration(stub)["Entrypoint"]
    assert "secret_code.py" not in inside(stub, "/bin/find", "/opt", "/tmp")
    history = stub.docker("history", "--no-trunc", "--format={{.CreatedBy}}", "made:1")
    assert "token" not in history.lower()


def test_code_for_the_newest_gpus_is_compiled_with_the_images_own_ptxas(stub: Host) -> None:
    made(stub, "Dockerfile.cosmos3")
    assert "TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas" in configuration(stub)["Env"]
