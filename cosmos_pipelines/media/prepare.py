"""`cosmos prepare`: renders become the control videos of a scene, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import write_json
from cosmos_pipelines.foreign import absolute, as_text
from cosmos_pipelines.media import encode_pass, scene
from cosmos_pipelines.media.asked import AS_USUAL, Asked
from cosmos_pipelines.media.encode_pass import PassToMake, Plan
from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.fingerprints import fingerprint, stamps_of
from cosmos_pipelines.media.kept import how_made, still_valid
from cosmos_pipelines.media.one_writer import sole_writer, staging_in
from cosmos_pipelines.media.pass_names import PASSES
from cosmos_pipelines.media.plain import ShownOtherwise
from cosmos_pipelines.media.progress import OnProgress
from cosmos_pipelines.media.publish import check_replaceable, publish
from cosmos_pipelines.media.record import Entry, entry_of, facts_of, notes_of
from cosmos_pipelines.media.scene import Scene, prepared_name
from cosmos_pipelines.media.scene_file import SCENE_FILE, entries_of, products, read_scene_file
from cosmos_pipelines.media.sequence import FoundScene, survey
from cosmos_pipelines.media.sources import Source, agree, look_at

__all__ = ["Scene", "load_scene", "planned", "prepare_scene"]


def prepare_scene(
    source: Path,
    dest: Path,
    asked: Asked = AS_USUAL,
    *,
    name: str | None = None,
    description: str | None = None,
    progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Make `dest`/{color,depth,segmentation,edge,vis}.mp4 and scene.json from renders in `source`.

    `progress(pass, done, total)` is called from this thread. `dest` may be `source`: a video that
    must be encoded stays, and `<pass>.prepared.mp4` is made beside it. What has not changed since
    the last time is not encoded again. Another process that is preparing `dest` is waited for.

    Returns scene.json's content with `path` and `unchanged` (nothing had to be done).

    Raises:
        MediaError: no color, a gap, passes that differ, a file that cannot be used, or a file of
            `dest` that is not ours and would be overwritten. Nothing has been written then.
        DiskFull: no room; `dest` is as it was.
    """
    source, dest = absolute(source), absolute(dest)
    with saying_why_not_read(dest):
        there = dest.exists()
    if there and not dest.is_dir():
        raise MediaError(f"{dest} is not a directory.")
    if not there:
        _survey(source, dest, {}, asked)  # before a directory is made for it
    with sole_writer(dest):
        return _prepare(source, dest, asked, name, description, progress)


def load_scene(directory: Path) -> Scene:
    """As `media.scene.load_scene`; a pass that is shown otherwise than its pixels lie is prepared.

    That is done in place, as it was asked for the last time.

    Raises:
        MediaError: the scene cannot be used, or it would have to be prepared and cannot be.
        DiskFull: no room to prepare it.
    """
    try:
        return scene.load_scene(directory)
    except ShownOtherwise:
        asked = Asked.before(read_scene_file(directory))
        prepare_scene(directory, directory, asked)
        return scene.load_scene(directory)


def _prepare(
    source: Path,
    dest: Path,
    asked: Asked,
    name: str | None,
    description: str | None,
    progress: OnProgress | None,
) -> dict[str, Any]:
    """As `prepare_scene`, once nobody else writes to `dest`."""
    earlier = read_scene_file(dest)
    found = _survey(source, dest, earlier, asked)
    settings = {**asked.facts(), "version": encode_pass.VERSION}
    how = {n: how_made(p, asked) for n, p in found.passes.items()}
    prints = {n: fingerprint(p, source, how[n]) for n, p in found.passes.items()}
    stamps = {n: " ".join(stamps_of(p, source)) for n, p in found.passes.items()}
    head = {
        "name": name or earlier.get("name") or dest.name,
        "description": description or earlier.get("description") or found.task or None,
        "source": "." if source == dest else as_text(str(source)),
        "settings": settings,
    }
    passes = found.passes.items()
    kept = {n: e for n, p in passes if (e := still_valid(dest, earlier, p, prints[n], asked))}
    if _same_as_before(earlier, kept, prints, head):
        return {**_told(dest, earlier, kept, stamps), "path": str(dest), "unchanged": True}
    sources = look_at(found.passes.values(), asked.step)
    plan = planned(sources, asked)
    kept = {n: e for n, e in kept.items() if _fits(e, plan)}
    mine = {file for s in sources for file in s.found.files}  # the user's: they stay
    beside = _own_videos(dest, earlier) - mine if source == dest else set()
    mine |= beside
    check_replaceable(dest, earlier, keep=mine)
    with staging_in(dest) as staging:
        entries = _make_all(sources, plan, staging, kept, progress, beside)
        now = _survey(source, dest, earlier, asked).passes.items()
        if {n: fingerprint(p, source, how_made(p, asked)) for n, p in now} != prints:
            raise MediaError(
                f"{source} was changed while it was being prepared.",
                hint="Do it again when everything is rendered.",
            )
        for n, e in entries.items():
            entries[n] = {**e, "fingerprint": prints[n], "how": how[n], "stamps": stamps[n]}
        record = {
            **head,
            **facts_of(sources, plan, entries),
            "asked": asked.facts(),
            "ignored": list(found.ignored),
            "created_by": f"cosmos prepare {version('cosmos-pipelines')}",
            "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "notes": notes_of(sources, plan, entries, rate_given=asked.fps is not None),
            **({"task": found.task} if found.task else {}),
        }
        record = publish(record, staging, dest, earlier, keep=mine)
    return {**record, "path": str(dest), "unchanged": False}


def _survey(source: Path, dest: Path, earlier: Mapping[str, Any], asked: Asked) -> FoundScene:
    """The passes in `source`, without what we made ourselves the last time."""
    skip = {dest, *products(dest, earlier)} - {source}
    found = survey(source, skip=skip, wanted=asked.wanted).scene(asked.scene)
    require_color(found)
    return found


def require_color(found: FoundScene) -> None:
    """Refuse a scene without its colour pass. Raises MediaError; says what there is."""
    if "color" in found.passes:
        return
    has = ", ".join(p.label for p in found.passes.values())
    raise MediaError(
        f"{found.root} has no color pass"
        + (f"; it has {has}" if has else "")
        + (f"; not recognised: {', '.join(found.ignored[:5])}" if found.ignored else "")
        + ".",
        hint="Name the pictures color.0001.png, color.0002.png, ... or the video color.mp4; or "
        "say `--pass color=` and what of it is.",
    )


def _same_as_before(
    earlier: Mapping[str, Any],
    kept: Mapping[str, Entry],
    prints: Mapping[str, str],
    head: Mapping[str, Any],
) -> bool:
    return set(kept) == set(prints) == set(entries_of(earlier)) and all(
        earlier.get(k) == v for k, v in head.items()
    )


def _told(
    dest: Path, earlier: dict[str, Any], kept: Mapping[str, Entry], stamps: Mapping[str, str]
) -> dict[str, Any]:
    """The record of a scene of which nothing had to be made, with its files' times as they are."""
    now = {n: {**e, "stamps": stamps[n]} for n, e in kept.items()}
    record = {**earlier, "passes": now}
    if record != earlier:
        write_json(dest / SCENE_FILE, record)
    return record


def _fits(entry: Entry, plan: Plan) -> bool:
    want = (plan.width, plan.height, str(plan.fps))
    return (entry.get("width"), entry.get("height"), entry.get("fps")) == want


def planned(sources: list[Source], asked: Asked) -> Plan:
    """What the passes will have in common. Raises MediaError where they differ."""
    rate = agree(sources, asked.fps)
    _check_colour_options(sources, asked)
    width, height = sources[0].width, sources[0].height
    if width < 2 or height < 2:
        raise MediaError(f"{width}x{height} is too small for a video.")
    return Plan(width - width % 2, height - height % 2, rate, asked)


def _check_colour_options(sources: list[Source], asked: Asked) -> None:
    """Refuse options that would do nothing: PNG and videos are what a display shows already."""
    given = {"--colorspace": asked.colorspace, "--exposure": asked.exposure}
    options = [name for name, value in given.items() if value is not None]
    for source in sources:
        if options and source.name == "color" and source.found.kind != "pictures":
            raise MediaError(
                f"{source.found.label} is what a display shows already, so "
                f"{' and '.join(options)} would do nothing.",
                hint="Leave it out, or render the colour pass as EXR.",
            )


def _own_videos(dest: Path, earlier: Mapping[str, Any]) -> set[Path]:
    """Videos in `dest` that are called as ours and that we never wrote: the user's own."""
    made = {e["file"] for e in entries_of(earlier).values() if e["made"] != "kept"}
    names = {f"{name}.mp4" for name in PASSES} - made - set(earlier.get("replaced", ()))
    return {dest / name for name in names if (dest / name).is_file()}


def _file_of(source: Source, plan: Plan, dest: Path, beside: Collection[Path]) -> str:
    """What the pass is called in `dest`: its usual name unless that is the user's own.

    `beside`: videos of the user that are not taken, since there is something better.
    """
    usual = f"{source.name}.mp4"
    if dest / usual in beside:
        return prepared_name(source.name)
    itself = dest / usual == source.found.files[0]
    encoded = itself and not encode_pass.usable_as_it_is(source, plan)
    return prepared_name(source.name) if encoded else usual


def _make_all(
    sources: list[Source],
    plan: Plan,
    staging: Path,
    kept: Mapping[str, Entry],
    progress: OnProgress | None,
    beside: Collection[Path],
) -> dict[str, Entry]:
    files = {s.name: _file_of(s, plan, staging.parent, beside) for s in sources}
    jobs = [
        PassToMake(s, staging / files[s.name], _steps(s.name, encode_pass.steps(s, plan), progress))
        for s in sources
        if s.name not in kept and staging.parent / files[s.name] != s.found.files[0]
    ]
    facts = encode_pass.make_all(jobs, plan)
    made = {
        job.source.name: entry_of(job.source, job.target, told)
        for job, told in zip(jobs, facts, strict=True)
    }
    return {s.name: made.get(s.name) or kept.get(s.name) or _as_it_is(s) for s in sources}


def _as_it_is(source: Source) -> Entry:
    """The entry of a video that is the pass itself."""
    target = source.found.files[0]
    return entry_of(source, target, {"made": "kept", "source_sha256": hash_of(target)})


def _steps(name: str, total: int, progress: OnProgress | None) -> Callable[[], None]:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(name, done, total)

    return step
