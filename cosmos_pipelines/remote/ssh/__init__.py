"""Connections to a host over SSH."""
