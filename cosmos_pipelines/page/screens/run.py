"""One run: its player, its story, its settings, its files, and how to make it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cosmos_pipelines.api import Record
from cosmos_pipelines.errors import UnknownId
from cosmos_pipelines.lines import plain
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

ACTIVE = ("uploading", "running", "downloading")
_PASSES = (
    ("color", "Colour"),
    ("depth", "Depth"),
    ("segmentation", "Segmentation"),
    ("edge", "Edge"),
    ("vis", "Vis"),
)


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    def run(request: Request) -> Response:
        wanted = _wanted(request)
        found = site.api.get_run(wanted)
        if found["id"] != wanted:  # the beginning of an id, or `latest`
            return RedirectResponse(f"/cosmos/run/{found['id']}")
        return site.render(request, "run.html", **_whole(site, wanted))

    def head(request: Request) -> Response:
        return site.render(request, "parts/run_head.html", **_head(site, _wanted(request)))

    def body(request: Request) -> Response:
        return site.render(request, "parts/run_body.html", **_whole(site, _wanted(request)))

    def story(request: Request) -> Response:
        told = _story(site, _card(site, _wanted(request)))
        return site.render(request, "parts/run_story.html", **told)

    def player(request: Request) -> Response:
        return RedirectResponse(f"/cosmos/run/{quote(_card(site, _wanted(request))['id'])}")

    return [
        Route("/run/{run_id}", run),
        Route("/run/{run_id}/head", head),
        Route("/run/{run_id}/body", body),
        Route("/run/{run_id}/story", story),
        Route("/player/{run_id}", player),
    ]


def _wanted(request: Request) -> str:
    return str(request.path_params["run_id"])


def _card(site: Site, run_id: str) -> Record:
    """The card of a run. Raises UnknownId."""
    found = site.api.cards([run_id])
    if not found:
        raise UnknownId("run", run_id)
    return found[0]


def _head(site: Site, run_id: str) -> dict[str, Any]:
    """What changes while the run works: status, progress, tags, stars, and why it failed."""
    card = _card(site, run_id)
    return {
        "run": card,
        "active": card["status"] in ACTIVE,
        "failed": card["status"] in ("failed", "cancelled"),
        "why": _why(site, run_id) if card["status"] != "completed" else None,
        "out_of_date": site.api.out_of_date(run_id),
    }


def _why(site: Site, run_id: str) -> Record:
    """Why it failed, or its state; a model's words without what is not to be read."""
    why = site.api.why(run_id)
    evidence = [
        {**line, "name": line["file"].partition(f"run_{run_id}/")[2] or line["file"],
         "text": plain(line["text"])}
        for line in why["evidence"]
    ]  # fmt: skip
    return {**why, "cause": plain(why["cause"]), "evidence": evidence}


def _whole(site: Site, run_id: str) -> dict[str, Any]:
    """The head and all that stays as it is once the run has ended."""
    head = _head(site, run_id)
    card = head["run"]
    sheet = site.api.run_sheet(run_id)
    logs = site.api.logs_of_run(run_id)["files"]
    return {
        **head,
        **_story(site, card),
        "sheet": sheet,
        **_settings(sheet),
        "place": _dagster(sheet),
        "still": site.api.file_of_run(run_id, "thumbnail") is not None,
        "texts": _texts(card),
        "made": "text" if card["model_type"] == "enhance" else "video",
        "logs": {f"logs/{one['name']}": one["name"] for one in logs},
    }


def _settings(sheet: Record) -> dict[str, Any]:
    """The settings to be seen, and those that the engine does not have and nobody has chosen."""
    rows = sheet["settings"]
    idle = [row for row in rows if row["default"] and row["use"] in ("ignored", "refused")]
    return {"settings": [row for row in rows if row not in idle], "not_used": idle}


def _story(site: Site, card: Record) -> dict[str, Any]:
    story = site.api.story(card["id"])
    for one in (*story["above"], *story["below"]):
        one["dagster"] = _dagster(one)
    return {"run": card, "story": story, "sources": _sources(site, card, story)}


def _dagster(place: Record) -> str:
    """Where Dagster's page shows a partition."""
    asset, key = quote(place["asset"]), quote(place["partition"], safe="")
    return f"/assets/{asset}?view=partitions&partition={key}"


def _texts(card: Record) -> dict[str, str] | None:
    """The old and the new text of an enhance run that has made one."""
    new = card["outputs"].get("enhanced_text")
    return {"old": card["text"] or "", "new": new} if new else None


def _sources(site: Site, card: Record, story: Record) -> list[Record]:
    """What the player can switch between: the result, the video it was made of, the scene's passes.

    Without a result that is there: nothing, since there is no frame to compare with.
    """
    if card["model_type"] == "enhance" or site.api.file_of_run(card["id"], "video") is None:
        return []
    found = [_of_run(card, "result", "Result")]
    above = [one["card"] for one in story["above"] if one["kind"] == "run"]
    for parent in above:
        if parent["id"] == card["parent_run_id"] and "video" in parent["files"]:
            found.append(_of_run(parent, "source", "Its video"))
    return found + (_of_scene(site, card["scene"]) if card["scene"] else [])


def _of_run(card: Record, name: str, label: str) -> Record:
    poster = f"/cosmos/still/run/{card['id']}.jpg" if "thumbnail" in card["files"] else None
    return {
        "name": name,
        "label": label,
        "url": f"/cosmos/video/{card['id']}.mp4",
        "poster": poster,
        **_shape(card["outputs"]),
    }


def _of_scene(site: Site, key: str) -> list[Record]:
    try:
        passes = site.api.get_scene(key)["facts"]
    except UnknownId:  # it was deleted since
        return []
    return [
        {
            "name": name,
            "label": label,
            "url": f"/cosmos/scene/{quote(key)}/{name}.mp4",
            "poster": None,
            **_shape(passes[name]),
        }
        for name, label in _PASSES
        if name in passes
    ]


def _shape(facts: Record) -> Record:
    return {name: facts.get(name) for name in ("frames", "fps", "width", "height")}
