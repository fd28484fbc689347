"""Queue and hosts: what runs where, what waits, what was left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.errors import InputError, StateError
from cosmos_pipelines.page.asked import asked
from cosmos_pipelines.page.jobs import Report
from cosmos_pipelines.page.site import Site, form_of, one
from cosmos_pipelines.page.sparkline import HEIGHT, WIDTH, lines_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

AT_ONCE: Final = 100
"""Waiting runs on one page."""
PLACES: Final = {"settings": (0, "Settings"), "here": (1, "This machine")}
"""Order and titles of the blocks of checks; those of hosts come last."""
MEND: Final = "mend"
DOCTOR: Final = "doctor"


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.routing import Route

    screen = _Queue(site)
    return [
        Route("/queue", screen.frame),
        Route("/queue/runs", screen.runs),
        Route("/queue/hosts", screen.hosts),
        Route("/queue/checks", screen.checks),
        Route("/queue/cancel", screen.cancel, methods=["POST"]),
        Route("/queue/mend", screen.mend, methods=["POST"]),
        Route("/queue/doctor", screen.doctor, methods=["POST"]),
    ]


class _Queue:
    """The handlers of the screen; those that wait for the catalog or a host run in threads."""

    def __init__(self, site: Site) -> None:
        self._site, self._api = site, site.api

    def frame(self, request: Request) -> Response:
        return self._site.render(
            request,
            "queue.html",
            offset=_offset(request),
            places=self._api.list_backends(),
            engines=self._api.transfer_engines(),
        )

    def runs(self, request: Request) -> Response:
        offset = _offset(request)
        found = self._api.look_at_queue(AT_ONCE, offset)
        tags = {tag for run in found["waiting"] for tag in run["tags"] if tag.startswith("batch:")}
        titles = {run["id"]: run["title"] for run in found["running"]}
        for run in found["running"]:
            run["together"] = [run["title"], *(titles[other] for other in run["shares"])]
        return self._site.render(
            request,
            "parts/queue_runs.html",
            offset=offset,
            at_once=AT_ONCE,
            batches={tag: self._api.queued_ids(tag) for tag in sorted(tags)},
            daemon=self._site.hosts.daemon,
            **found,
        )

    def hosts(self, request: Request) -> Response:
        known = self._site.hosts.known
        places = [_with_lines(place) for place in known["places"]] if known else None
        return self._site.render(
            request,
            "parts/hosts.html",
            places=places,
            left=known["left"] if known else [],
            jobs=self._site.jobs.of(MEND)[:5],
            width=WIDTH,
            height=HEIGHT,
        )

    def checks(self, request: Request) -> Response:
        jobs = self._site.jobs.of(DOCTOR)
        now = jobs[0] if jobs and jobs[0]["state"] != "done" else None
        last = self._api.last_doctor()
        checks = now["results"] if now else last["checks"] if last else []
        return self._site.render(
            request,
            "parts/checks.html",
            now=now,
            last=last,
            checks=checks,
            blocks=_blocks(checks),
        )

    async def cancel(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        given = await asked(request)
        ids, batch = given.get("runs"), given.get("batch") is True
        if not isinstance(ids, list) or not ids:
            raise InputError("Say which runs shall be stopped.")
        return JSONResponse(await run_in_threadpool(self._api.stop_runs, ids, batch=batch))

    async def mend(self, request: Request) -> Response:
        fields = await form_of(request)
        do = one(fields, "do")
        known = self._site.hosts.known
        if known is None or do not in {left["do"] for left in known["left"]}:
            raise StateError("That is not left behind any more.", hint="Load the page again.")
        self._site.jobs.start(MEND, do, do, lambda report: self._mended(report, do))
        return self.hosts(request)

    def _mended(self, report: Report, do: str) -> None:
        """Do exactly what a command says; those that `left` names, and no other."""
        match do.split():
            case ["cosmos", "run", run_id]:
                runs = self._api.execute_runs([run_id])
                report.job.text = " ".join(f"{run['id']} is {run['status']}." for run in runs)
            case ["cosmos", "kill", "--stray"]:
                stopped = self._api.kill_stray()
                report.job.text = f"Stopped: {', '.join(stopped) or 'nothing'}."
            case ["cosmos", "kill", run_id]:
                runs = self._api.kill(run_id)
                report.job.text = " ".join(f"{run['id']} is {run['status']}." for run in runs)
            case _:
                raise InputError(f"The page cannot do {do!r}.", hint="Give the command yourself.")

    def doctor(self, request: Request) -> Response:
        def work(report: Report) -> None:
            self._api.check_and_keep(on_check=report.found)

        self._site.jobs.start(DOCTOR, "Check now", DOCTOR, work)
        return self.checks(request)


def _blocks(checks: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return the checks by where they were made: a title, and those of one place."""
    blocks: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for check in checks:
        rank, title = PLACES.get(check["place"], (2, check.get("host") or "Host"))
        blocks.setdefault((rank, title), []).append(check)
    return [(title, those) for (_, title), those in sorted(blocks.items(), key=lambda b: b[0][0])]


def _with_lines(place: Mapping[str, Any]) -> dict[str, Any]:
    return {**place, "gpus": [gpu | {"lines": lines_of(gpu)} for gpu in place["gpus"]]}


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise InputError("The offset of the queue is no number.")
    return int(text)
