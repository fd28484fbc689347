"""`cosmos doctor`: is everything there that runs need, here and on the GPU host?"""
