"""How long a run and a load take, and what they cost, by earlier runs."""
