"""The set-up of a GPU host for an engine: code, image, checkpoints."""
