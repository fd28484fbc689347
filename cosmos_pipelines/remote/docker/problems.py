"""Why a Docker command failed, by what it prints on standard error, and what helps. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from cosmos_pipelines.errors import BackendError, ErrorKind

ProblemKind = Literal[
    "no_docker",
    "not_permitted",
    "daemon_down",
    "versions",
    "podman",
    "name_taken",
    "no_image",
    "no_gpu",
    "gpu_failed",
    "no_runtime",
    "no_container",
    "not_running",
    "bad_mount",
    "no_program",
    "disk_full",
    "other",
]


@dataclass(frozen=True)
class Problem:
    """Why a Docker command failed."""

    kind: ProblemKind
    message: str
    """One line, from Docker."""
    hint: str

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the run's error if the problem cannot be solved."""
        kinds: dict[str, ErrorKind] = {"disk_full": "disk_full", "no_container": "lost",
                                       "daemon_down": "unreachable",
                                       "gpu_failed": "gpu_lost"}  # fmt: skip
        return kinds.get(self.kind, "launch_failed")

    def error(self, host: str) -> BackendError:
        """Return the error to raise if the problem cannot be solved."""
        return BackendError(self.error_kind, f"Docker on {host}: {self.message}", hint=self.hint)


_PROBLEMS: Final[tuple[tuple[str, ProblemKind, str], ...]] = (
    (r"no space left on device|disk quota exceeded", "disk_full",
     "Free some space on the host; `docker system df` there lists what uses it."),
    (r"client version \S+ is too (old|new)|API version \S+ is not supported by this client",
     "versions",
     "Docker's client and daemon on the host are too far apart: update the older one; is "
     "DOCKER_API_VERSION set there?"),
    (r"permission denied.*(docker\.sock|docker daemon|docker API)", "not_permitted",
     "Add the user to the host's group docker (`sudo usermod -aG docker USER`), log in again."),
    (r"connect to the docker (daemon|API) at (tcp|ssh|http)|error during connect.* dial tcp",
     "daemon_down",
     "Docker's client on the host asks a daemon elsewhere: see `docker context ls` and DOCKER_HOST "
     "there."),
    (r"cannot connect to the docker daemon|is the docker daemon running|error during connect|"
     r"failed to connect to the docker API|connection refused.*docker|"
     r"docker daemon is not running", "daemon_down",
     "Start Docker on the host: `sudo systemctl start docker`."),
    (r"the container name .* is already in use", "name_taken",
     "A container of this name exists already; look at that container."),
    (r"nvml error: driver/library version mismatch", "gpu_failed",
     "The driver was updated while the host ran: reboot the host."),
    (r"nvml error: driver not loaded", "gpu_failed",
     "Load the NVIDIA driver on the host (`sudo modprobe nvidia`), or reboot the host."),
    (r"nvidia-container-cli: (initialization|detection) error", "gpu_failed",
     "See `nvidia-smi` on the host; reset the GPU (`sudo nvidia-smi --gpu-reset -i N`) or reboot."),
    (r"nvidia-container-cli: device error: .*unknown device", "no_gpu",
     "The host has no such GPU: see `nvidia-smi -L` there, and gpus in [docker] of cosmos.toml."),
    (r"unresolvable CDI devices", "no_gpu",
     "Describe the GPUs on the host anew: "
     "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`; then restart Docker."),
    (r"could not select device driver|nvidia-container-cli|nvml error|cdi device|"
     r"failed to discover gpu", "no_gpu",
     "Install nvidia-container-toolkit on the host, restart Docker, and see `nvidia-smi` there."),
    (r"unknown or invalid runtime name|unknown runtime", "no_runtime",
     "Install nvidia-container-toolkit on the host and restart Docker."),
    (r"no such image|unable to find image|manifest unknown|pull access denied|"
     r"repository does not exist|no such object.*sha256", "no_image",
     "`docker pull` or `docker load` the image there; for NVIDIA's models: `cosmos host setup`."),
    (r"bind source path does not exist|invalid mount config|error while creating mount|"
     r"error mounting", "bad_mount", "A folder is missing on the host, or may not be read there."),
    (r"is not running", "not_running", "The container has ended already."),
    (r"no such container|no such object", "no_container", "The container was removed on the host."),
    (r"executable file not found|exec format error|no such file or directory: unknown|"
     r"permission denied: unknown", "no_program",
     "The image does not have the program, or is for another kind of processor."),
    (r"docker: (command )?not found|command not found: docker|unknown command: docker|"
     r"docker['’]?: no such file or directory", "no_docker",
     "Install Docker on the host: https://docs.docker.com/engine/install/."),
)  # fmt: skip
_REQUEST: Final = re.compile(r': (Get|Head|Post|Put|Delete) "?http.*')
"""What Docker's client adds to a refused connection: its own request, and the reason once more."""
_PREFIX: Final = re.compile(r"^(docker: )?(error response from daemon: )?", re.IGNORECASE)


def parse_problem(stderr: str) -> Problem:
    """Return why a command failed, from its error output."""
    for pattern, kind, hint in _PROBLEMS:
        for line in stderr.splitlines():
            if re.search(pattern, line, re.IGNORECASE):
                return Problem(kind, _sentence(line), hint)
    lines = [x for x in stderr.splitlines() if x.strip() and "--help" not in x]
    message = _sentence(lines[-1]) if lines else "the command failed and printed nothing."
    return Problem("other", message, "Try the command by hand on the host.")


def _sentence(line: str) -> str:
    said = _REQUEST.sub("", _PREFIX.sub("", line.strip())).strip().rstrip(".")
    return said if said.endswith("?") else f"{said}."
