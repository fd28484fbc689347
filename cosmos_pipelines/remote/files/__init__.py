"""Upload files to a host and download them, whole and verified."""
