"""How good a model is on a text, measured as llama.cpp's `llama-perplexity` does.

`chunks` cuts the text and reads it; `log_softmax` is the arithmetic of one batch of
logits, `statistics` that of the whole; `logits_file` keeps a model's predictions, for
another to be compared with. `perplexity` and `kl_divergence` put them together.
"""
