"""A soak: slow writers, dispatchers that are killed, power cuts, models that fail and hang."""
