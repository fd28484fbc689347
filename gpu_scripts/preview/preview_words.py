"""Rules make a longer prompt from a prompt and measurements of a picture. Pure.

The user's words stay as the subject; sentences on the place, the light, the camera and the mood
follow, chosen from fixed lists by the picture and the seed. No language model is used.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

MAX_LENGTH = 10_000
"""Characters of the result."""


@dataclass(frozen=True)
class Seen:
    """Measurements of a picture, each 0 to 1; `hue` in degrees."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    wide: bool


PLACES = {
    "night": (
        "The dark sky leaves the surroundings to small pools of light",
        "Shadows close in around the edges of the frame",
    ),
    "snow": (
        "Fresh snow softens every ledge and muffles the ground",
        "A thin white layer lies on every upward face",
    ),
    "rain": (
        "Wet surfaces mirror the surroundings and drops run down every edge",
        "Puddles collect on the ground and ripple with each drop",
    ),
    "fog": (
        "Pale mist swallows the distance, layer by layer",
        "The far end of the scene dissolves into drifting haze",
    ),
    "city": (
        "Facades, kerbs and window frames keep their straight, believable geometry",
        "Concrete, glass and painted metal each answer the light in their own way",
    ),
    "nature": (
        "Leaves, bark and soil show their natural variety of texture",
        "Grasses and branches stir, no two of them alike",
    ),
    "room": (
        "Surfaces nearby show small scratches, dust and honest wear",
        "Materials are easy to tell apart: matte plastic, brushed metal, bare wood",
    ),
    "": (
        "Every material shows its natural texture, from smooth to weathered",
        "Objects keep their exact places and shapes, with fine detail on every surface",
        "Depth is easy to read, from a crisp foreground to a quieter background",
    ),
}
PLACE_WORDS = {
    "night": r"night|midnight|dark",
    "snow": r"snow|winter|frost|ice\b|icy",
    "rain": r"rain(?!bow)|storm|wet\b|drizzl",
    "fog": r"fog|mist|haze|hazy",
    "city": r"city|street|building|urban|road|car\b|cars\b|traffic|town",
    "nature": r"forest|tree|mountain|meadow|field|river|garden|grass",
    "room": r"robot|table|room|kitchen|workbench|indoor|warehouse|factory|desk",
}
LIGHT_WORDS = {
    "sunset": (
        r"sunset|dusk|golden|sunrise|dawn",
        "Low, warm sunlight rakes across the scene and draws long, soft-edged shadows",
    ),
    "night": (
        r"night|midnight|moon|neon",
        "Cool ambient light is broken by a few bright sources with gentle halos",
    ),
    "overcast": (
        r"overcast|cloud|fog|mist|rain(?!bow)|snow",
        "A wide, even sky gives soft light without hard shadows",
    ),
    "sun": (r"sunny|noon|summer|midday", "Clear sunlight falls from high up with short shadows"),
}
DARK = (
    "The light is low and selective, and the shadows keep their detail",
    "Dim light leaves much of the frame in rich, readable shadow",
)
BRIGHT = (
    "Bright, open light fills the scene and the highlights stay intact",
    "Generous daylight reaches into every corner without washing it out",
)
MIDDLE = (
    "Balanced natural light models every shape with gentle shadows",
    "Soft directional light separates the subject from its background",
)
STARK = ("strong contrast between lit and shaded faces", "deep blacks beside clean highlights")
GENTLE = ("gentle tonal transitions", "soft, low contrast throughout")
HUES = (
    (20, "warm red"),
    (48, "amber and ochre"),
    (70, "pale yellow"),
    (165, "leafy green"),
    (200, "cool cyan"),
    (260, "steel blue"),
    (300, "violet"),
    (345, "magenta"),
    (361, "warm red"),
)
CAMERAS = (
    "The camera glides forward at eye level on a 35 mm lens, steady and unhurried",
    "Filmed on a 50 mm lens with a shallow, natural depth of field",
    "A smooth, stabilised camera holds the subject in frame with slight parallax",
    "Shot on a full-frame camera with a 28 mm lens, everything from near to far in focus",
)
WIDE_CAMERA = "A wide cinematic frame gives the scene room on both sides"
MOODS = (
    "The mood is calm and observant",
    "The mood is quiet and expectant",
    "The overall impression is grounded and true to life",
    "The atmosphere is immersive and cinematic",
    "The feeling is vivid, present and unstaged",
)
FINISHES = (
    "photorealistic, with consistent detail from frame to frame",
    "with realistic motion, fine texture and no visible artefacts",
    "with natural colour, true materials and a subtle film grain",
)


def rewritten(prompt: str, seen: Seen | None, seed: int) -> str:
    """Return `prompt` with sentences added; the same arguments always give the same text.

    The result begins with the user's words, is never equal to `prompt`, and has at most 10,000
    characters. Without a picture (`seen` is None) only the words decide.
    """
    draw = _Draw(prompt, seed)
    subject = _sentence(" ".join(prompt.split()))
    sentences = (
        _place(prompt, draw),
        _light(prompt, seen, draw),
        _camera(seen, draw),
        f"{draw.one('mood', MOODS)}, {draw.one('finish', FINISHES)}",
    )
    text = subject
    for sentence in map(_sentence, sentences):
        if sentence.casefold() not in prompt.casefold() and len(text) + len(sentence) < MAX_LENGTH:
            text += " " + sentence
    return text if text != prompt else _sentence(text + " Once more in fine detail")


class _Draw:
    """Chooses from lists by seed and prompt, each slot independently."""

    def __init__(self, prompt: str, seed: int) -> None:
        self._key = f"{seed}\n{prompt}"

    def one(self, slot: str, choices: tuple[str, ...]) -> str:
        digest = hashlib.sha256(f"{slot}\n{self._key}".encode("utf-8", "surrogatepass")).digest()
        return choices[int.from_bytes(digest[:4], "big") % len(choices)]


def _place(prompt: str, draw: _Draw) -> str:
    found = next((n for n, stems in PLACE_WORDS.items() if _has(prompt, stems)), "")
    return draw.one("place", PLACES[found])


def _light(prompt: str, seen: Seen | None, draw: _Draw) -> str:
    """Return the sentence on light: from the prompt's words, else from the picture."""
    from_prompt = next((s for stems, s in LIGHT_WORDS.values() if _has(prompt, stems)), None)
    if seen is None:
        return from_prompt or draw.one("light", MIDDLE)
    shown = DARK if seen.brightness < 0.33 else BRIGHT if seen.brightness > 0.62 else MIDDLE
    tones = draw.one("tones", STARK if seen.contrast > 0.22 else GENTLE)
    return f"{from_prompt or draw.one('light', shown)}, with {tones} and {_colours(seen)}"


def _colours(seen: Seen) -> str:
    name = next(name for end, name in HUES if seen.hue < end)
    if seen.saturation < 0.08:
        return "an almost neutral palette"
    return f"{'accents' if seen.saturation < 0.3 else 'a palette'} of {name}"


def _camera(seen: Seen | None, draw: _Draw) -> str:
    choices = (*CAMERAS, WIDE_CAMERA) if seen is None or seen.wide else CAMERAS
    return draw.one("camera", choices)


def _has(prompt: str, stems: str) -> bool:
    return re.search(rf"\b(?:{stems})", prompt, re.I) is not None


def _sentence(text: str) -> str:
    """Return `text` with a capital at the beginning and a full stop at the end."""
    text = text.strip()
    ended = text.endswith((".", "!", "?", "…", "。", "！", "？"))
    return text[:1].upper() + text[1:] + ("" if ended else ".")
