"""Faults at every step of a run on a GPU host: `make faults` prints the whole table."""
