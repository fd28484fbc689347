"""Pictures and videos: measured, read, encoded, looked at. Knows no prompts and no runs."""
