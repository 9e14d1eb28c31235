"""What generating needs of a model, in one place: prompts in, requests out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np

from llamacy.arguments import checked_integer
from llamacy.errors import ArgumentError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.request import Request
from llamacy.generation.scheduler import Executor
from llamacy.generation.worker import Worker
from llamacy.sampling import SamplingOptions, SamplingParams
from llamacy.tokenizers.lazy import LazyTokenizer

_MAX_SAMPLES = 2**16  # of one prompt; more is a slip of the hand

Prompt: TypeAlias = "str | Sequence[int]"
"""A text, or its token ids."""


class Engine:
    """Makes requests of prompts, checked, for the worker that runs them.

    Parameters
    ----------
    executor : runs the forward passes.
    tokenizer : the vocabulary, which may be none.
    n_ctx : most tokens of prompt and text together.
    n_cache_pages : most KV pages kept of texts that have ended.
    """

    def __init__(
        self,
        executor: Executor,
        tokenizer: LazyTokenizer,
        n_ctx: int,
        n_cache_pages: int,
    ) -> None:
        self.executor = executor
        self.tokenizer = tokenizer
        self.n_ctx = n_ctx
        self.n_vocab = executor.n_vocab
        self.worker = Worker(executor, n_cache_pages)

    def params(
        self, params: SamplingParams | None, options: SamplingOptions
    ) -> SamplingParams:
        """`params` with `options` in their place; checked."""
        if params is None:
            params = SamplingParams(**options)
        elif isinstance(params, SamplingParams):
            params = replace(params, **options)
        else:
            raise ArgumentError(f"params: wanted SamplingParams, found {params!r}")
        params.check_vocabulary(self.n_vocab)
        return params

    def prompt_ids(
        self, prompt: Prompt, *, begins: bool = True, name: str = "prompt"
    ) -> list[int]:
        """Token ids of a prompt.

        Parameters
        ----------
        prompt : a text or its ids.
        begins : nothing comes before it.
        name : the argument's, for errors.

        Raises
        ------
        ArgumentError : an empty prompt, an id outside the vocabulary.
        """
        if isinstance(prompt, str):
            tokenizer = self.tokenizer.get()
            ids = tokenizer.encode(
                prompt, add_bos=None if begins else False, continues=not begins
            )
            # A text that is to go on must not be marked as ended.
            if tokenizer.add_eos and ids[-1:] == [tokenizer.eos_id]:
                ids.pop()
            prompt = ids
        if not isinstance(prompt, Sequence | np.ndarray):
            raise ArgumentError(f"{name}: wanted text or token ids, found {prompt!r}")
        ids = self.checked_ids(name, prompt)
        if not ids:
            raise ArgumentError(f"{name}: wanted at least one token, found none")
        return ids

    def checked_ids(self, name: str, ids: object) -> list[int]:
        """`ids` as a list of ints.

        Raises
        ------
        ArgumentError : the argument `name` has one outside the vocabulary.
        """
        if isinstance(ids, np.ndarray) and ids.ndim == 1:
            ids = ids.tolist()
        if not isinstance(ids, Sequence) or isinstance(ids, str | bytes):
            raise ArgumentError(f"{name}: wanted token ids, found {ids!r}")
        n_vocab = self.n_vocab
        for token in ids:
            fits = isinstance(token, Integral) and not isinstance(token, bool)
            if not fits or not 0 <= token < n_vocab:
                raise ArgumentError(
                    f"{name}: wanted token ids from 0 to {n_vocab - 1}, found {token!r}"
                )
        return [int(token) for token in ids]

    def request(
        self,
        ids: list[int],
        params: SamplingParams,
        cancel: CancelToken | None = None,
        **options: Any,
    ) -> Request:
        """Make a request of checked ids; `options` are those of Request."""
        if cancel is not None and not callable(getattr(cancel, "is_set", None)):
            raise ArgumentError(
                f"cancel: wanted something with is_set(), found {cancel!r}"
            )
        tokenizer = self.tokenizer.get_or_none()
        return Request(ids, params, self.n_ctx, tokenizer, cancel=cancel, **options)

    def requests(
        self,
        prompts: Sequence[Any],
        params: SamplingParams,
        n: int | None,
        cancel: CancelToken | None,
        *,
        name: str = "prompt",
    ) -> list[Request]:
        """Make `n` requests, or one, of each of `prompts`, the argument `name`."""
        if n is not None:
            n = checked_integer("n", n, 1, _MAX_SAMPLES)
        return [
            self.request(ids, params, cancel, seed_offset=sample)
            for prompt in prompts
            for ids in [self.prompt_ids(prompt, name=name)]
            for sample in range(n or 1)
        ]


def listed(prompt: Any) -> Sequence[Any]:
    """Prompts of a call: those in a list, or the one that is given."""
    return prompt if _is_several(prompt) else [prompt]


def arranged(items: list[Any], prompt: object, n: int | None) -> Any:
    """Results of `Engine.requests` in lists as `prompt` and `n` were given."""
    if n is not None:
        items = [items[first : first + n] for first in range(0, len(items), n)]
    return items if _is_several(prompt) else items[0]


def _is_several(prompt: object) -> bool:
    """Whether `prompt` is a list of prompts, and not one prompt's ids."""
    return isinstance(prompt, list | tuple) and any(
        not isinstance(item, Integral) for item in prompt
    )
