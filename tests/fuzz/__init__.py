"""Inputs that nobody has chosen: no raw exception, nothing half-written.

In CI each test takes a few hundred, the same ones every time. By hand, as many others as one likes:

    COSMOS_FUZZ=10000 .venv/bin/python -m pytest -q tests/fuzz
"""
