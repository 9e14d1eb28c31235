"""Operations of a transformer, and the two executors that run them.

`vocabulary` names the operations. `reference` computes them in NumPy. `plan` records
them once and runs a whole forward pass in one call without the GIL. `state` is what
layers keep of each text between passes. Nothing here knows a model or a file.
"""
