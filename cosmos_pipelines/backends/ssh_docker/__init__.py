"""Orders as containers on a GPU host, reached over SSH."""
