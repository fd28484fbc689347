"""Estimates, times and money as people read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MOVES: Final = (("upload", "upload_s"), ("download", "download_s"))


def said_of(estimate: Mapping[str, Any]) -> dict[str, str]:
    """Return an estimate (see `priced`) in words: `time`, and where known `transfer`, `money`.

    `waits`: how long earlier runs waited in the queue. `checked`: how good the last estimates were.
    """
    time = f"about {spoken(estimate['seconds'])}"
    if estimate["p90_s"] is not None:
        time += f", 9 of 10 times at most {spoken(estimate['p90_s'])}"
    if estimate["load_s"]:
        time += f"; {spoken(estimate['load_s'])} of it to load"
    said = {"time": f"{time}; {_basis(estimate)}"}
    if moved := [f"{what} {spoken(estimate[name])}" for what, name in _MOVES if estimate[name]]:
        said["transfer"] = ", ".join(moved)
    if estimate["waited_s"] is not None:
        said["waits"] = f"earlier runs waited about {spoken(estimate['waited_s'])}"
    if estimate["money"] is not None:
        said["money"] = f"about {amount(estimate['money'], estimate['currency'])}"
        if estimate["p90_money"] is not None:
            high = amount(estimate["p90_money"], estimate["currency"])
            said["money"] += f", 9 of 10 times at most {high}"
    if number := estimate["checked"]["of"]:
        within = estimate["checked"]["within"]
        said["checked"] = f"{within} of the last {number} runs ended within what was told"
    return said


def total_words(total: Mapping[str, Any]) -> str:
    """Return the time and money of several loads in words; "" where the time is not known."""
    if total["seconds"] is None:
        return ""
    said = f"about {spoken(total['seconds'])}"
    if total["p90_s"] is not None:
        said += f" (9 of 10 times at most {spoken(total['p90_s'])})"
    if total["money"] is not None:
        said += f", about {amount(total['money'], total['currency'])}"
        if total["p90_money"] is not None:
            said += f" (at most {amount(total['p90_money'], total['currency'])})"
    return said


def _basis(estimate: Mapping[str, Any]) -> str:
    runs = estimate["runs"]
    if estimate["basis"] == "published":
        return "a first guess by NVIDIA's published figures, without the load of the model"
    where = "in the same place" if estimate["basis"] == "place" else "on the same GPU elsewhere"
    return f"from {runs} run{'' if runs == 1 else 's'} {where}"


def spoken(seconds: float) -> str:
    """Return `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`; at least one second."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def amount(money: float, currency: str) -> str:
    """Return `12.30 USD`."""
    return f"{money:.2f} {currency}"
