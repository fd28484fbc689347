"""Processes, files and connections; knows no runs, orders or engines."""
