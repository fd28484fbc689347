"""The tags of CARLA's semantic and instance segmentation cameras.

Sources: CARLA's documentation ("Sensors reference", 0.9.13 and 0.9.15) and its
`LibCarla/source/carla/image/CityScapesPalette.h`. A picture has the tag in red and, of instances,
the actor's id in green (low byte) and blue (high byte).
"""

from __future__ import annotations

from typing import Final

TAGS: Final[dict[int, tuple[str, int]]] = {
    0: ("Unlabeled", 0x000000), 1: ("Roads", 0x804080), 2: ("SideWalks", 0xF423E8),
    3: ("Building", 0x464646), 4: ("Wall", 0x66669C), 5: ("Fence", 0xBE9999),
    6: ("Pole", 0x999999), 7: ("TrafficLight", 0xFAAA1E), 8: ("TrafficSign", 0xDCDC00),
    9: ("Vegetation", 0x6B8E23), 10: ("Terrain", 0x98FB98), 11: ("Sky", 0x4682B4),
    12: ("Pedestrian", 0xDC143C), 13: ("Rider", 0xFF0000), 14: ("Car", 0x00008E),
    15: ("Truck", 0x000046), 16: ("Bus", 0x003C64), 17: ("Train", 0x005064),
    18: ("Motorcycle", 0x0000E6), 19: ("Bicycle", 0x770B20), 20: ("Static", 0x6EBEA0),
    21: ("Dynamic", 0xAA7832), 22: ("Other", 0x375A50), 23: ("Water", 0x2D3C96),
    24: ("RoadLine", 0x9DEA32), 25: ("Ground", 0x510051), 26: ("Bridge", 0x966464),
    27: ("RailTrack", 0xE6968C), 28: ("GuardRail", 0xB4A5B4), 29: ("Rock", 0xB48246),
}  # fmt: skip
"""Name and colour of each tag, from 0.9.14 on; 29 from 0.10 on. Earlier versions number them
otherwise: there 1 is Building, 7 Road, 10 Vehicles."""
EARLIER: Final[dict[str, int]] = {
    "Fence (0.9.13)": 0x642828, "Terrain (0.9.13)": 0x91AA64, "Other (0.9.10)": 0xFAAAA0,
}  # fmt: skip
"""Colours that versions up to the one in brackets gave to what has another one since."""
