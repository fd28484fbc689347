"""The part of the API for those who compare videos with each other."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.api.arguments import Id, Record, Words
from cosmos_pipelines.api.project import Project


class Comparing(Project):
    """Videos of runs and scenes beside each other, and what they were made with."""

    def comparison(self, videos: Words) -> Record:
        """Return what a person wants to see of two to nine videos beside each other.

        `videos`: ids of runs, and `scene:KEY/PASS` for a scene's own pass; names that come twice
        count once.

        `videos`: of each `name`, `title`, `run` (its id, None for a pass), `url` and `poster` below
        the page's address, `frames`, `fps` (exact), `width`, `height`, the `settings` it was made
        with, and `trouble`: why there is no video to show. `differences`: name, label, description
        (`about`) and the `values` of the settings that differ, in the order of the videos.
        `offered`: name and title of videos that may be added. `left_out`: a sentence, if there were
        more than nine.

        Raises:
            InputError: a name of more than 2,000 characters.
        """
        from cosmos_pipelines.runs import compare

        names, left_out = compare.check_names(videos)
        found = compare.videos_of(self.catalog, self.settings, names)
        return {
            "videos": found,
            "differences": compare.differing(found),
            "offered": compare.offered(self.catalog, found),
            "left_out": left_out,
        }

    def video_of_pass(self, name: Id) -> Path | None:
        """Return the file of a scene's pass, named `KEY/PASS`; None unless it is as measured.

        Raises:
            UnknownId: there is no such scene, or it has no such pass.
        """
        from cosmos_pipelines.runs.compare import file_of_pass, find_pass

        return file_of_pass(self.settings, *find_pass(self.catalog, name))
