"""The command lines of Docker, and its answers."""
