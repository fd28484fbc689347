"""httpx that waits as long as `until` does: its own five seconds are short on a busy machine."""

from __future__ import annotations

from functools import partial
from typing import Final

import httpx

from tests.support.waiting import LONG_S

get: Final = partial(httpx.get, timeout=LONG_S)
post: Final = partial(httpx.post, timeout=LONG_S)
request: Final = partial(httpx.request, timeout=LONG_S)
stream: Final = partial(httpx.stream, timeout=LONG_S)
client: Final = partial(httpx.Client, timeout=LONG_S)
