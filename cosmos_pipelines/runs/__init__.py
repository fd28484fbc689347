"""The life of a run: planned, claimed, executed, finished."""
