"""From a row of logits to a token: the options, and the sampler chain they control.

The chain, its order and its defaults are llama.cpp's. Independent of models and
sequences; a tokenizer is only asked for the texts of tokens.
"""

from llamacy.sampling.logprobs import logprobs_of, token_logprob
from llamacy.sampling.params import SamplingOptions, SamplingParams
from llamacy.sampling.sampler import Sampler

__all__ = [
    "Sampler",
    "SamplingOptions",
    "SamplingParams",
    "logprobs_of",
    "token_logprob",
]
