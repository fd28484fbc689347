"""Has an engine's image on a GPU host: there already, built, or one of the user's own."""

from __future__ import annotations

import hashlib
import json
import posixpath
import uuid

from cosmos_pipelines.errors import BackendError, InputError
from cosmos_pipelines.remote import docker, docker_answers
from cosmos_pipelines.remote.docker_answers import Image
from cosmos_pipelines.resources import host_setup_script
from cosmos_pipelines.resources.host_folder import LOOK_S
from cosmos_pipelines.resources.host_lines import stream_lines
from cosmos_pipelines.resources.host_setup import Setting, Wish
from cosmos_pipelines.resources.parcel import with_lf


def have_image(at: Setting, root: str, commit: str, wish: Wish) -> Image:
    """Have the image there, under the engine's tag.

    Labels tell of what it was made; one that has them already is not built again.

    Raises:
        BackendError: it cannot be built, or the one that was named is not there.
        InputError: the Dockerfile cannot be read.
    """
    tag = at.setup.image
    if wish.image is not None:
        return _own_image(at, wish.image)
    dockerfile, labels, arguments = _recipe(at, commit, wish)
    there = _find(at, tag)
    if there is not None and labels.items() <= there.labels.items():
        at.tell(f"image: {tag} is there, {there.digest}.")
        return there
    at.tell(f"image: building {tag} ...")
    argv = host_setup_script.write(root, at.engine, "Dockerfile", uuid.uuid4().hex)
    at.host.ask(argv, input=dockerfile, timeout_s=LOOK_S)
    context = posixpath.join(root, at.directories["code"])
    build = docker.build_argv(tag, context, labels=labels, arguments=arguments)
    argv = host_setup_script.build(root, at.engine, build)
    code, last = stream_lines(at.host.connection, argv, at.tell)
    if code != 0:
        raise _no_build(at, last, code)
    image = _named(at, tag)
    at.tell(f"image: {tag} is built, {image.digest}.")
    return image


def _own_image(at: Setting, name: str) -> Image:
    _named(at, name)
    done = at.host.connection.run(docker.tag_argv(name, at.setup.image), timeout_s=LOOK_S)
    if done.exit_code != 0:
        said = done.stderr.decode(errors="replace")
        raise docker_answers.parse_problem(said).error(at.host.host)
    image = _named(at, at.setup.image)
    at.tell(f"image: {at.setup.image} is {name}, {image.digest}.")
    return image


def _recipe(at: Setting, commit: str, wish: Wish) -> tuple[bytes, dict[str, str], dict[str, str]]:
    """Dockerfile, labels that tell what the image is made of, build arguments."""
    file = (wish.dockerfile or at.scripts / at.setup.dockerfile).expanduser()
    try:
        text = with_lf(file.read_bytes())
    except OSError as e:
        raise InputError(f"{file} cannot be read: {e.strerror}.") from e
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
