"""What the daemon looks after by itself."""
