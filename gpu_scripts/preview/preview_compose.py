"""Makes a frame from control passes, a look and weather. Numpy, planar float32, values 0 to 1.

The weights: `vis` keeps the source's blurred colours instead of the look's two colours; `edge`
draws lines and restores fine structure; `depth` adds fog to far parts (dark in the depth pass);
`seg` tints by segment. More steps reduce the noise.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter
from preview_common import Floats, Pixels, Sample, label
from preview_look import Look, look_of
from preview_weather import Weather, edge_shade, sunlight

BLUR = {"very_low": 0.002, "low": 0.005, "medium": 0.011, "high": 0.024, "very_high": 0.05}
"""Radius of the vis control's blur, in picture heights."""
THRESHOLD = {"very_low": 0.012, "low": 0.024, "medium": 0.05, "high": 0.11, "very_high": 0.22}
"""Threshold of the edge control: the least change of lightness from pixel to pixel of a line."""
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
LEVELS = 4096
"""Steps of a grading curve."""


class Composition:
    """Composes the frames of a sample; a frame depends only on its passes and its index."""

    def __init__(self, sample: Sample, height: int, width: int) -> None:
        self.sample = sample
        self.height, self.width = height, width
        self.weights: dict[str, float] = sample["weights_normalised"]
        self.look = look_of(sample["prompt"], sample["negative_prompt"], sample["guidance"])
        look, seed = self.look, sample["seed"]
        self._weather = Weather(seed, height, width, rain=look.rain > 0, snow=look.snow > 0)
        self._curves = curves(look)
        self._shade = 1 - 0.75 * look.vignette * edge_shade(height, width)
        self._sun = sunlight(seed, height, width) if look.sun > 0 else None
        self._noise = 0.28 / (1 + sample["num_steps"]) ** 0.9
        self._label = label("PREVIEW", max(10, round(height / 24)))

    def frame(self, index: int, passes: dict[str, Pixels]) -> Pixels:
        """Return frame `index` as RGB from its passes; all are (height, width, 3)."""
        light = _luma(_planes(passes["color"]))
        picture = self._ground(passes, light)
        self._tint(picture, passes)
        picture = self._graded(picture)
        far = self._far(passes)
        self._lines(picture, passes, light)
        self._sunshine(picture, far)
        self._fog(picture, far)
        self._glow(picture)
        self._fall(picture, index)
        self._grain(picture, index)
        picture *= self._shade
        self._sign(picture)
        rgb = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(rgb.transpose(1, 2, 0))

    def _ground(self, passes: dict[str, Pixels], light: Floats) -> Floats:
        """Return the blurred colours as far as `vis` keeps them, else two colours of the look."""
        vis, edge = self.weights["vis"], self.weights["edge"]
        source = passes.get("vis", passes["color"])
        soft = _planes(_blurred(source, BLUR[self.sample["blur_strength"]] * self.height))
        wash = self._wide(light, 0.02)
        dark = np.array([0.10, 0.12, 0.17], np.float32)[:, None, None]
        pale = np.array([0.94, 0.90, 0.84], np.float32)[:, None, None]
        own = dark + (pale - dark) * (0.9 * wash + 0.04)
        own += 0.25 * (soft - _luma(soft))
        kept = np.float32(1 - (1 - vis) ** 2.5)
        picture = own + kept * (soft - own)
        structure = np.float32(min(1.0, 0.25 + 1.6 * edge) * 0.9)
        picture += structure * (light - _luma(soft))
        return picture

    def _tint(self, picture: Floats, passes: dict[str, Pixels]) -> None:
        """Give each segment some of its colour; black segments stay as they are."""
        weight = self.weights["seg"]
        if weight <= 0 or "segmentation" not in passes:
            return
        segment = _planes(passes["segmentation"])
        strongest = segment.max(axis=0)
        share = np.minimum(strongest * 4, 1) * np.float32(0.65 * weight**0.85)
        hue = segment / np.maximum(strongest, 1e-3)
        hue /= np.maximum(_luma(hue), 0.25)
        tinted = _luma(picture) * (0.55 + 0.45 * hue)
        picture += share * (tinted - picture)

    def _graded(self, picture: Floats) -> Floats:
        step = np.clip(picture * (LEVELS - 1) + 0.5, 0, LEVELS - 1).astype(np.uint16)
        graded = np.stack([curve[plane] for curve, plane in zip(self._curves, step, strict=True)])
        light = _luma(graded)
        colourful = np.float32(max(0.0, 1 + self.look.saturation))
        return light + colourful * (graded - light)

    def _far(self, passes: dict[str, Pixels]) -> Floats | None:
        if "depth" not in passes:
            return None
        far: Floats = 1 - passes["depth"][:, :, 1].astype(np.float32) / np.float32(255)
        return far

    def _fog(self, picture: Floats, far: Floats | None) -> None:
        """Add fog by depth and the weight of `depth`, thicker if the prompt has fog."""
        look = self.look
        air = (
            np.array([0.80, 0.83, 0.87])
            + 1.1 * np.array(look.highlights)
            + look.warmth * 0.3 * (np.array([1.0, 0.2, -1.0]))
        )
        air = np.clip(air * 2 ** min(0.15, 0.8 * look.exposure), 0.02, 1)
        if far is None:
            down = np.linspace(1, 0.25, self.height, dtype=np.float32)[:, None]
            cover = np.broadcast_to(0.4 * look.fog * down, (self.height, self.width))
        else:
            thin = max(0.0, 1 - look.clear)
            density = 1.5 * self.weights["depth"] * thin * (1 + look.fog) + 1.1 * look.fog
            cover = 1 - np.exp(np.float32(-density) * far**1.6)
        picture += cover.astype(np.float32) * (air[:, None, None].astype(np.float32) - picture)

    def _lines(self, picture: Floats, passes: dict[str, Pixels], light: Floats) -> None:
        """Draw changes of lightness above the threshold, and the lines of an edge pass."""
        weight, look = self.weights["edge"], self.look
        if weight <= 0:
            return
        least = np.float32(THRESHOLD[self.sample["canny_threshold"]])
        lines = np.clip((_steepness(np.sqrt(light)) - least) / (1.5 * least + 0.02), 0, 1)
        if "edge" in passes:
            given = passes["edge"][:, :, 1].astype(np.float32) / 255
            np.maximum(lines, 0.8 * given, out=lines)
        ink = self._ink(light)
        lines *= np.float32(min(0.95, 0.9 * weight**0.7 * (1 + look.neon)))
        picture += lines * (ink - picture)
        if look.neon > 0:
            halo = self._wide(lines, 0.03)
            _screen(picture, np.float32(1.6 * look.neon) * halo * ink)

    def _ink(self, light: Floats) -> Floats:
        """Return a line's colour: dark by day, pale by night, cyan to magenta in neon light."""
        look = self.look
        by_night = np.float32(np.clip(-look.exposure / 1.6, 0, 1))
        dark = np.array([0.06, 0.07, 0.10], np.float32) + np.array(look.shadows, np.float32)
        pale = np.array([0.62, 0.74, 0.95], np.float32) + np.array(look.highlights, np.float32)
        ink = (dark + by_night * (pale - dark))[:, None, None]
        if look.neon <= 0:
            return ink
        along = np.linspace(0, 1, self.width, dtype=np.float32)[None, :]
        neon = np.stack([0.15 + 0.85 * along, 0.9 - 0.7 * along, np.full_like(along, 1.0)])
        lit = np.float32(min(1.0, look.neon)) * (0.55 + 0.45 * light)
        glowing: Floats = ink + lit * (neon - ink)
        return glowing

    def _glow(self, picture: Floats) -> None:
        """Let bright parts shine into their surroundings."""
        if self.look.glow <= 0:
            return
        bright = np.clip((_luma(picture) - 0.55) * 2.2, 0, 1)
        _screen(picture, np.float32(0.6 * self.look.glow) * self._wide(bright, 0.03) * picture)

    def _wide(self, light: Floats, reach: float) -> Floats:
        """Return `light` (height, width), 0 to 1, spread by `reach` picture heights."""
        small = (max(2, self.width // 4), max(2, self.height // 4))
        image = Image.fromarray((light * 255).astype(np.uint8)).resize(small, Image.Resampling.BOX)
        image = image.filter(ImageFilter.GaussianBlur(max(0.6, reach * self.height / 4)))
        image = image.resize((self.width, self.height), Image.Resampling.BILINEAR)
        return np.asarray(image, np.float32) / np.float32(255)

    def _sunshine(self, picture: Floats, far: Floats | None) -> None:
        if self._sun is None:
            return
        behind = self._sun if far is None else self._sun * (0.3 + 0.7 * far)
        warm = np.array([1.0, 0.66, 0.34], np.float32)[:, None, None]
        _screen(picture, np.float32(0.85 * self.look.sun) * behind * warm)

    def _fall(self, picture: Floats, index: int) -> None:
        """Add falling rain and snow, and snow on bright parts."""
        if self.look.snow > 0:
            light = _luma(picture)
            lying = np.clip((light - 0.35) * 1.6, 0, 1) * np.float32(0.45 * self.look.snow)
            picture += np.minimum(lying, 0.9) * (np.float32(0.95) - picture)
            flakes = self._weather.snow(index)
            picture += np.minimum(flakes * self.look.snow, 1) * (np.float32(0.97) - picture)
        if self.look.rain > 0:
            rain = self._weather.rain(index) * np.float32(0.42 * self.look.rain)
            picture += np.minimum(rain, 0.8) * (np.float32(0.85) - picture)

    def _grain(self, picture: Floats, index: int) -> None:
        """Add noise, less with more steps, and faint blotches that depend on the seed."""
        picture += np.float32(0.012) * self._weather.blotches()
        picture += np.float32(self._noise) * self._weather.grain(index)

    def _sign(self, picture: Floats) -> None:
        letters, cover = self._label
        margin = max(0, min(self.height, self.width) // 40)
        room = picture[:, margin : self.height - margin, margin:]
        place = room[:, -letters.shape[0] :, : letters.shape[1]]
        rows, columns = place.shape[1:]
        letters, cover = letters[-rows:, :columns], cover[-rows:, :columns]
        place += cover * (letters - place)


def curves(look: Look) -> Floats:
    """Return the look's grading curve of each channel, (3, LEVELS)."""
    x = np.linspace(0, 1, LEVELS)
    lit = x * 2.0**look.exposure
    lit = np.where(lit > 0.75, 0.75 + 0.25 * np.tanh((lit - 0.75) / 0.25), lit)  # soft shoulder
    middle = 0.42 * 2.0 ** (0.6 * look.exposure)
    lit = np.clip(middle + (lit - middle) * (1.16 + look.contrast), 0, 1)
    gains = 2.0 ** (look.warmth * np.array([1.0, 0.1, -1.0]))
    channels = [
        lit * gain + shadow * (1 - lit) ** 2 + highlight * lit**1.3
        for gain, shadow, highlight in zip(gains, look.shadows, look.highlights, strict=True)
    ]
    made: Floats = np.clip(channels, 0, 1).astype(np.float32)
    return made


def _planes(rgb: Pixels) -> Floats:
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


def _luma(planes: Floats) -> Floats:
    light: Floats = LUMA[0] * planes[0] + LUMA[1] * planes[1] + LUMA[2] * planes[2]
    return light


def _blurred(rgb: Pixels, radius: float) -> Pixels:
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))


def _steepness(light: Floats) -> Floats:
    """Return the change of lightness per pixel, (height, width); 0 along the border."""
    steep = np.zeros_like(light)
    down = light[2:, 1:-1] - light[:-2, 1:-1]
    across = light[1:-1, 2:] - light[1:-1, :-2]
    steep[1:-1, 1:-1] = np.hypot(down, across)
    return steep


def _screen(picture: Floats, light: Floats) -> None:
    """Add light as a second projector would."""
    picture += light * (1 - np.clip(picture, 0, 1))
