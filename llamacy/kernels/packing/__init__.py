"""From GGUF's blocks to the layout that the kernels read."""
