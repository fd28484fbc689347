"""Connections to a host over SSH. Mechanics only."""
