"""What scene.json says of a prepared scene: its passes, whence they came, what is worth knowing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmos_pipelines.media.depths.told import depth_notes
from cosmos_pipelines.media.encode_pass import Plan
from cosmos_pipelines.media.files import hash_of
from cosmos_pipelines.media.fingerprints import with_labels
from cosmos_pipelines.media.numbering import step_of
from cosmos_pipelines.media.probe import Probe, probe
from cosmos_pipelines.media.sources import DEFAULT_FPS, Source

Entry = dict[str, Any]


def entry_of(source: Source, file: Path, facts: Entry) -> Entry:
    """A pass: its mp4 as measured, how it was made (`facts` of encode_pass), and its source."""
    found = probe(file)
    own = {k: v for k, v in facts.items() if k not in ("source_sha256", "notes")}
    return {
        "file": file.name,
        "sha256": hash_of(file),
        "mtime_ns": found.mtime_ns,
        **found.facts(),
        **own,
        "source": {**source.facts(), "sha256": with_labels(facts["source_sha256"], source.found)},
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
    beside = [s.found.video.name for s in sources if s.found.video and s.fps]
    if not rate_given and beside:
        notes.append(f"the rate is that of {beside[0]}: {plan.fps} frames a second")
    names = {s.name for s in sources}
    for missing in ("depth", "segmentation"):
        if missing not in names:
            notes.append(f"no {missing} pass: that control cannot be used")
    starts = sorted({s.found.numbers[0] for s in sources if s.found.numbers})
    if len(starts) > 1:
        said = " and ".join(map(str, starts))
        notes.append(f"numbering starts at {said}: frames are paired in order")
    for s in sources:
        notes += _pass_notes(s, entries[s.name], plan)
    return notes


def _pass_notes(source: Source, entry: Entry, plan: Plan) -> list[str]:
    label, v = source.found.label, source.video
    notes = _video_notes(source, v, entry, plan) if v else []
    if depth := entry.get("depth"):
        if source.picture and source.picture.bits == 8 and depth["kind"] != "carla":
            notes.append("only 8 bits, so depth may show steps")
        notes += depth_notes(depth)
    if "max_error" in entry:
        notes.append(
            f"decoded colours differ from the source by at most {entry['max_error']} "
            f"of 255 (mean {entry['mean_error']:g})"
        )
    step = step_of(source.found.numbers) or 1
    if step > 1:
        notes.append(f"its numbers go in steps of {step}: the frames play one after the other")
    return [f"{label}: {note}" for note in notes]


def _video_notes(source: Source, v: Probe, entry: Entry, plan: Plan) -> list[str]:
    notes = [f"{change}, as players show it" for change in v.shown.changes]
    if v.intervals_s:
        shortest, longest = (round(s * 1000) for s in v.intervals_s)
        notes.append(
            f"its rate varies (frames follow each other after {shortest} to {longest} ms): "
            f"the same {v.frames} frames play at a constant {plan.fps} a second"
        )
    elif v.fps != plan.fps:
        notes.append(
            f"the same {v.frames} frames play at {plan.fps} a second instead of {v.fps}: "
            f"{v.duration_s:.3f} s become {v.frames / float(plan.fps):.3f} s"
        )
    elif v.written_fps != v.fps:
        notes.append(f"{v.written_fps} frames a second is another way to write {v.fps}")
    if entry["made"] == "encoded" and v.color_space is None:
        notes.append("no colour tags; read as usual for such files, written as BT.709")
    if source.name == "depth":
        notes.append("a video of depth is taken as already normalised, near bright")
        if unused := plan.asked.of_depths():
            notes.append(f"{' and '.join(unused)} say nothing of a video and were not used")
    if source.name == "segmentation" and "420" in v.pix_fmt:
        notes.append(f"{v.pix_fmt} halves chroma, so segment edges are blurred in colour")
    return notes
