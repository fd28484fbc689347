"""Dagster's assets, checks and jobs."""
