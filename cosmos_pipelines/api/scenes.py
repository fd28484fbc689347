"""The part of the API for people who look at scenes: numbers, pictures, what is older."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from cosmos_pipelines.api.arguments import Count, Id, Record, Words
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.catalog.records import iso

FAILED_TOLD: Final = 50
"""Scenes of which Dagster's records are asked why they were not made."""


class Scenes(Project):
    """Look at the scenes of one project, and order what is older than they are."""

    def scenes_after(self, key: str = "", limit: Count = 60) -> list[Record]:
        """Return at most `limit` scenes with keys behind `key`, sorted by key.

        As in `list_scenes`, with the numbers of `prompts` and of completed `videos`.
        """
        from cosmos_pipelines.runs.scene_state import scene_record

        rows = self.catalog.scenes_after(key, limit)
        counts = self.catalog.counts_of_scenes(row.key for row in rows)
        none = {"prompts": 0, "videos": 0}
        return [scene_record(self.settings, row) | counts.get(row.key, none) for row in rows]

    def look_at_scene(self, key: Id) -> Record:
        """Return a scene as in `scenes_after`, with its passes and what differs.

        `passes`: name, file, width, height, frames, fps, size in bytes, `told` (what its scene.json
        says besides, in words), `notes`, `legend` and `depth` (of the pass depth, as scene.json has
        it: range, histogram, what hit nothing; else None); `legend`: the segments (name, color,
        area, frames, id), the largest first; `notes`: those of the whole scene; `ignored`: files
        that are no pass; `problem`: why scene.json cannot be read. `differs`: what is not as it was
        measured, in sentences; for that, changed files may be read.

        Raises:
            UnknownId: there is no such scene.
        """
        from cosmos_pipelines.runs.scene_facts import differences, legend_of, told_of
        from cosmos_pipelines.runs.scene_state import scene_record

        row = self.catalog.get_scene(key)
        told = told_of(self.settings, row)
        counts = self.catalog.counts_of_scenes([row.key]).get(row.key, {"prompts": 0, "videos": 0})
        differs = differences(self.settings, row)
        more = {**told, "differs": differs, "legend": legend_of(told["passes"])}
        return scene_record(self.settings, row) | counts | more

    def picture_of_pass(self, key: Id, name: str) -> Path | None:
        """Return a still (JPEG) of a scene's pass; None if it has no such pass.

        It is made at the first time, and again when the pass has changed.

        Raises:
            UnknownId: there is no such scene.
            MediaError: the pass cannot be read.
        """
        from cosmos_pipelines.runs.cards import below_outputs
        from cosmos_pipelines.runs.scene_facts import pass_picture

        picture = pass_picture(self.settings, self.catalog.get_scene(key), name)
        return picture and below_outputs(self.settings, picture)

    def older_videos(self, key: Id) -> list[Record]:
        """Return the cards of a scene's videos that were made of another render than that of now.

        Besides: `outdated` (what is another, in words) and `replaced_by` (the newest run that was
        asked to make the same since; None: there is none).
        """
        from cosmos_pipelines.runs.older import older_videos

        return older_videos(self.catalog, self.settings, self.catalog.get_scene(key).key)

    def make_older_again(self, key: Id, run_ids: Words) -> list[Record]:
        """Queue these videos of `older_videos` again, those that are not replaced yet.

        Asking twice makes one thing: the runs that are there are returned. If one run is refused,
        no run is registered.
        """
        from cosmos_pipelines.runs.older import order_again

        scene = self.catalog.get_scene(key)
        runs = order_again(self.catalog, self.settings, scene.key, set(run_ids))
        return [run.as_dict() for run in runs]

    def not_taken(self) -> Record:
        """Return the directories below the inputs root that have not become scenes.

        `directories`: name, `state` (settling: files still come; waiting: not whole; bad: it cannot
        be used; failed: its preparation did), `said` (the reason) and `since`. `known`:
        False if Dagster's daemon, which looks for scenes, has never looked.
        """
        from cosmos_pipelines.resources.daemon_side import daemon_side, failed_scenes
        from cosmos_pipelines.sensors.scene_memory import seen_of

        cursor = daemon_side(self.settings).scenes_cursor
        seen = seen_of(cursor) or {}
        known = self.catalog.find_scenes(seen)
        others = {name: one for name, one in seen.items() if one.state != "taken"}
        prepared = self._prepared_after(min((one.since for one in others.values()), default=None))
        directories = [
            {"name": name, "state": one.state, "said": one.said, "since": iso(_moment(one.since))}
            for name, one in others.items()
            if name not in prepared or prepared[name] <= _moment(one.since)
        ]
        missing = [name for name, one in seen.items() if one.state == "taken" and name not in known]
        directories += [
            {"name": name, "state": "failed", "said": said, "since": iso(at)}
            for name, (said, at) in failed_scenes(self.settings, missing[:FAILED_TOLD]).items()
        ]
        directories.sort(key=lambda one: one["name"])
        return {"known": cursor is not None, "directories": directories}

    def _prepared_after(self, since: float | None) -> dict[str, datetime]:
        """When a scene was prepared last, by its key and each directory that it lies in."""
        newest: dict[str, datetime] = {}
        touched = self.catalog.scenes_touched(_moment(since)) if since is not None else {}
        for key, at in touched.items():
            for name in (key, *map(str, PurePosixPath(key).parents)):
                newest[name] = max(at, newest.get(name, at))
        return newest


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
