"""What scene.json says of a prepared scene: its passes, whence they came, what is worth knowing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmos_pipelines.media.files import hash_of
from cosmos_pipelines.media.making import Plan
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.sources import DEFAULT_FPS, Source

Entry = dict[str, Any]


def entry_of(source: Source, file: Path, facts: Entry) -> Entry:
    """One pass: its mp4 as measured, how it was made (`facts`, from making), and its source."""
    found = probe(file)
    own = {k: v for k, v in facts.items() if k not in ("source_sha256", "notes")}
    return {
        "file": file.name,
        "sha256": hash_of(file),
        "mtime_ns": found.mtime_ns,
        **found.facts(),
        **own,
        "source": {**source.facts(), "sha256": facts["source_sha256"]},
        "notes": facts.get("notes", []),
    }


def facts_of(sources: list[Source], plan: Plan, entries: Mapping[str, Entry]) -> dict[str, Any]:
    """What all passes share, and the passes."""
    frames = sources[0].frames
    return {
        "fps": str(plan.fps),
        "frames": frames,
        "width": plan.width,
        "height": plan.height,
        "duration_s": round(frames / float(plan.fps), 6),
        "passes": dict(entries),
    }


def notes_of(
    sources: list[Source], plan: Plan, entries: Mapping[str, Entry], *, rate_given: bool
) -> list[str]:
    """Sentences for the user: everything that was changed, assumed or is missing."""
    notes = [note for s in sources for note in s.notes]
    notes += [note for e in entries.values() for note in e.get("notes", ())]
    width, height = sources[0].width, sources[0].height
    if (width, height) != (plan.width, plan.height):
        notes.append(
            f"cropped from {width}x{height} to {plan.width}x{plan.height}: H.264 needs even sizes"
        )
    if not rate_given and all(s.fps is None for s in sources):
        notes.append(f"no rate was given: {DEFAULT_FPS} frames a second")
    names = {s.name for s in sources}
    for missing in ("depth", "segmentation"):
        if missing not in names:
            notes.append(f"no {missing} pass: that control cannot be used")
    starts = sorted({s.found.numbers[0] for s in sources if s.found.numbers})
    if len(starts) > 1:
        said = " and ".join(map(str, starts))
        notes.append(f"numbering starts at {said}: frames are paired in order")
    for s in sources:
        notes += _pass_notes(s, entries[s.name])
    return notes


def _pass_notes(source: Source, entry: Entry) -> list[str]:
    notes, label, v = [], source.found.label, source.video
    if depth := entry.get("depth"):
        larger = "farther" if depth["source_values"] == "distance" else "nearer"
        notes.append(
            f"{label}: larger values are {larger}; "
            f"{depth['value_of_white']} became white (near), {depth['value_of_black']} black"
        )
    if "max_error" in entry:
        notes.append(
            f"{label}: decoded colours differ from the source by at most {entry['max_error']} "
            f"of 255 (mean {entry['mean_error']:g})"
        )
    if v and entry["made"] == "encoded" and v.color_space is None:
        notes.append(f"{label}: no colour tags; read as usual for such files, written as BT.709")
    if v and source.name == "depth":
        notes.append(f"{label}: a video of depth is taken as already normalised, near bright")
    if v and source.name == "segmentation" and "420" in v.pix_fmt:
        notes.append(f"{label}: {v.pix_fmt} halves chroma, so segment edges are blurred in colour")
    return notes
