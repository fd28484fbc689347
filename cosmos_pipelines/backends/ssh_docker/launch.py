"""An order becomes a container on a GPU host: once, whatever happens to the answers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loguru import logger

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.parcel import Parcel, order_parcel, scripts_parcel
from cosmos_pipelines.backends.ssh_docker import script as host_script
from cosmos_pipelines.backends.ssh_docker.container import RUN, container_name, image_of, spec_of
from cosmos_pipelines.backends.ssh_docker.folder import LOOK_S, Answer, HostFolder, Seen
from cosmos_pipelines.backends.ssh_docker.patience import Patience
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import Image
from cosmos_pipelines.remote.files import transfer
from cosmos_pipelines.settings import Docker

START_S: Final = 180.0
"""Seconds that Docker may take to start a container; with many GPUs it takes several."""


@dataclass(frozen=True)
class Launching:
    """What is needed to start orders on a host."""

    host: HostFolder
    containers: Docker
    project: str
    scripts: Path
    patiently: Patience

    def launch(self, order: Order) -> Seen:
        """Place what is missing and start the order, unless it was started: see `Backend.launch`.

        Raises:
            SettingsError: no image is set.
            BackendError: also `launch_failed` where the image is not there, before any upload.
        """
        parcel = order_parcel(order, RUN)
        wanted = image_of(self.containers, order.engine, order.image)
        scripts = scripts_parcel(self.scripts)
        arrived, there = self.patiently(lambda: self._arrive(order.id, wanted, scripts))
        if isinstance(there, Seen):
            return there
        root = arrived.part("root")
        self._upload(order, root)
        if "scripts" not in arrived.parts:
            self._bring(scripts, root)
        spec = spec_of(
            order,
            self.containers,
            there,
            root=root,
            scripts=f"{root}/scripts/{scripts.name}",
            user=arrived.part("user"),
            project=self.project,
        )
        return self._start(order, root, spec, parcel)

    def _arrive(self, order_id: str, image: str, scripts: Parcel) -> tuple[Answer, Seen | Image]:
        """What is there, and the run if it was started, otherwise the image for it."""
        argv = host_script.arrive(
            self.host.remote_dir,
            scripts.name,
            order_id,
            image=docker.image_argv(image),
            inspect=docker.inspect_argv(container_name(order_id)),
        )
        answer = self.host.ask(argv, timeout_s=LOOK_S)
        seen = answer.seen(order_id)
        return answer, seen if seen.started else answer.image(image)

    def _upload(self, order: Order, root: str) -> None:
        files = [(Path(v.path), v.sha256, v.size) for v in order.inputs.values()]
        if files:
            sent = self.patiently(
                lambda: transfer.put_files(self.host.connection, files, f"{root}/cas")
            )
            logger.info(
                "Sent {n} of {all} files, {size} bytes, to {host}",
                n=sent.files, all=len(files), size=sent.size, host=self.host.host,
            )  # fmt: skip

    def _bring(self, scripts: Parcel, root: str) -> None:
        argv = host_script.bring_scripts(root, scripts.name, uuid.uuid4().hex)
        self.patiently(lambda: self.host.ask(argv, input=scripts.tar, timeout_s=START_S))

    def _start(self, order: Order, root: str, spec: docker.ContainerSpec, parcel: bytes) -> Seen:
        """Start the container once; where an answer was lost, look before asking again."""
        argv = host_script.start(
            root,
            order.id,
            uuid.uuid4().hex,
            [(v.sha256, str(run_folder.inside(name))) for name, v in order.inputs.items()],
            start=docker.run_argv(spec),
            state=docker.state_argv(spec.name),
            remove=docker.rm_argv(spec.name),
            words=docker.logs_argv(spec.name, tail=20),
            inspect=docker.inspect_argv(spec.name),
        )
        asked = False

        def start() -> Seen:
            nonlocal asked
            if asked and (seen := self.host.look(order.id)).started:
                return seen
            asked = True
            answer = self.host.ask(argv, input=parcel, timeout_s=START_S)
            seen = answer.seen(order.id)
            if not seen.started:
                raise self._why_not(order, answer)
            return seen

        return self.patiently(start)

    def _why_not(self, order: Order, answer: Answer) -> BackendError:
        """Why an order was not started; a model that is not there has a command that brings it."""
        refused = answer.refused() or BackendError(
            "launch_failed", f"{self.host.host} did not start {order.id} nor say why."
        )
        if order.directories and "bind source path" in refused.message:
            bring = f"Set the host up: `cosmos host setup {order.engine}`."
            return BackendError(refused.kind, refused.message, hint=bring)
        return refused
