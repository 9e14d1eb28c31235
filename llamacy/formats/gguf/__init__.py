"""GGUF, the format of llama.cpp: read, copied and written."""
