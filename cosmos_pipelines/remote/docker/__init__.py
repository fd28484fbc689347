"""Docker's command lines and its answers. Mechanics only."""
