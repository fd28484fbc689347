"""Mechanics of processes, files and connections; no word of the domain."""
