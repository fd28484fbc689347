"""Has an engine's image on a GPU host: there already, built, or one of the user's own."""

from __future__ import annotations

import hashlib
import json
import posixpath
import uuid
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.backends.parcel import with_lf
from cosmos_pipelines.backends.ssh_docker.folder import LOOK_S
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.foreign import expanded, read_bytes
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.arrive import Setting, Wish
from cosmos_pipelines.hosts.lines import stream_lines
from cosmos_pipelines.hosts.records import SetUp
from cosmos_pipelines.remote.docker import answers as docker_answers
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import Image

_NEW: Final = "cosmos-new-"
"""Before the engine's name in what an image is called until it has passed its test."""


@dataclass(frozen=True)
class Had:
    """An image that a smoke test shall judge."""

    image: Image
    name: str
    """What it is called until then: the engine's tag if it has that already."""
    dockerfile: str | None
    """What tells of which Dockerfile we have built it; None for one of the user's own."""


def have_image(at: Setting, root: str, commit: str, wish: Wish, recorded: SetUp) -> Had:
    """Have the image there; a new one has not the engine's tag yet, see `settle`.

    Labels tell of what it was made, but an image made of another has them as well: one is not
    built again if it is the recorded one besides.

    Raises:
        BackendError: it cannot be built, or the one that was named is not there.
        InputError: the Dockerfile cannot be read.
    """
    if wish.image is not None:
        return _own_image(at, wish.image)
    dockerfile, labels, arguments = _recipe(at, commit, wish)
    recipe = labels["cosmos.dockerfile"]
    there = _find(at, at.setup.image)
    if (
        there is not None
        and labels.items() <= there.labels.items()
        and (recorded.image_id, recorded.dockerfile) == (there.id, recipe)
    ):
        at.tell(f"image: {at.setup.image} is there, {there.digest}.")
        return Had(there, at.setup.image, recipe)
    at.tell(f"image: building {at.setup.image} ...")
    name, file = _new_name(at), f".Dockerfile.{uuid.uuid4().hex}.part"
    argv = host_setup_script.write(root, at.engine, file, uuid.uuid4().hex)
    at.host.ask(argv, input=dockerfile, timeout_s=LOOK_S)
    context = posixpath.join(root, at.directories["code"])
    build = docker.build_argv(name, context, labels=labels, arguments=arguments)
    argv = host_setup_script.build(root, at.engine, file, context, commit, build)
    code, last = stream_lines(at.host.connection, argv, at.tell)
    if code != 0:
        raise _no_build(at, last, code)
    image = _named(at, name)
    at.tell(f"image: it is built, {image.digest}.")
    return Had(image, name, recipe)


def _own_image(at: Setting, wanted: str) -> Had:
    _named(at, wanted)
    name = _new_name(at)
    _do(at, docker.tag_argv(wanted, name))
    image = _named(at, name)
    at.tell(f"image: {wanted}, {image.digest}.")
    return Had(image, name, None)


def settle(at: Setting, had: Had) -> Image:
    """Give an image that has passed its test the engine's tag, and take its other name away."""
    if had.name == at.setup.image:
        return had.image
    _do(at, docker.tag_argv(had.image.id, at.setup.image))
    _do(at, docker.untag_argv(had.name))
    return _named(at, at.setup.image)


def put_aside(at: Setting, had: Had) -> None:
    """Leave the engine's tag where it is; the last such image is kept, with its layers."""
    if had.name == at.setup.image:
        return
    kept = f"{_NEW}{at.engine}:failed"
    _do(at, docker.tag_argv(had.image.id, kept))
    _do(at, docker.untag_argv(had.name))
    at.tell(f"image: {at.setup.image} is as it was before; this one is kept as {kept}.")


def _new_name(at: Setting) -> str:
    return f"{_NEW}{at.engine}:{uuid.uuid4().hex[:12]}"


def _do(at: Setting, argv: list[str]) -> None:
    done = at.host.connection.run(argv, timeout_s=LOOK_S)
    if done.exit_code != 0:
        said = done.stderr.decode(errors="replace")
        raise docker_answers.parse_problem(said).error(at.host.host)


def _recipe(at: Setting, commit: str, wish: Wish) -> tuple[bytes, dict[str, str], dict[str, str]]:
    """Dockerfile, labels that tell what the image is made of, build arguments."""
    text = with_lf(read_bytes(expanded(wish.dockerfile or at.scripts / at.setup.dockerfile)))
    arguments = {**wish.arguments, **({"BASE": wish.base} if wish.base else {})}
    told = json.dumps(arguments, sort_keys=True).encode() if arguments else b""
    labels = {
        "cosmos.engine": at.engine,
        "cosmos.commit": commit,
        "cosmos.dockerfile": hashlib.sha256(text + told).hexdigest(),
    }
    return text, labels, arguments


def _no_build(at: Setting, last: str, code: int) -> BackendError:
    problem = docker_answers.parse_problem(last)
    hint = problem.hint
    if problem.kind in ("no_image", "other"):
        hint = "--base IMAGE takes the base from a mirror, --image NAME an image of your own."
    return BackendError(
        "disk_full" if problem.kind == "disk_full" else "launch_failed",
        f"docker build failed on {at.host.host} (exit code {code}): {last.rstrip('.')}.",
        hint=hint,
    )


def _find(at: Setting, name: str) -> Image | None:
    done = at.host.connection.run(docker.image_argv(name), timeout_s=LOOK_S)
    images = docker_answers.parse_images(done.stdout.decode(errors="replace"))
    return images[0] if images else None


def _named(at: Setting, name: str) -> Image:
    if (image := _find(at, name)) is None:
        raise BackendError(
            "launch_failed",
            f"The image {name} is not on {at.host.host}.",
            hint=f"`docker pull` it there, or have it built: `cosmos host setup {at.engine}`.",
        )
    return image
