"""From a row of logits to a token: the options, and the chain they drive.

The chain, its order and its defaults are llama.cpp's. Knows nothing of models or
sequences, and of tokenizers only the texts of tokens.
"""

from llamacy.sampling.logprobs import token_logprob
from llamacy.sampling.params import SamplingOptions, SamplingParams
from llamacy.sampling.sampler import Sampler

__all__ = ["Sampler", "SamplingOptions", "SamplingParams", "token_logprob"]
