"""Where orders run: what a place can do, and the places that there are."""
