"""Rules turn a prompt's words into a look: exposure, colours, weather.

Known words (sunset, night, snow, rain, fog, golden, neon, ...) choose a look; the hash of the whole
text adds a subtle, stable look. The words of a negative prompt take their looks away. The strength
follows the guidance: 0 at guidance 0, 1 at 5, near 2 at 20 and above.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Changes to a picture; all zeros: no change."""

    exposure: float = 0.0
    """Stops."""
    contrast: float = 0.0
    saturation: float = 0.0
    warmth: float = 0.0
    shadows: Rgb = (0.0, 0.0, 0.0)
    """Added to the dark parts."""
    highlights: Rgb = (0.0, 0.0, 0.0)
    """Added to the bright parts."""
    fog: float = 0.0
    rain: float = 0.0
    snow: float = 0.0
    glow: float = 0.0
    sun: float = 0.0
    neon: float = 0.0
    vignette: float = 0.0
    clear: float = 0.0
    """Share of the depth's fog that is taken away."""


WORDS: dict[str, tuple[str, Look]] = {
    "sunset": (
        r"sunset|sundown|dusk|twilight",
        Look(
            exposure=-0.2,
            contrast=0.15,
            saturation=0.25,
            warmth=0.16,
            shadows=(0.05, -0.01, 0.08),
            highlights=(0.19, 0.03, -0.15),
            sun=1.0,
            glow=0.35,
            vignette=0.35,
        ),
    ),
    "golden": (
        r"golden|amber|honey",
        Look(
            exposure=0.0,
            contrast=0.1,
            saturation=0.1,
            warmth=0.14,
            shadows=(0.03, 0.01, -0.02),
            highlights=(0.10, 0.05, -0.08),
            sun=0.6,
            glow=0.3,
            vignette=0.2,
        ),
    ),
    "dawn": (
        r"dawn|sunrise|morning|daybreak",
        Look(
            exposure=0.12,
            contrast=-0.08,
            warmth=0.05,
            shadows=(0.02, 0.01, 0.06),
            highlights=(0.09, 0.02, 0.02),
            sun=0.45,
            fog=0.2,
            glow=0.2,
        ),
    ),
    "night": (
        r"night|midnight|nocturn|moonl|starlit",
        Look(
            exposure=-0.9,
            contrast=0.05,
            saturation=-0.35,
            warmth=-0.18,
            shadows=(-0.01, 0.02, 0.09),
            highlights=(-0.02, 0.02, 0.10),
            glow=0.6,
            vignette=0.6,
        ),
    ),
    "neon": (
        r"neon|cyberpunk|synthwave",
        Look(
            exposure=-0.15,
            contrast=0.1,
            saturation=0.55,
            shadows=(0.07, -0.02, 0.14),
            highlights=(-0.04, 0.05, 0.08),
            neon=1.0,
            glow=0.9,
            vignette=0.4,
        ),
    ),
    "snow": (
        r"snow|blizzard|wintr|winter|frost|icy\b|frozen",
        Look(
            exposure=0.2,
            contrast=-0.1,
            saturation=-0.4,
            warmth=-0.08,
            shadows=(0.03, 0.05, 0.09),
            highlights=(0.02, 0.03, 0.05),
            snow=1.0,
            fog=0.2,
        ),
    ),
    "rain": (
        r"rain(?!bow)|drizzl|downpour|storm|monsoon",
        Look(
            exposure=-0.3,
            contrast=0.06,
            saturation=-0.25,
            warmth=-0.08,
            shadows=(0.0, 0.01, 0.03),
            rain=1.0,
            fog=0.25,
            glow=0.2,
            vignette=0.2,
        ),
    ),
    "fog": (
        r"fog|mist(?!ak)|haze|hazy|smok|steam",
        Look(contrast=-0.16, saturation=-0.25, exposure=0.06, fog=1.0),
    ),
    "overcast": (
        r"overcast|cloud|gloom|gr[ae]y\b|dreary",
        Look(contrast=-0.1, saturation=-0.3, warmth=-0.05, exposure=-0.1, fog=0.15),
    ),
    "sunny": (
        r"sunny|sunlit|sunlight|noon|summer|bright|daylight|clear sky",
        Look(exposure=0.1, contrast=0.15, saturation=0.2, warmth=0.06, sun=0.25, glow=0.15),
    ),
    "autumn": (
        r"autumn|\bfall foliage|october|foliage",
        Look(saturation=0.15, warmth=0.16, highlights=(0.06, 0.0, -0.08), vignette=0.15),
    ),
    "green": (
        r"forest|jungle|lush|meadow|spring\b|green",
        Look(saturation=0.2, shadows=(-0.02, 0.04, -0.01), highlights=(-0.02, 0.05, -0.03)),
    ),
    "sea": (
        r"ocean|\bsea\b|underwater|teal|aqua|lake",
        Look(warmth=-0.08, shadows=(-0.03, 0.03, 0.06), highlights=(-0.03, 0.03, 0.04)),
    ),
    "desert": (
        r"desert|dust|sand|mars\b|martian",
        Look(warmth=0.14, contrast=-0.05, highlights=(0.08, 0.03, -0.06), fog=0.3),
    ),
    "fire": (
        r"fire|flame|lava|volcan|ember",
        Look(exposure=-0.3, contrast=0.2, warmth=0.25, shadows=(0.09, 0.0, -0.03), glow=0.7),
    ),
    "noir": (
        r"noir|monochrom|black[- ]and[- ]white|grayscale|greyscale",
        Look(saturation=-1.0, contrast=0.25, vignette=0.4),
    ),
    "vintage": (
        r"vintage|sepia|retro|old film|nostalgi",
        Look(saturation=-0.35, warmth=0.12, contrast=-0.08, shadows=(0.06, 0.03, 0.0)),
    ),
}


def look_of(prompt: str, negative_prompt: str | None, guidance: float) -> Look:
    """Return a prompt's look, at the strength of `guidance`."""
    wanted, unwanted = words_in(prompt), words_in(negative_prompt or "")
    parts = [(1.0, WORDS[w][1]) for w in wanted if w not in unwanted]
    parts += [(-0.5, WORDS[w][1]) for w in unwanted if w not in wanted]
    parts += [(1.0, own_look(prompt))]
    if "fog" in unwanted:
        parts += [(1.0, Look(clear=0.8))]
    if negative_prompt and negative_prompt.strip():
        parts += [(-0.7, own_look(negative_prompt))]
    strength = 2.6 * guidance / (guidance + 8)
    return _mixed((strength * amount, look) for amount, look in parts)


def words_in(text: str) -> list[str]:
    """Return the names of the looks whose words occur in `text`."""
    return [name for name, (stems, _) in WORDS.items() if re.search(rf"\b(?:{stems})", text, re.I)]


def own_look(text: str) -> Look:
    """Return a subtle look of exactly this text (without regard to spaces and capitals)."""
    digest = hashlib.sha256(" ".join(text.casefold().split()).encode()).digest()
    exposure, contrast, saturation, warmth, r, g, b, _ = (x / 127.5 - 1 for x in digest[:8])
    return Look(
        exposure=0.12 * exposure,
        contrast=0.06 * contrast,
        saturation=0.12 * saturation,
        warmth=0.05 * warmth,
        highlights=(0.035 * r, 0.035 * g, 0.035 * b),
        shadows=(-0.02 * r, -0.02 * g, -0.02 * b),
    )


def _mixed(parts: Iterable[tuple[float, Look]]) -> Look:
    """Return the sum of `parts`, limited to values that still give a picture."""
    parts = list(parts)
    summed = {
        f.name: sum((a * np.asarray(getattr(look, f.name)) for a, look in parts), np.float64(0))
        for f in fields(Look)
    }
    colours = {n: tuple(float(x) for x in np.clip(summed[n], -0.2, 0.2)) for n in _COLOURS}
    graded = {n: float(np.clip(summed[n], low, high)) for n, (low, high) in _RANGES.items()}
    weather = {
        n: float(np.clip(x, 0, 1.4)) for n, x in summed.items() if n not in {*_COLOURS, *_RANGES}
    }
    return Look(**colours, **graded, **weather)  # type: ignore[arg-type]


_COLOURS = ("shadows", "highlights")
_RANGES = {
    "exposure": (-2.5, 1.2),
    "contrast": (-0.5, 0.8),
    "saturation": (-1.0, 1.2),
    "warmth": (-0.4, 0.4),
}
