"""Transfer files to and from a host by the hash of their content, whole and verified.

    <remote_dir>/cas/<sha256>        uploaded once, read-only
    <remote_dir>/cas/<sha256>.part   an unfinished upload, which the next upload continues
    <remote_dir>/cas/.incoming/      small files of a stream that is being received

A lost connection raises an error and is not retried here; a second call continues.
"""

from __future__ import annotations

from cosmos_pipelines.remote.files.confine import confine, host_directory
from cosmos_pipelines.remote.files.download import Wanted, get_file, get_files
from cosmos_pipelines.remote.files.meter import Report
from cosmos_pipelines.remote.files.upload import LocalFile, Sent, put_files

__all__ = ["LocalFile", "Report", "Sent", "Wanted", "confine", "get_file",
           "get_files", "host_directory", "put_files"]  # fmt: skip
