"""ggml's types: their blocks, their names, and how floats become blocks."""
