"""Segments as renderers and simulators write them, made into flat colours with a legend."""
