"""`cosmos doctor`: check what runs need on this machine and on the GPU host."""
