"""Depth as renderers and sensors write it, in values that are no whole numbers of a PNG."""
