"""Dagster's resources, run launcher and instance."""
