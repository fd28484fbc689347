"""Alembic's scripts, which migrate a catalog of any earlier version."""
