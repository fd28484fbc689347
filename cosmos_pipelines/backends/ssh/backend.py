"""The backend that runs orders on a host over SSH; a carrier starts and ends the orders there.

The carrier's name for an order is a function of the order's id, so a second start is refused. An
order outlives the connection and this process: any process finds the order by its name. While the
host is unreachable the backend waits, then the run becomes `unreachable`: its order may go on and
can be found again.
"""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

from loguru import logger

from cosmos_pipelines.backends import facts, run_folder
from cosmos_pipelines.backends.base import Backend, Handle, KeptOrder, StopReason, SweptFile
from cosmos_pipelines.backends.carriers.base import Carrier
from cosmos_pipelines.backends.ssh import clean
from cosmos_pipelines.backends.ssh import facts as host_facts
from cosmos_pipelines.backends.ssh import script as host_script
from cosmos_pipelines.backends.ssh.folder import LOOK_S, HostFolder, Seen, handle_of, not_understood
from cosmos_pipelines.backends.ssh.follow import CLOCK_S, Following
from cosmos_pipelines.backends.ssh.launch import START_S, Launching
from cosmos_pipelines.backends.ssh.retry import Retry
from cosmos_pipelines.backends.tar_bundle import SCRIPTS, scripts_bundle
from cosmos_pipelines.errors import BackendError, NotAllowed, OutputMissing, StateError
from cosmos_pipelines.operations.base import Order, Outcome
from cosmos_pipelines.remote.files import transfer
from cosmos_pipelines.remote.gpu import Gpu, GpuReader, GpuState
from cosmos_pipelines.remote.ssh.connection import Connection, Target

ENDING_S: Final = 30.0
"""For how long a removal waits for the end of an order whose run folder is gone."""
STOP_WAIT_S: Final = 60.0
"""Seconds to wait for an unreachable host before stopping or removing an order fails."""


class SshBackend(Backend):
    """Runs orders on a host; the first call that needs the host connects."""

    def __init__(
        self,
        name: str,
        target: Target,
        remote_dir: str,
        carrier: Carrier,
        project: str,
        *,
        wait_s: float = 3600.0,
        grace_s: float = 10.0,
        scripts: Path = SCRIPTS,
    ) -> None:
        self.name = name
        self.carrier = carrier
        self.host = HostFolder(Connection(target), remote_dir, carrier)
        self.project = project
        self.grace_s = grace_s
        self._retry = Retry(wait_s)
        self._launching = Launching(self.host, project, scripts, self._retry)
        self._clocks: dict[str, tuple[float, float]] = {}
        self._followed: set[str] = set()
        self._given: dict[str, tuple[str, ...]] = {}
        self._waits: dict[str, str | None] = {}
        """Why orders wait, as it was told last."""
        self._gpus = GpuReader(lambda argv: self.host.connection.run(argv, timeout_s=facts.ASK_S))

    def launch(self, order: Order, before_start: Callable[[], None] | None = None) -> Handle:
        """See `Backend.launch`. Does not wait for a host that was never reached.

        Raises:
            SettingsError: the settings name nothing that could carry the order.
            BackendError: also `launch_failed` before any upload, if the host lacks what the order
                needs.
        """
        return self._handle(self._launching.launch(order, before_start, self.patience_s))

    def may_have_started(self, order_id: str) -> bool:
        """See `Backend.may_have_started`."""
        return order_id in self._launching.asked

    def find(self, order_id: str, wait_s: float = 0, *, begun: bool = False) -> Handle | None:
        """See `Backend.find`."""
        self._retry.reached |= wait_s > 0  # the caller knows that the host was reached before
        look = self.host.look_at_begun if begun else self.host.look
        seen = self._retry(lambda: look(order_id), wait_s)
        return self._handle(seen) if seen.started else None

    def order_of(self, handle: Handle) -> Order:
        """See `Backend.order_of`. Raises BackendError, `lost`, if the run folder is gone."""
        seen = self._look(handle.order_id, run_folder.ORDER)
        if run_folder.ORDER not in seen.files:
            raise self.host.folder_gone(handle.run_dir, seen)
        return run_folder.read_order(seen.files[run_folder.ORDER], handle.order_id)

    def running_s(self, handle: Handle) -> float:
        """See `Backend.running_s`; the time stands still while the host is unreachable."""
        if handle.order_id not in self._clocks or handle.order_id not in self._followed:
            self._note_clock(self._look(handle.order_id))
        seconds, read_at = self._clocks[handle.order_id]
        return seconds + min(time.monotonic() - read_at, 2 * CLOCK_S)

    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """See `Backend.follow`. Raises Unreachable after `wait_s` without a usable answer."""
        self._retry.reached = True
        self._followed.add(handle.order_id)
        try:
            following = Following(self.host, handle, self._retry.wait_s, self._note_clock)
            yield from following.chunks(offset)
        finally:
            self._followed.discard(handle.order_id)

    def outcome(self, handle: Handle) -> Outcome:
        """See `Backend.outcome`."""
        files = (*host_script.RECORDS, run_folder.RESULT, run_folder.FINISHED)
        seen = self._look(handle.order_id, *files)
        if seen.alive:
            raise StateError(f"Order {handle.order_id} is still running.")
        texts = (seen.files.get(name) for name in run_folder.OUTCOME)
        outcome = run_folder.read_outcome(*texts)
        if seen.carried is None:
            return outcome
        if outcome.exit_code is None and seen.carried.out_of_memory:
            return outcome.model_copy(update={"exit_code": 137})
        return outcome.model_copy(update={"ended_by": seen.carried.ended_by})

    def finished(self, handle: Handle) -> Outcome:
        """See `Backend.finished`."""
        # not by `look`: the carrier may hang there, while files come home
        argv = host_script.look(handle.run_dir, run_folder.FINISHED, ask_carrier=["true"])
        answer = self._retry(lambda: self.host.ask(argv, timeout_s=LOOK_S))
        text = answer.parts.get(run_folder.FINISHED)
        return run_folder.read_outcome(None, None, None, text)

    def collect(
        self, handle: Handle, names: Mapping[str, Path], outcome: Outcome | None = None
    ) -> None:
        """See `Backend.collect`; a transfer that was cut is continued."""
        outcome = outcome or self.outcome(handle)
        outputs, sizes = outcome.outputs, outcome.sizes
        wanted = []
        for name, target in names.items():
            if name not in outputs:
                raise OutputMissing(f"Order {handle.order_id} made no {name!r}.")
            remote = f"{handle.run_dir}/outputs/{run_folder.inside(name)}"
            wanted.append(transfer.Wanted(remote, target, outputs[name], sizes.get(name)))
        self._retry.transfer(lambda arrived: self._bring(handle.order_id, wanted, arrived))

    def cancel(
        self, handle: Handle, grace_s: float | None = None, reason: StopReason = "cancelled"
    ) -> None:
        """See `Backend.cancel`. Raises Unreachable if the host gives no answer for over 60 s.

        With a `grace_s` of 0 the host is not waited for either.
        """
        grace = self.grace_s if grace_s is None else grace_s
        wait_s = min(self._retry.wait_s, STOP_WAIT_S) if grace > 0 else 0
        try:
            self._stop(handle, grace, reason, wait_s)
        except Exception:
            raise
        except BaseException:  # the user waits neither for `grace_s` nor for the host
            try:
                self._stop(handle, 0, reason, 0)
            except KeyboardInterrupt:
                said = f"The end of {handle.order_id} on {handle.host} was not waited for."
                raise BackendError("lost", said) from None
            raise

    def alive(self, handle: Handle) -> bool:
        """See `Backend.alive`."""
        return self._look(handle.order_id).alive

    def waits(self, handle: Handle) -> str | None:
        """See `Backend.waits`; as it was when the order was looked at last."""
        return self._waits.get(handle.order_id)

    def asked_to_stop(self, handle: Handle) -> bool:
        """See `Backend.asked_to_stop`."""
        return run_folder.STOP in self._look(handle.order_id, run_folder.STOP).files

    def discard(self, order_id: str, *, again: bool = False) -> None:
        """See `Backend.discard`."""
        run_folder.check_order_id(order_id)
        name = self.carrier.name_of(order_id)
        soon = time.monotonic() + ENDING_S

        def remove() -> None:
            seen = self.host.look(order_id)
            # without the records of its end, only the carrier can tell that the order has ended
            while seen.alive and seen.folder is None and time.monotonic() < soon:
                time.sleep(1)
                seen = self.host.look(order_id)
            if seen.alive:
                raise StateError(
                    f"Order {order_id} is still running.", hint="Cancel it before removing it."
                )
            argv = host_script.discard(
                self.host.remote_dir,
                order_id,
                uuid.uuid4().hex,
                again=again,
                remove=self.carrier.remove(name),
                state=self.carrier.state(name),
            )
            if refused := self.host.ask(argv, timeout_s=START_S).refused():
                raise refused

        self._retry(remove, min(self._retry.wait_s, STOP_WAIT_S))
        self._clocks.pop(order_id, None)
        self._given.pop(order_id, None)

    def active(self) -> list[str]:
        """See `Backend.active`: the orders of this project."""
        done = self.host.connection.run(self.carrier.running(self.project), timeout_s=LOOK_S)
        if done.exit_code != 0:
            why = self.carrier.error(self.host.host, done.stderr.decode(errors="replace"))
            raise BackendError(why.kind, why.message, hint=why.hint)  # the host itself answered
        return sorted(set(self.carrier.read_running(done.stdout.decode(errors="replace"))))

    @property
    def sees_gpus(self) -> bool:
        """See `Backend.sees_gpus`."""
        return not self.carrier.elsewhere

    def gpus(self, order: Order | None = None) -> GpuState:
        """See `Backend.gpus`."""
        if not self.sees_gpus:
            return GpuState(())
        state = self._gpus.read()
        if order is None:
            return state
        given = self._given.get(order.id)

        def has(gpu: Gpu) -> bool:
            if given is None:
                return self.carrier.uses(order, gpu)
            return bool({str(gpu.index), gpu.uuid, "all"} & set(given))

        return GpuState(tuple(filter(has, state.gpus)), state.problem)

    def examine(self, handle: Handle | None) -> dict[str, str]:
        """See `Backend.examine`."""
        return host_facts.examine(self.host, handle.order_id if handle else None)

    def kept(self) -> list[KeptOrder]:
        """See `Backend.kept`."""
        return self._retry(lambda: clean.list_kept(self.host, self.project))

    def sweep(self, older_s: float, *, dry_run: bool = False) -> list[SweptFile]:
        """See `Backend.sweep`."""
        scripts = scripts_bundle(self._launching.scripts).name
        return self._retry(lambda: clean.sweep(self.host, older_s, scripts, dry_run=dry_run))

    def close(self) -> None:
        """Close the connection; orders on the host go on."""
        self.host.connection.close()

    def _stop(self, handle: Handle, grace_s: float, reason: StopReason, wait_s: float) -> None:
        name = self.carrier.name_of(handle.order_id)
        argv = host_script.stop(
            handle.run_dir,
            reason,
            state=self.carrier.state(name),
            stop=self.carrier.stop(name, grace_s),
            kill_=self.carrier.kill(name),
            ask_carrier=self.carrier.look(name),
        )

        def stop() -> Seen:
            self.host.look(handle.order_id)  # raises if the name belongs to something else
            return self.host.ask(argv, timeout_s=grace_s + LOOK_S).seen(handle.order_id)

        if self._retry(stop, wait_s).alive:
            raise BackendError(
                "lost",
                f"The {self.carrier.noun} {name} on {handle.host} cannot be stopped.",
                hint=f"Run on {handle.host}: `{shlex.join(self.carrier.look(name))}`.",
            )

    def _bring(
        self, order_id: str, wanted: Sequence[transfer.Wanted], arrived: Callable[[int], None]
    ) -> None:
        try:
            transfer.get_files(self.host.connection, wanted, arrived=arrived)
        except NotAllowed:
            raise
        except OutputMissing:
            self.host.look_at_begun(order_id)  # raises if all run folders are missing now
            raise
        except BackendError as e:
            raise (not_understood(self.host.host, e) if e.kind == "launch_failed" else e) from None

    def _look(self, order_id: str, *files: str) -> Seen:
        return self._retry(lambda: self.host.look_at_begun(order_id, *files))

    def _handle(self, seen: Seen) -> Handle:
        self._note_clock(seen)
        if seen.carried and seen.carried.gpus is not None:
            self._given[seen.order_id] = seen.carried.gpus
        return handle_of(seen, self.host)

    def _note_clock(self, seen: Seen) -> None:
        if seen.running_s is not None:
            self._clocks[seen.order_id] = (seen.running_s, seen.read_at)
        waits = seen.carried.waits if seen.carried else None
        if waits != self._waits.get(seen.order_id):
            self._waits[seen.order_id] = waits
            logger.info("{why}", why=waits or f"{seen.order_id} does not wait any more")
