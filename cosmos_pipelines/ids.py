"""Make and recognise ids: `ps_` prompts, `rs_` runs, `batch_` batches."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

PROMPT: Final = re.compile(r"ps_[0-9a-f]{16}")
RUN: Final = re.compile(r"rs_[0-9a-f]{32}")


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of `content` in canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def prompt_id(
    text: str,
    negative_prompt: str | None,
    scene: str,
    parameters: Mapping[str, Any],
    number: int = 0,
) -> str:
    """The id of a prompt: the same content always has the same id.

    `number`: another id for the same content. A scene that is renamed takes its prompts along, with
    their ids; one that later has its old name needs others.
    """
    content = {"text": text, "negative": negative_prompt, "scene": scene, "parameters": parameters}
    return "ps_" + content_hash(content | ({"number": number} if number else {}))[:16]


def new_run_id() -> str:
    """A fresh run id, unique without asking anyone."""
    return "rs_" + uuid.uuid4().hex


def new_load_id() -> str:
    """A fresh id of a load."""
    return "ld_" + uuid.uuid4().hex


def order_id(run_ids: tuple[str, ...], attempt: int) -> str:
    """Name of the container and run folder of one order: a function of its runs and attempt.

    A second start of the same runs thus meets the first one's name and is refused by the engine.
    """
    base = run_ids[0] if len(run_ids) == 1 else "batch_" + content_hash({"runs": run_ids})[:32]
    return base if attempt <= 1 else f"{base}.{attempt}"


def attempt_of_order(order: str) -> int:
    """The attempt of its runs in which an order was started, as its name tells."""
    _, point, number = order.partition(".")
    return int(number) if point and number.isdecimal() else 1


def is_prompt_id(text: str) -> bool:
    """Whether `text` has the form of a prompt id."""
    return PROMPT.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Whether `text` has the form of a run id."""
    return RUN.fullmatch(text) is not None
