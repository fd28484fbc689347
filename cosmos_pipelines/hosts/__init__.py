"""Making a GPU host ready for an engine: code, image, checkpoints."""
