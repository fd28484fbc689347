"""What NVIDIA's guardrails say, word for word."""

from __future__ import annotations

from .behaviour import Told

UNSAFE_VIDEO = "GUARDRAIL BLOCKED: VIDEOCONTENTSAFETYFILTER: unsafe frames detected"


def refusal(prompt: str | None, told: Told, guard: str, guard_says: str) -> str | None:
    """The line about a prompt that is refused, or None.

    `[sim:blocked WORD]` is a match of the blocklist, `[sim:blocked]` alone a refusal by the model
    called `guard`. Where standard output is no terminal, the blocklist takes each asterisk of a
    prompt for one that it has put there itself.
    """
    if not prompt:
        return "GUARDRAIL BLOCKED: BLOCKLIST: Input is empty"
    if "*" in prompt:
        said = f"Prompt blocked by censorship: Censored Prompt: {prompt}"
        return f"GUARDRAIL BLOCKED: BLOCKLIST: {said}"
    if "blocked" not in told:
        return None
    if told["blocked"]:
        said = f"Prompt: {prompt}, Exact Match Word: {told['blocked']}"
        return f"GUARDRAIL BLOCKED: BLOCKLIST: Prompt blocked by exact match blocklist: {said}"
    return f"GUARDRAIL BLOCKED: {guard}: {guard_says}"
