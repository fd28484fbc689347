"""Carriers: what runs an order at its place, a process of this machine or a Docker container."""
