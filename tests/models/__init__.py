"""Simulators of models: programs that obey a model's contract and behave as they are told."""
