"""Nothing to fix: the simulator loads no vLLM."""
