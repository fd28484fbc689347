"""The container of an order: its name, image, labels, mounts and GPUs. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Final

from cosmos_pipelines.backends.carriers.base import OrderPaths
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.docker.answers import Image
from cosmos_pipelines.remote.docker.commands import ContainerSpec, Mount
from cosmos_pipelines.settings import Docker

RUN: Final = "/cosmos/run"
SCRIPTS: Final = "/cosmos/scripts"
"""Paths of the run folder and of `gpu_scripts` in a container: the same on every host."""

ORDER_LABEL: Final = "cosmos.order_id"
PROJECT_LABEL: Final = "cosmos.project"
IMAGE_LABEL: Final = "cosmos.image"
RUNS_LABEL: Final = "cosmos.run_id"
GPUS_LABEL: Final = "cosmos.gpus"


def container_name(order_id: str) -> str:
    """Return the container's name: a function of the order id, so Docker refuses a second start."""
    return f"cosmos-{order_id}"


def image_of(docker: Docker, engine: str, own: str | None = None) -> str:
    """Return an engine's image: as set for the engine, else its `own`, else as set for all engines.

    Raises:
        SettingsError: no image is set.
    """
    image = docker.images.get(engine) or own or docker.image
    if not image:
        raise SettingsError(
            f"No image is set for {engine}.", hint="Set image in [docker] of cosmos.toml."
        )
    return image


def labels_of(order: Order, places: OrderPaths, image: Image) -> Mapping[str, str]:
    """Return the labels by which a container is found."""
    known = {f"cosmos.{key}": value for key, value in order.labels.items() if value}
    gpus = {GPUS_LABEL: places.gpus} if order.gpus and places.gpus else {}
    return (
        known
        | gpus
        | {
            ORDER_LABEL: order.id,
            PROJECT_LABEL: places.project,
            IMAGE_LABEL: image.digest,
            RUNS_LABEL: ",".join(order.run_ids),
            "cosmos.operation": order.model_type,
            "cosmos.engine": order.engine,
        }
    )


def spec_of(order: Order, docker: Docker, image: Image, places: OrderPaths) -> ContainerSpec:
    """Return the container for an order whose files are in these places of the host."""
    folder = f"{places.root}/runs/{order.id}"
    inside = {"run": RUN, "scripts": SCRIPTS, "python": docker.python}
    inside |= {directory.name: directory.target for directory in order.directories}
    return ContainerSpec(
        name=container_name(order.id),
        image=image.id,
        # The image's own entry point may install things or wait for a terminal.
        entrypoint="/bin/sh",
        argv=(f"{SCRIPTS}/run.sh", RUN, "--", *order.command(**inside)),
        labels=labels_of(order, places, image),
        env=environment_in(order.environment(**inside), docker),
        env_file=docker.env_file,
        gpus=(places.gpus,) if order.gpus else None,
        mounts=(
            Mount(folder, RUN),
            # hard links to files that all runs share
            Mount(f"{folder}/inputs", f"{RUN}/inputs", read_only=True),
            Mount(places.scripts, SCRIPTS, read_only=True),
            *(Mount(posixpath.join(places.root, d.source), d.target) for d in order.directories),
            *map(_mount, docker.mounts),
        ),
        user=docker.user or places.user,
        workdir=RUN,
        ipc=docker.ipc,
        shm_size=docker.shm_size,
        ulimits=docker.ulimits,
        network=docker.network,
    )


def environment_in(env: Mapping[str, str], docker: Docker) -> dict[str, str]:
    """Return the environment of an order's program in a container.

    A user who is not in the image's passwd has no home, and Python's getpass finds no name.
    """
    return {
        "HOME": "/tmp",  # noqa: S108 - a directory inside the container
        "USER": "cosmos",
        "LOGNAME": "cosmos",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **docker.env,
        **env,
        "COSMOS_RUN_DIR": RUN,
        "COSMOS_SCRIPTS": SCRIPTS,
    }


def _mount(text: str) -> Mount:
    source, target, *mode = text.split(":")
    return Mount(source, target, read_only=mode == ["ro"])
