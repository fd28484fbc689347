"""What all simulators share. `tests/models/trees.py` copies this folder into each checkout.

Needs Python, PyAV and NumPy, nothing of the project.
"""
