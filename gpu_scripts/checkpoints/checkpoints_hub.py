"""Asks a Hugging Face hub, or a mirror of one, over plain HTTPS. Standard library only.

The token goes to the endpoint alone, and not over plain HTTP unless that is on this machine: a
redirect to another host (where large files lie) is followed without it. Nothing here prints it, or
the user and password that an endpoint's address may have, which are sent instead of a token.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from checkpoints_manifest import Entry
from checkpoints_names import COMMIT, endpoint_of, host_of, keeps_secrets, shown, stays_inside

T = TypeVar("T")

TIMEOUT_S = 60.0
REDIRECTS = 5
LONGEST = 64 << 20
"""Bytes of a list of files."""
_REDIRECT = (301, 302, 303, 307, 308)
_AGAIN = (408, 429, 500, 502, 503, 504)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


class Refused(Exception):
    """The hub will not give it; asking again changes nothing."""


class Passing(Exception):
    """A failure of the network or of a server, which may pass."""


@dataclass(frozen=True)
class Facts:
    """What the hub tells of a file before it is downloaded."""

    commit: str | None
    size: int | None
    etag: str
    """SHA-256 of a large file, SHA-1 of a small one's git blob; or whatever the server has."""

    @property
    def hashes(self) -> dict[str, str]:
        """The hash that the content must have, by its kind."""
        if _SHA256.fullmatch(self.etag):
            return {"sha256": self.etag}
        return {"git": self.etag} if _SHA1.fullmatch(self.etag) else {}


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by us, who decide what goes along."""

    def redirect_request(self, *_: Any) -> None:
        """None: do not."""
        return


class Hub:
    """An endpoint and what it is asked with. Raises ValueError if it is none."""

    def __init__(
        self, endpoint: str, token: str | None, *, pause_s: float = 2.0, tries: int = 6
    ) -> None:
        self.endpoint, self._basic = endpoint_of(endpoint)
        self.withholds = bool(token) and not keeps_secrets(self.endpoint)
        """Whether it was given a token that it does not send."""
        self._token = None if self.withholds else token
        self.pause_s, self.tries = pause_s, tries
        self._opener = urllib.request.build_opener(_Stay)

    def facts(self, entry: Entry, path: str) -> Facts:
        """What a file is. Raises Refused, Passing."""

        def ask() -> Facts:
            seen: dict[str, str] = {}
            url = self._url(entry, path)
            for _ in range(REDIRECTS):
                with self._open("HEAD", url, {}, entry) as answer:
                    headers = {k.lower(): v for k, v in answer.headers.items()}
                    redirected = answer.status in _REDIRECT
                    if redirected:
                        for name in ("content-length", "etag"):  # of the redirect itself
                            headers.pop(name, None)
                    seen = headers | seen
                    if not redirected or {"x-linked-size", "x-linked-etag"} <= set(seen):
                        return self._checked(_facts(seen), entry)
                    url = _next(url, headers["location"])
            raise Refused(f"{self.host} redirects for ever")

        return self.patiently(ask)

    def files(self, entry: Entry) -> tuple[str, list[str]]:
        """The commit that a revision is, and all files of the repository at it."""
        url = f"{self.endpoint}/api/models/{entry.repo}/revision/{quote(entry.at, safe='')}"

        def ask() -> tuple[str, list[str]]:
            with self._get(url, {}, entry) as answer:
                text = answer.read(LONGEST + 1)
            if len(text) > LONGEST:
                raise ValueError(f"its answer has more than {LONGEST >> 20} MiB")
            told = json.loads(text)
            return str(told["sha"]), [str(one["rfilename"]) for one in told["siblings"]]

        try:
            commit, names = self.patiently(ask)
            self._check_commit(commit, entry)
            for name in names:
                if not stays_inside(name):
                    said = f"{self.host} lists {shown(name)} in {entry.repo}"
                    raise Refused(f"{said}, which leads elsewhere")
            return commit, names
        except (ValueError, KeyError, TypeError, RecursionError) as e:
            raise Refused(f"{self.host} does not list the files of {entry.repo}: {e}") from e

    def _checked(self, facts: Facts, entry: Entry) -> Facts:
        if facts.commit is not None:
            self._check_commit(facts.commit, entry)
        return facts

    def _check_commit(self, commit: str, entry: Entry) -> None:
        if not COMMIT.fullmatch(commit):
            said = f"{self.host} says that {entry.repo} is at {shown(commit)}"
            raise Refused(f"{said}, which is no commit")

    def open(self, entry: Entry, path: str, offset: int) -> http.client.HTTPResponse:
        """The content from a byte on: 206; the whole content where that cannot be had: 200.

        Raises:
            Refused, Passing.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self._get(self._url(entry, path), headers, entry)

    @property
    def host(self) -> str:
        """As people are told."""
        return host_of(self.endpoint)

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask again after failures that may pass, with growing pauses."""
        for left in range(self.tries - 1, -1, -1):
            try:
                return ask()
            except Passing:
                if not left:
                    raise
                time.sleep(min(self.pause_s * 2 ** (self.tries - 1 - left), 60))
        raise AssertionError

    def _url(self, entry: Entry, path: str) -> str:
        return f"{self.endpoint}/{entry.repo}/resolve/{quote(entry.at, safe='')}/{quote(path)}"

    def _get(self, url: str, headers: Mapping[str, str], entry: Entry) -> http.client.HTTPResponse:
        for _ in range(REDIRECTS):
            answer = self._open("GET", url, headers, entry)
            if answer.status not in _REDIRECT:
                return answer
            url = _next(url, answer.headers["location"])
            answer.close()
        raise Refused(f"{self.host} redirects for ever")

    def _open(
        self, method: str, url: str, headers: Mapping[str, str], entry: Entry
    ) -> http.client.HTTPResponse:
        request = urllib.request.Request(url, method=method, headers=dict(headers))  # noqa: S310
        if request.type not in ("https", "http"):
            raise Refused(f"{self.host} leads to {request.type}:, which is not followed")
        request.add_header("Accept-Encoding", "identity")  # or sizes are those of packed files
        request.add_header("User-Agent", "cosmos-pipelines")
        ours = urlsplit(url)[:2] == urlsplit(self.endpoint)[:2]
        if ours and (self._basic or self._token):
            secret = f"Basic {self._basic}" if self._basic else f"Bearer {self._token}"
            request.add_unredirected_header("Authorization", secret)
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
            return answer
        except urllib.error.HTTPError as e:
            if e.code in _REDIRECT and e.headers.get("location"):
                return e  # type: ignore[return-value]  # it is an answer as well
            raise self._failure(e, entry, ours) from None
        except http.client.InvalidURL:  # it would tell all of it
            raise Refused(f"{host_of(url)} cannot be asked: its address is none") from None
        except (OSError, http.client.HTTPException) as e:
            reason = getattr(e, "reason", None) or e
            raise Passing(f"{host_of(url)} cannot be reached: {reason}") from None

    def _failure(self, e: urllib.error.HTTPError, entry: Entry, ours: bool) -> Exception:
        code = e.headers.get("X-Error-Code") or ""
        e.close()
        # What the store of large files refuses is an address that has expired.
        if e.code in _AGAIN or not ours:
            return Passing(f"{host_of(e.url)} answers {e.code}")
        if e.code == 401 and self._basic:
            return Refused(f"{self.host} does not accept the user and password of HF_ENDPOINT")
        if e.code == 401 and not self._token:
            sure = entry.gated or code == "GatedRepo"
            what = "needs a token" if sure else "needs a token or does not exist"
            none = "yours is not sent there" if self.withholds else "none was given: set HF_TOKEN"
            return Refused(f"{entry.repo} {what}, and {none}")
        if e.code == 401:
            return Refused(f"the token is not accepted by {self.host} for {entry.repo}")
        if e.code == 403:
            page = f"{self.endpoint}/{entry.repo}"
            return Refused(f"accept the licence of {entry.repo} at {page} with the token's account")
        if e.code == 404 and (code == "RevisionNotFound" or (entry.revision and not code)):
            return Refused(f"the pinned revision {entry.at} is gone from {entry.repo}")
        if e.code == 404 and code != "RepoNotFound":
            return Refused(f"there is no such file in {entry.repo} at {entry.at}")
        if e.code == 404:
            return Refused(f"{self.host} has no {entry.repo}, or not for this token")
        return Refused(f"{self.host} answers {e.code} {e.reason}")


def _next(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        there = urljoin(url, location)
        _ = urlsplit(there).port
        return there
    except ValueError:  # its text may tell a signed address
        raise Refused(f"{host_of(url)} leads to an address that is none") from None


def _facts(headers: Mapping[str, str]) -> Facts:
    etag = headers.get("x-linked-etag") or headers.get("etag") or ""
    size = headers.get("x-linked-size") or headers.get("content-length") or ""
    return Facts(
        commit=headers.get("x-repo-commit"),
        size=int(size) if re.fullmatch("[0-9]{1,18}", size) else None,
        etag=etag.removeprefix("W/").strip('"'),
    )
