"""Fixtures and functions that tests in several packages use."""
