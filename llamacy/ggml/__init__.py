"""ggml's types: names, block layouts, quantisation and dequantisation."""
