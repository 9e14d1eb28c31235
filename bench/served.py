"""The tokens that servers generate a second, for several clients at once."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import ExitStack

from serve_load import PAUSE_SECONDS, TEXTS, Ask, Server, random_prompt, run_round
from servers import llama_server, llamacy_server

import llamacy

N_PROMPT = 120
"""Tokens of each prompt."""


def served_rates(
    path: str,
    n_threads: int,
    n_clients: int,
    n_tokens: int,
    n_rounds: int,
    peer_python: str | None,
) -> dict[str, list[float]]:
    """Measure llamacy's server and llama-server in turn, after a round that warms up.

    Parameters
    ----------
    path : str
        A GGUF file.
    n_threads : int
        Threads of each server.
    n_clients : int
        Texts at once.
    n_tokens : int
        Tokens of each text.
    n_rounds : int
        How often each is measured.
    peer_python : str or None
        An interpreter that has xllamacpp; None to leave llama-server out.
    """
    n_ctx = N_PROMPT + n_tokens + 8
    words = sorted({*" ".join(p.read_text() for p in TEXTS.glob("*/*.txt")).split()})
    random.seed(0)
    with llamacy.load(path, n_threads=n_threads, n_ctx=n_ctx) as model:
        # of each round and client, so that no prompt comes twice
        prompts = [
            [[random_prompt(model, words, N_PROMPT)] for _ in range(n_clients)]
            for _ in range(n_rounds + 1)
        ]
        bias = {str(token): -100.0 for token in model.tokenizer.eog_ids}
    usage = {"stream_options": {"include_usage": True}}
    with ExitStack() as opened:
        flags = ["-t", n_threads, "-c", n_ctx, "--max-waiting", n_clients]
        ours = opened.enter_context(llamacy_server(path, *flags))
        asks: dict[str, Ask] = {
            "llamacy": Server(ours.url, {"logit_bias": bias} | usage).ask
        }
        if peer_python is not None:
            sizes = n_threads, n_clients, n_ctx
            url = opened.enter_context(llama_server(peer_python, path, sizes))
            asks["llama-server"] = Server(url, {"ignore_eos": True} | usage).ask
        rates: dict[str, list[float]] = {name: [] for name in asks}
        for own in prompts:
            for name, ask in asks.items():
                time.sleep(PAUSE_SECONDS)
                one = asyncio.run(run_round(ask, own, n_tokens))
                rates[name].append(one.rate)
    return {name: own[1:] for name, own in rates.items()}
