"""Start an order on a host: once, also if an answer of the host is lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loguru import logger

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.carriers.base import OrderPaths, Start
from cosmos_pipelines.backends.ssh import script as host_script
from cosmos_pipelines.backends.ssh.folder import LOOK_S, Answer, HostFolder, Seen
from cosmos_pipelines.backends.ssh.retry import Retry
from cosmos_pipelines.backends.tar_bundle import TarBundle, order_bundle, scripts_bundle
from cosmos_pipelines.errors import BackendError, GpusBusy, NotUnderstood
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.files import transfer
from cosmos_pipelines.remote.files.upload import SLOW_DISK

START_S: Final = 180.0
"""Seconds that a carrier may take to start an order; Docker with many GPUs takes several."""

LAUNCHES: Final = 3
"""Times that an order is launched whose files on the host are removed meanwhile, or damaged."""


@dataclass(frozen=True)
class Launching:
    """Starts orders on a host."""

    host: HostFolder
    project: str
    scripts: Path
    retry: Retry
    sent: set[str] = field(default_factory=set)
    """Orders whose files were sent, and that wait for GPUs."""
    asked: set[str] = field(default_factory=set)
    """Orders that the host was asked to start, and has not answered."""

    def launch(
        self, order: Order, before_start: Callable[[], None] | None, wait_s: float | None
    ) -> Seen:
        """Upload what is missing and start the order, unless it was started: see `Backend.launch`.

        `wait_s`: how long to wait for the host before it is asked to start the order.

        Raises:
            GpusBusy: others use the GPUs; what is missing was uploaded.
            SettingsError: the settings name nothing that could carry the order.
            BackendError: also `launch_failed` before any upload, if the host lacks what the order
                needs.
        """
        run_folder.check(order)
        scripts = scripts_bundle(self.scripts)
        damaged: list[str] = []
        for _ in range(LAUNCHES):
            try:
                answer, seen_or_start = self.retry(lambda: self._arrive(order, scripts), wait_s)
            except NotUnderstood as e:
                if self.retry.reached:
                    raise
                # at the first contact most likely a setting is wrong
                raise BackendError("launch_failed", e.message, hint=e.hint) from None
            if isinstance(seen_or_start, Seen):
                return seen_or_start
            busy = answer.no_gpus(order)
            if busy and not (isinstance(busy, GpusBusy) and order.id not in self.sent):
                raise busy
            root = answer.part("root")
            self._upload(order, root, wait_s)
            if "scripts" not in answer.parts or "scripts" in damaged:
                self._bring(scripts, root, wait_s)
            self.sent.add(order.id)
            if busy:
                raise busy
            if before_start is not None:
                before_start()
            started = self._launch(order, scripts, answer, seen_or_start)
            self.sent.discard(order.id)  # of what is started, or not there any more
            if isinstance(started, Seen):
                return started
            damaged = started
        raise BackendError(
            "launch_failed",
            f"Files of {order.id} on {self.host.host} were removed or damaged each of the "
            f"{LAUNCHES} times that it was started.",
            hint=f"Does something else write in {self.host.remote_dir} there, or is its disk "
            "failing (`sudo dmesg` there)?",
        )

    def _launch(
        self, order: Order, scripts: TarBundle, answer: Answer, start: Start
    ) -> Seen | list[str]:
        """Start the order; what is damaged if files were removed or damaged."""
        root, choose = answer.part("root"), self.host.carrier.choose_gpus(order)
        places = OrderPaths(
            root=root,
            scripts=f"{root}/scripts/{scripts.name}",
            user=answer.part("user"),
            project=self.project,
            # the comma lets Docker's client read a list
            gpus=f"{{gpus,{uuid.uuid4().hex}}}" if choose else "",
        )
        bundle = order_bundle(order, self.host.carrier.folder(order.id, places))
        return self._start(order, places, start(places), bundle)

    def _arrive(self, order: Order, scripts: TarBundle) -> tuple[Answer, Seen | Start]:
        """Ask what is on the host; return the order if it was started, else how to start it."""
        carrier = self.host.carrier
        argv = host_script.arrive(
            self.host.remote_dir,
            scripts.name,
            order.id,
            needs=carrier.needs(order),
            choose=carrier.choose_gpus(order),
            ask_carrier=carrier.look(carrier.name_of(order.id)),
        )
        answer = self.host.ask(argv, timeout_s=LOOK_S)
        seen = answer.seen(order.id)
        return answer, seen if seen.started else answer.start(order)

    def _upload(self, order: Order, root: str, wait_s: float | None) -> None:
        files = [(Path(v.path), v.sha256, v.size) for v in order.inputs.values()]
        if files:
            cas = f"{root}/cas"
            sent = self.retry.transfer(
                lambda arrived: transfer.put_files(
                    self.host.connection, files, cas, arrived=arrived
                ),
                wait_s,
            )
            logger.info(
                "Sent {n} of {all} files, {size} bytes, to {host}",
                n=sent.files, all=len(files), size=sent.size, host=self.host.host,
            )  # fmt: skip

    def _bring(self, scripts: TarBundle, root: str, wait_s: float | None) -> None:
        def bring() -> None:
            argv = host_script.bring_scripts(root, scripts.name, uuid.uuid4().hex)
            self.host.ask(argv, input=scripts.tar, timeout_s=START_S)

        self.retry(bring, wait_s)

    def _start(
        self, order: Order, places: OrderPaths, start_argv: list[str], bundle: bytes
    ) -> Seen | list[str]:
        """Start the order once; if an answer was lost, look at the order before asking again.

        A list: an input or the scripts have been removed since the order arrived, or those named in
        it are damaged.
        """
        carrier = self.host.carrier
        name = carrier.name_of(order.id)
        hash_s = sum(video.size for video in order.inputs.values()) / SLOW_DISK
        asked = False

        def start() -> Seen | list[str]:
            nonlocal asked
            if asked and (seen := self.host.look(order.id)).started:
                return seen
            asked = True
            # with a name of its own on the host: what a power cut has left is in nobody's way
            argv = host_script.start(
                places.root,
                order.id,
                uuid.uuid4().hex,
                places.scripts.rpartition("/")[2],
                [(v.sha256, str(run_folder.inside(name))) for name, v in order.inputs.items()],
                choose=carrier.choose_gpus(order),
                chosen=places.gpus,
                start=start_argv,
                state=carrier.state(name),
                remove=carrier.remove(name),
                words=carrier.words(name),
                ask_carrier=carrier.look(name),
            )
            self.asked.add(order.id)
            answer = self.host.ask(argv, input=bundle, timeout_s=START_S + hash_s)
            self.asked.discard(order.id)  # it has answered
            if "gone" in answer.parts:
                return []
            if "damaged" in answer.parts:
                damaged = answer.parts["damaged"].split()
                self._tell_damaged(order, damaged)
                return damaged
            seen = answer.seen(order.id)
            if not seen.started:
                why = answer.no_gpus(order) or answer.refused(order)
                raise why or BackendError(
                    "launch_failed",
                    f"{self.host.host} did not start {order.id} and gave no reason.",
                )
            return seen

        return self.retry(start)

    def _tell_damaged(self, order: Order, names: list[str]) -> None:
        """Log which files on the host had another content than their name says."""
        found = sorted(name for name, video in order.inputs.items() if video.sha256 in names)
        logger.warning(
            "On {host} {what} had been damaged or changed: sent again",
            host=self.host.host,
            what=f"the uploaded {', '.join(found)}" if found else "the scripts",
        )
