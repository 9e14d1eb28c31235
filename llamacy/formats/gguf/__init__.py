"""GGUF, llama.cpp's format: reading, copying and writing."""
