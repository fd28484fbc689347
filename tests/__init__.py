"""Tests on real parts: databases, processes, videos."""
