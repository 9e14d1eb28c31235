"""Operations of a transformer, and the two executors that run them.

`vocabulary` names the operations. `reference` computes them in NumPy. `plan`
records them once and runs a whole forward pass in one call without the GIL, over
the pages of `kv_cache`. Nothing here knows a model or a file.
"""
