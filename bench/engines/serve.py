"""The process of one engine: loads a model, and times what its parent asks for.

    python serve.py ENGINE

ENGINE names a module beside this one, `<ENGINE>_engine.py`. The first line of stdin is
the job, a JSON object:

    path       the GGUF file
    shape      its sizes, by the names of llamacy's ModelConfig, and `tied`: whether
               the embedding is the output matrix too
    n_threads  threads to compute with
    depth      tokens of context before everything that is timed

Each further line, `["pp", N, 1]` or `["tg", N, T]`, is answered with the seconds it
took to read a prompt of N tokens, or N tokens of each of T texts one by one, the texts
together.

This runs in the interpreter that has the engine's library, and needs nothing else.
"""

from __future__ import annotations

import json
import os
import random
import sys
from importlib import import_module
from time import perf_counter
from typing import Any, Protocol


class Engine(Protocol):
    """A model with one context, which grows at its end.

    Attributes
    ----------
    versions : dict of str to str
        The engine's libraries and their versions.
    """

    versions: dict[str, str]

    def read(self, tokens: list[int]) -> None:
        """Append tokens to the context, and compute the logits after the last."""

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens of the context."""

    def open_texts(self, n_texts: int, tokens: list[int], n_more: int) -> None:
        """Begin that many other texts with these tokens; `n_more` of each will come."""

    def read_together(self, token: int) -> None:
        """Append a token to all of these, and compute the logits after each."""


def main() -> None:
    """Run as a command."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of a library must not be taken for an answer

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    job = json.loads(sys.stdin.readline())
    engine: Engine = import_module(f"{sys.argv[1]}_engine").load(job)
    depth = job["depth"]
    if depth:
        engine.read(random_tokens(job, depth))
    answer(engine.versions)
    for line in sys.stdin:
        test, n_tokens, n_texts = json.loads(line)
        tokens = random_tokens(job, n_tokens)
        if n_texts > 1:
            engine.open_texts(n_texts, random_tokens(job, depth), n_tokens)
            answer(seconds_together(engine, tokens))
            continue
        answer(seconds(engine, test, tokens))
        engine.truncate(depth)


def seconds(engine: Engine, test: str, tokens: list[int]) -> float:
    """Time reading `tokens` as a prompt (`"pp"`), or one by one like decoding (`"tg"`).

    No token is chosen: sampling is little work, and the same for all engines.
    """
    start = perf_counter()
    if test == "pp":
        engine.read(tokens)
    else:
        for token in tokens:
            engine.read([token])
    return perf_counter() - start


def seconds_together(engine: Engine, tokens: list[int]) -> float:
    """Time the same for all texts that are open, one token of each in a pass."""
    start = perf_counter()
    for token in tokens:
        engine.read_together(token)
    return perf_counter() - start


def random_tokens(job: dict[str, Any], n: int) -> list[int]:
    """Return `n` random tokens, the same ones for all engines."""
    return random.Random(0).choices(range(job["shape"]["n_vocab"]), k=n)


if __name__ == "__main__":
    main()
