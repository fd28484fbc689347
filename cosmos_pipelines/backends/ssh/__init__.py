"""The backend that runs orders on a host over SSH, with any carrier."""
