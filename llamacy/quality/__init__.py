"""Measuring a model's quality on a text, as llama.cpp's `llama-perplexity` does.

`chunks` cuts the text and runs the model on it; `log_softmax` has the arithmetic for a
batch of logits, `statistics` for all of them; `logits_file` saves a model's predictions
so that other models can be compared with them. `perplexity` and `kl_divergence` are the
public functions on top.
"""
