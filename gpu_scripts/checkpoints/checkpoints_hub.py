"""Requests to a Hugging Face hub, or a mirror of the hub, over plain HTTPS. Standard library only.

The token goes to the endpoint only, and not over plain HTTP unless the endpoint is on this machine:
a redirect to another host (the store of large files) is followed without the token. No line of the
log has the token, or the user and password of the endpoint's address, which replace the token.
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
    """The hub refuses the file; a second request would get the same answer."""


class Passing(Exception):
    """A failure of the network or of a server; a later request may succeed."""


@dataclass(frozen=True)
class Facts:
    """The hub's facts of a file, before the download."""

    commit: str | None
    size: int | None
    etag: str
    """SHA-256 of a large file, SHA-1 of a small file's git blob; or another server's own tag."""

    @property
    def hashes(self) -> dict[str, str]:
        """The hash that the content must have, by the kind of hash."""
        if _SHA256.fullmatch(self.etag):
            return {"sha256": self.etag}
        return {"git": self.etag} if _SHA1.fullmatch(self.etag) else {}


class _Stay(urllib.request.HTTPRedirectHandler):
    """No redirect is followed automatically: `Hub` decides which headers go to the next host."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: do not follow the redirect."""
        return


class Hub:
    """An endpoint and its token. Raises ValueError if the endpoint's address is wrong."""

    def __init__(
        self, endpoint: str, token: str | None, *, pause_s: float = 2.0, tries: int = 6
    ) -> None:
        self.endpoint, self._basic = endpoint_of(endpoint)
        self.withholds = bool(token) and not keeps_secrets(self.endpoint)
        """Whether a token was given that is not sent to this endpoint."""
        self._token = None if self.withholds else token
        self.pause_s, self.tries = pause_s, tries
        self._opener = urllib.request.build_opener(_Stay)

    def facts(self, entry: Entry, path: str) -> Facts:
        """Return the facts of a file. Raises Refused, Passing."""

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
            raise Refused(f"{self.host} sends too many redirects")

        return self.patiently(ask)

    def files(self, entry: Entry) -> tuple[str, list[str]]:
        """Return the commit of a revision, and all files of the repository at this commit."""
        url = f"{self.endpoint}/api/models/{entry.repo}/revision/{quote(entry.at, safe='')}"

        def ask() -> tuple[str, list[str]]:
            with self._get(url, {}, entry) as answer:
                text = answer.read(LONGEST + 1)
            if len(text) > LONGEST:
                raise ValueError(f"its answer has more than {LONGEST >> 20} MiB")
            info = json.loads(text)
            return str(info["sha"]), [str(file["rfilename"]) for file in info["siblings"]]

        try:
            commit, names = self.patiently(ask)
            self._check_commit(commit, entry)
            for name in names:
                if not stays_inside(name):
                    problem = f"{self.host} lists {shown(name)} in {entry.repo}"
                    raise Refused(f"{problem}: this path leads out of the directory")
            return commit, names
        except (ValueError, KeyError, TypeError, RecursionError) as e:
            raise Refused(f"{self.host} does not list the files of {entry.repo}: {e}") from e

    def _checked(self, facts: Facts, entry: Entry) -> Facts:
        if facts.commit is not None:
            self._check_commit(facts.commit, entry)
        return facts

    def _check_commit(self, commit: str, entry: Entry) -> None:
        if not COMMIT.fullmatch(commit):
            problem = f"{self.host} says that {entry.repo} is at {shown(commit)}"
            raise Refused(f"{problem}, which is not a commit")

    def open(self, entry: Entry, path: str, offset: int) -> http.client.HTTPResponse:
        """Open a file's content from byte `offset` on: status 206; 200 is the whole content.

        Raises:
            Refused, Passing.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self._get(self._url(entry, path), headers, entry)

    @property
    def host(self) -> str:
        """The endpoint's host and port, for messages."""
        return host_of(self.endpoint)

    def patiently(self, ask: Callable[[], T]) -> T:
        """Repeat a request after each Passing, with growing pauses."""
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
        raise Refused(f"{self.host} sends too many redirects")

    def _open(
        self, method: str, url: str, headers: Mapping[str, str], entry: Entry
    ) -> http.client.HTTPResponse:
        request = urllib.request.Request(url, method=method, headers=dict(headers))  # noqa: S310
        if request.type not in ("https", "http"):
            raise Refused(f"{self.host} redirects to {request.type}:, which is not followed")
        request.add_header("Accept-Encoding", "identity")  # else sizes are of compressed content
        request.add_header("User-Agent", "cosmos-pipelines")
        to_endpoint = urlsplit(url)[:2] == urlsplit(self.endpoint)[:2]
        if to_endpoint and (self._basic or self._token):
            secret = f"Basic {self._basic}" if self._basic else f"Bearer {self._token}"
            request.add_unredirected_header("Authorization", secret)
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
            return answer
        except urllib.error.HTTPError as e:
            if e.code in _REDIRECT and e.headers.get("location"):
                return e  # type: ignore[return-value]  # a redirect is an answer too
            raise self._failure(e, entry, to_endpoint) from None
        except http.client.InvalidURL:  # the exception's text has the whole address
            raise Refused(f"{host_of(url)} cannot be reached: the address is not valid") from None
        except (OSError, http.client.HTTPException) as e:
            reason = getattr(e, "reason", None) or e
            raise Passing(f"{host_of(url)} cannot be reached: {reason}") from None

    def _failure(self, e: urllib.error.HTTPError, entry: Entry, to_endpoint: bool) -> Exception:
        code = e.headers.get("X-Error-Code") or ""
        e.close()
        # The store of large files refuses an expired address.
        if e.code in _AGAIN or not to_endpoint:
            return Passing(f"{host_of(e.url)} answers {e.code}")
        if e.code == 401 and self._basic:
            return Refused(f"{self.host} does not accept the user and password of HF_ENDPOINT")
        if e.code == 401 and not self._token:
            sure = entry.gated or code == "GatedRepo"
            what = "needs a token" if sure else "needs a token or does not exist"
            none = "no token was given: set HF_TOKEN"
            why = "your token is not sent over http" if self.withholds else none
            return Refused(f"{entry.repo} {what}, and {why}")
        if e.code == 401:
            return Refused(f"the token is not accepted by {self.host} for {entry.repo}")
        if e.code == 403:
            page = f"{self.endpoint}/{entry.repo}"
            return Refused(f"accept the licence of {entry.repo} at {page} with the token's account")
        if e.code == 404 and (code == "RevisionNotFound" or (entry.revision and not code)):
            return Refused(f"{entry.repo} no longer has the pinned revision {entry.at}")
        if e.code == 404 and code != "RepoNotFound":
            return Refused(f"{entry.repo} has no such file at {entry.at}")
        if e.code == 404:
            return Refused(f"{self.host} has no {entry.repo}, or does not show it to this token")
        return Refused(f"{self.host} answers {e.code} {e.reason}")


def _next(url: str, location: str) -> str:
    """Return the address to which a redirect leads."""
    try:
        target = urljoin(url, location)
        _ = urlsplit(target).port
        return target
    except ValueError:  # the exception's text may have a signed address
        raise Refused(f"{host_of(url)} redirects to an address that is not valid") from None


def _facts(headers: Mapping[str, str]) -> Facts:
    etag = headers.get("x-linked-etag") or headers.get("etag") or ""
    size = headers.get("x-linked-size") or headers.get("content-length") or ""
    return Facts(
        commit=headers.get("x-repo-commit"),
        size=int(size) if re.fullmatch("[0-9]{1,18}", size) else None,
        etag=etag.removeprefix("W/").strip('"'),
    )
