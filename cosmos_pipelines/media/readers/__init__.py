"""Pictures of any format but PNG: what is in a file, and its values as they were written."""
