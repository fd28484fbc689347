"""Provide an engine's image on a GPU host: the present image, a new build, or the user's image."""

from __future__ import annotations

import hashlib
import json
import posixpath
import uuid
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.backends.ssh.folder import LOOK_S
from cosmos_pipelines.backends.tar_bundle import with_lf
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.foreign import expanded, read_bytes
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.arrive import EngineOnHost, SetupRequest
from cosmos_pipelines.hosts.lines import stream_lines
from cosmos_pipelines.hosts.records import SetUp
from cosmos_pipelines.remote.docker import answers as docker_answers
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import Image
from cosmos_pipelines.remote.docker.problems import parse_problem

_CANDIDATE: Final = "cosmos-new-"
"""Begins the name of an image until the image has passed its smoke test."""


@dataclass(frozen=True)
class CandidateImage:
    """An image that waits for its smoke test."""

    image: Image
    name: str
    """Its name until the test: the engine's tag if the image has the tag already."""
    dockerfile: str | None
    """The hash of the Dockerfile and build arguments; None for the user's own image."""


def have_image(
    target: EngineOnHost, root: str, commit: str, request: SetupRequest, recorded: SetUp
) -> CandidateImage:
    """Provide the image on the host; a new image gets the engine's tag later, see `settle`.

    The image is not built again if its labels match and its id is the recorded one. Labels alone do
    not suffice: an image built on top of another inherits the labels.

    Raises:
        BackendError: the image cannot be built, or the image of the request is not on the host.
        InputError: the Dockerfile cannot be read.
    """
    if request.image is not None:
        return _own_image(target, request.image)
    dockerfile, labels, arguments = _recipe(target, commit, request)
    recipe = labels["cosmos.dockerfile"]
    existing = _find_image(target, target.setup.image)
    if (
        existing is not None
        and labels.items() <= existing.labels.items()
        and (recorded.image_id, recorded.dockerfile) == (existing.id, recipe)
    ):
        target.tell(f"image: {target.setup.image} is there, {existing.digest}.")
        return CandidateImage(existing, target.setup.image, recipe)
    target.tell(f"image: building {target.setup.image} ...")
    name, file = _new_name(target), f".Dockerfile.{uuid.uuid4().hex}.part"
    argv = host_setup_script.write(root, target.engine, file, uuid.uuid4().hex)
    target.host.ask(argv, input=dockerfile, timeout_s=LOOK_S)
    context = posixpath.join(root, target.directories["code"])
    build = docker.build_argv(name, context, labels=labels, arguments=arguments)
    argv = host_setup_script.build(root, target.engine, file, context, commit, build)
    code, last = stream_lines(target.host.connection, argv, target.tell)
    if code != 0:
        raise _build_error(target, last, code)
    image = _require_image(target, name)
    target.tell(f"image: {target.setup.image} is built, {image.digest}.")
    return CandidateImage(image, name, recipe)


def _own_image(target: EngineOnHost, wanted: str) -> CandidateImage:
    _require_image(target, wanted)
    name = _new_name(target)
    _run_docker(target, docker.tag_argv(wanted, name))
    image = _require_image(target, name)
    target.tell(f"image: {wanted}, {image.digest}.")
    return CandidateImage(image, name, None)


def settle(target: EngineOnHost, candidate: CandidateImage) -> Image:
    """Give an image that has passed its test the engine's tag, and remove its other name."""
    if candidate.name == target.setup.image:
        return candidate.image
    _run_docker(target, docker.tag_argv(candidate.image.id, target.setup.image))
    _run_docker(target, docker.untag_argv(candidate.name))
    return _require_image(target, target.setup.image)


def put_aside(target: EngineOnHost, candidate: CandidateImage) -> None:
    """Leave the engine's tag where it is; keep the failed image and its layers until the next."""
    if candidate.name == target.setup.image:
        return
    kept = f"{_CANDIDATE}{target.engine}:failed"
    _run_docker(target, docker.tag_argv(candidate.image.id, kept))
    _run_docker(target, docker.untag_argv(candidate.name))
    target.tell(f"image: {target.setup.image} is unchanged; the failed image is kept as {kept}.")


def _new_name(target: EngineOnHost) -> str:
    return f"{_CANDIDATE}{target.engine}:{uuid.uuid4().hex[:12]}"


def _run_docker(target: EngineOnHost, argv: list[str]) -> None:
    done = target.host.connection.run(argv, timeout_s=LOOK_S)
    if done.exit_code != 0:
        stderr = done.stderr.decode(errors="replace")
        raise parse_problem(stderr).error(target.host.host)


def _recipe(
    target: EngineOnHost, commit: str, request: SetupRequest
) -> tuple[bytes, dict[str, str], dict[str, str]]:
    """Return the Dockerfile, the image's labels and the build arguments."""
    file = request.dockerfile or target.scripts / target.setup.dockerfile
    text = with_lf(read_bytes(expanded(file)))
    arguments = {**request.arguments, **({"BASE": request.base} if request.base else {})}
    built_with = json.dumps(arguments, sort_keys=True).encode() if arguments else b""
    labels = {
        "cosmos.engine": target.engine,
        "cosmos.commit": commit,
        "cosmos.dockerfile": hashlib.sha256(text + built_with).hexdigest(),
    }
    return text, labels, arguments


def _build_error(target: EngineOnHost, last: str, code: int) -> BackendError:
    problem = parse_problem(last)
    hint = problem.hint
    if problem.kind in ("no_image", "other"):
        hint = "--base IMAGE takes the base from a mirror, --image NAME takes your own image."
    return BackendError(
        "disk_full" if problem.kind == "disk_full" else "launch_failed",
        f"docker build failed on {target.host.host} (exit code {code}): {last.rstrip('.')}.",
        hint=hint,
    )


def _find_image(target: EngineOnHost, name: str) -> Image | None:
    done = target.host.connection.run(docker.image_argv(name), timeout_s=LOOK_S)
    stdout, stderr = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    found = docker_answers.parse_image(done.exit_code, stdout, stderr)
    if isinstance(found, Image):
        return found
    if found.kind == "no_image":
        return None
    raise found.error(target.host.host)


def _require_image(target: EngineOnHost, name: str) -> Image:
    if (image := _find_image(target, name)) is None:
        raise BackendError(
            "launch_failed",
            f"The image {name} is not on {target.host.host}.",
            hint=f"`docker pull` it there, or build it: `cosmos host setup {target.engine}`.",
        )
    return image
