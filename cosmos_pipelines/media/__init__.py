"""Pictures and videos: measure, read sequences, encode, compare. Knows no prompts and no runs."""
