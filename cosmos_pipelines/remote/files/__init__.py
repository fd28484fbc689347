"""Files brought to a host and home again, whole and verified. Mechanics only."""
