"""Ids of prompts that clients write as a whole, and bytes of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llamacy.model.model import Model


def token_bytes_of(model: Model) -> Callable[[int], bytes]:
    """Return the function that gives the bytes of a model's tokens.

    A model may have more logits than its vocabulary has tokens; those have none.
    """
    tokenizer = model.tokenizer

    def token_bytes(token: int) -> bytes:
        return tokenizer.token_bytes(token) if token < tokenizer.n_vocab else b""

    return token_bytes


def prompt_ids(model: Model, prompt: str | Sequence[int]) -> list[int]:
    """Return the ids of a prompt, in which names of control tokens are those tokens.

    The client writes the whole prompt, a chat template's marks included. A
    beginning-of-text token that it writes is not doubled.
    """
    if not isinstance(prompt, str):
        return list(prompt)
    tokenizer = model.tokenizer
    ids = model.tokenize(prompt, parse_special=True)
    if tokenizer.add_eos and ids[-1:] == [tokenizer.eos_id]:
        ids.pop()  # the text is to go on
    bos = tokenizer.bos_id
    return ids[1:] if bos is not None and ids[:2] == [bos, bos] else ids
