"""From GGUF's blocks to the layout the kernels read."""
