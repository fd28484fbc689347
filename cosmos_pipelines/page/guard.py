"""Who may: a request that changes something comes from a page of ours."""

from __future__ import annotations

import secrets


def new_token() -> str:
    """Return a token that only pages of this server know."""
    return secrets.token_urlsafe(24)
