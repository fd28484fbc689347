"""Files to and from a host, each by the hash of its content: whole and verified, or not at all.

    <remote_dir>/cas/<sha256>        uploaded once for ever, read-only
    <remote_dir>/cas/<sha256>.part   what a cut has left; the next upload goes on from there
    <remote_dir>/cas/.incoming/      small files on their way, as one stream

Nothing here is repeated after a lost link: it is raised, and calling again continues.
"""

from __future__ import annotations

from cosmos_pipelines.remote.files.confine import confine, host_directory
from cosmos_pipelines.remote.files.download import Wanted, get_file, get_files
from cosmos_pipelines.remote.files.meter import Report
from cosmos_pipelines.remote.files.upload import LocalFile, Sent, put_files

__all__ = ["LocalFile", "Report", "Sent", "Wanted", "confine", "get_file",
           "get_files", "host_directory", "put_files"]  # fmt: skip
