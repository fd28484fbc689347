"""The plan of the queue as a picture: a lane for each GPU, a block for each load. Pure.

All positions are percents, so that the picture takes the room that it has; `width` is the least
number of pixels at which the words in its blocks can be read. Times are seconds from now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cosmos_pipelines.page.words import duration, money

ROOM: Final = 170
"""Pixels of a block in which its words can be read."""
LEAST: Final = 300
MOST: Final = 8000
"""Pixels of the times in the picture. What begins later is in the table alone."""
MOST_UNKNOWN: Final = 6
"""Blocks of a lane whose time is not known."""
MOST_LANES: Final = 40
IDLE_LANES: Final = 12
"""Lanes of a picture that also shows those without a load."""
TONES: Final = 6
"""Colours of the style sheet."""
TICKS: Final = (
    10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 4 * 3600, 12 * 3600, 24 * 3600, 7 * 24 * 3600,
)  # fmt: skip
"""Seconds between two marks of the axis."""
Load = Mapping[str, Any]


def picture_of(plan: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the template draws of `CosmosAPI.plan_queue`; `cards` by run.

    width (pixels), ticks (x, said), unknown_x (where times end that are known; None: all are),
    legend (tone, name), idle (names of the lanes that are not drawn: without a load), hidden
    (number of loads that are not drawn), and lanes: name, and blocks: x, width, tail_x, tail_width
    (None: no tail), tone, kind, href, lines (of words), said (one sentence).
    """
    loads = [*_numbered(plan["active"], "running"), *_numbered(plan["loads"], "planned")]
    lanes = [[load for load in loads if n in load["lanes"]] for n in range(len(plan["lanes"]))]
    drawn = _drawn(lanes)
    scale = _Scale([lanes[number] for number in drawn])
    tones: dict[str, int] = {}
    rows, seen = [], set[str]()
    for number in drawn:
        blocks = _Lane(scale, tones, cards, plan["currency"]).blocks(lanes[number])
        seen.update(block["id"] for block in blocks)
        rows.append({"name": name_of(plan["lanes"][number]), "blocks": blocks})
    return {
        "width": round(scale.width),
        "ticks": scale.ticks(),
        "unknown_x": scale.x(scale.axis) if scale.unknown else None,
        "legend": [{"tone": tone, "name": name} for name, tone in tones.items()],
        "lanes": rows,
        "idle": [
            name_of(lane)
            for number, lane in enumerate(plan["lanes"])
            if number not in drawn and not lanes[number]
        ],
        "hidden": len(loads) - len(seen),
    }


def name_of(lane: Mapping[str, Any]) -> str:
    """`gpu1`, or of a place with several: `gpu1, GPU 1 of 2`; this machine need not have a GPU."""
    if lane["of"] == 1:
        return str(lane["place"])
    what = "" if lane["place"] == "local" else "GPU "
    return f"{lane['place']}, {what}{lane['number']} of {lane['of']}"


def _numbered(loads: Sequence[Load], kind: str) -> list[dict[str, Any]]:
    return [{**load, "id": f"{kind}-{number}"} for number, load in enumerate(loads, start=1)]


def _drawn(lanes: Sequence[Sequence[Load]]) -> list[int]:
    """The lanes of the picture."""
    if len(lanes) <= IDLE_LANES:
        return [*range(len(lanes))] if any(lanes) else []
    return [number for number, loads in enumerate(lanes) if loads][:MOST_LANES]


class _Scale:
    """From seconds to percents of the width: first the known times, then blocks without one."""

    def __init__(self, lanes: Sequence[Sequence[Load]]) -> None:
        known = [load for lane in lanes for load in lane if _is_known(load)]
        lengths = sorted(max(1.0, load["end_s"] - load["start_s"]) for load in known)
        ends = [max(load["end_s"], load["end_p90_s"] or 0.0) for load in known]
        short = lengths[len(lengths) // 4] if lengths else 1.0
        self.end_s = min(max(ends, default=0.0), MOST / ROOM * short)
        self.axis = max(LEAST, ROOM * self.end_s / short) if known else 0.0
        unknown = max((sum(not _is_known(x) for x in lane) for lane in lanes), default=0)
        self.unknown = ROOM * min(MOST_UNKNOWN, unknown)
        self.width = self.axis + self.unknown or LEAST

    def at(self, seconds: float) -> float:
        """Pixels of the least width."""
        return self.axis * min(max(0.0, seconds), self.end_s) / self.end_s if self.end_s else 0.0

    def x(self, pixels: float) -> str:
        """Percents, as an attribute of SVG."""
        return f"{100 * pixels / self.width:.3f}%"

    def ticks(self) -> list[dict[str, str]]:
        """The marks of the axis."""
        if not self.end_s:
            return []
        least = self.end_s * 90 / self.axis
        step = next((tick for tick in TICKS if tick >= least), TICKS[-1])
        times = range(step, int(self.end_s) + 1, step)
        return [{"x": self.x(self.at(at)), "said": about(at)} for at in times if self._has_room(at)]

    def _has_room(self, at: float) -> bool:
        return self.axis - self.at(at) > 40 or not self.unknown


class _Lane:
    """The blocks of one lane."""

    def __init__(
        self,
        scale: _Scale,
        tones: dict[str, int],
        cards: Mapping[str, Mapping[str, Any]],
        currency: str,
    ) -> None:
        self._scale, self._tones, self._cards, self._currency = scale, tones, cards, currency

    def blocks(self, loads: Sequence[Load]) -> list[dict[str, Any]]:
        """The blocks of these loads, as far as there is room."""
        made, unknown = [], 0
        for load in loads:
            if _is_known(load):
                left, right = self._scale.at(load["start_s"]), self._scale.at(load["end_s"])
                if load["start_s"] < self._scale.end_s:
                    made.append(self._block(load, left, right))
            elif unknown < MOST_UNKNOWN:
                unknown += 1
                right = self._scale.axis + ROOM * unknown
                left = 0.0 if load.get("started") else right - ROOM
                made.append(self._block(load, left, right))
        return made

    def _block(self, load: Load, left: float, right: float) -> dict[str, Any]:
        x, wide = self._scale.x, max(3.0, right - left)
        late = load["end_p90_s"] if _is_known(load) else None
        tail = 0.0 if late is None else self._scale.at(late) - right
        cards = [self._cards[run_id] for run_id in load["run_ids"] if run_id in self._cards]
        engine = cards[0]["engine_label"] if cards else load["engine"]
        batch = _batch(cards, len(load["run_ids"]))
        tone = self._tones.setdefault(batch or engine, len(self._tones) % TONES + 1)
        runs = f"{len(load['run_ids'])} run{'' if len(load['run_ids']) == 1 else 's'}"
        cost = None if load["cost"] is None else money(load["cost"], self._currency)
        kind = "is-known" if _is_known(load) else "is-unknown"
        one = f"/cosmos/run/{load['run_ids'][0]}" if len(load["run_ids"]) == 1 else ""
        return {
            "id": load["id"],
            "x": x(left),
            "width": x(wide),
            "tail_x": x(right) if tail > 1 else None,
            "tail_width": x(tail),
            "tone": tone,
            "kind": f"{kind} is-active" if "started" in load else kind,
            "href": one or f"#load-{load['id']}",
            "lines": _lines(f"{runs}, {engine}", span(load), cost, batch) * (wide >= ROOM / 4),
            "said": _said(load, f"{runs} of {engine}", cost, batch),
        }


def _lines(first: str, second: str, cost: str | None, batch: str | None) -> list[str]:
    return [*filter(None, [first, second, ", ".join(filter(None, [cost, batch]))])]


def span(load: Load) -> str:
    """When a load starts and ends, in few words."""
    if load.get("started"):
        return "end not known" if load["end_s"] is None else f"ends in {about(load['end_s'])}"
    if load["start_s"] is None or load["end_s"] is None:
        return "times not known"
    start = "now" if load["start_s"] < 1 else about(load["start_s"])
    return f"{start} to {about(load['end_s'])}"


def about(seconds: float) -> str:
    """A time from now in few words: `45 s`, `26 min`, `2 h 10 min`, `3 d`."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _said(load: Load, runs: str, cost: str | None, batch: str | None) -> str:
    """All that is known of a load in one sentence."""
    words = [f"{runs} at {load['place']}" + (f" on {load['gpus']} GPUs" * (load["gpus"] > 1))]
    words += [f"of the batch {batch}"] if batch else []
    if load.get("started"):
        words.append("it runs")
    elif "started" in load:
        words.append("its files are sent there")
    if load["start_s"] is not None and not load.get("started"):
        words.append("starts now" if load["start_s"] < 1 else f"starts in {about(load['start_s'])}")
    if load["end_s"] is None:
        words.append("its end is not known")
    else:
        late = load["end_p90_s"]
        words.append(f"ends in {duration(load['end_s'])}")
        words += [f"nine of ten times in at most {duration(late)}"] if late is not None else []
    words += [f"costs {cost}"] if cost else []
    return ", ".join(words)


def _batch(cards: Sequence[Mapping[str, Any]], number: int) -> str | None:
    """The batch that all runs of a load belong to."""
    batches = [
        {tag.removeprefix("batch:") for tag in card["tags"] if tag.startswith("batch:")}
        for card in cards
    ]
    if not batches or len(batches) < number:
        return None
    return min(set.intersection(*batches), default=None)


def _is_known(load: Load) -> bool:
    return load["start_s"] is not None and load["end_s"] is not None
