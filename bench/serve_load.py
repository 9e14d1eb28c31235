"""The server under load: llamacy's, llama-server, and the library without a server.

    python bench/serve_load.py MODEL [--peer-python PYTHON] [--clients 16] [--rounds 3]
                               [--requests 4] [-p 120] [-n 64] [-t 2] [--json FILE]

In each round and for each engine, in turn, that many clients ask one after another for
that many texts, which are streamed to them: a prompt of random words, of which no two
begin alike, and a greedy text that goes on after its end. Each server is a process
that keeps its model loaded; a round lasts until the last text has ended. `library` is
`Model.astream` in this process, with no HTTP between.

Printed are the tokens generated a second, of the median round; and of all texts the
time to the first token, and between chunks of a stream, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from http_client import sent
from servers import llama_server, llamacy_server

import llamacy

TEXTS = Path(__file__).parent / "texts"
# OpenMP's threads go on spinning after their work: see engines/process.py.
PAUSE_SECONDS = 0.5


class Text(NamedTuple):
    """The times of one text, in seconds.

    Attributes
    ----------
    n_tokens : int
        Tokens that were generated.
    first : float
        From the request to the first chunk.
    between : list of float
        From each chunk to the next.
    """

    n_tokens: int
    first: float
    between: list[float]


Ask = Callable[[str, int], Awaitable[Text]]
"""Generates a text of a number of tokens after a prompt."""


async def timed(chunks: AsyncIterator[int]) -> Text:
    """Return the times of a text, of whose chunks the numbers of tokens come."""
    before = began = time.perf_counter()
    n_tokens, waits = 0, []
    async for n_more in chunks:
        now = time.perf_counter()
        waits.append(now - before)
        n_tokens, before = n_tokens + n_more, now
    return Text(n_tokens, waits[0] if waits else before - began, waits[1:])


class Server:
    """A server with OpenAI's API.

    Parameters
    ----------
    url : str
        Its address.
    options : dict
        Fields for a text that is not to end by itself.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._url = f"{url}/v1/completions"
        self._options = options

    async def ask(self, prompt: str, n_tokens: int) -> Text:
        body = {"prompt": prompt, "max_tokens": n_tokens, "temperature": 0}
        text = await timed(self._chunks(body | self._options | {"stream": True}))
        return text._replace(n_tokens=n_tokens)  # which the last event has confirmed

    async def _chunks(self, body: dict[str, Any]) -> AsyncIterator[int]:
        usage = None
        async with sent(self._url, body) as response:
            if response.status != 200:
                raise SystemExit(f"{self._url}: {await response.json()}")
            async for event in response.events():
                usage = event.get("usage") or usage
                if any(choice["text"] for choice in event["choices"]):
                    yield 0
        if usage is None or usage["completion_tokens"] != body["max_tokens"]:
            raise SystemExit(f"wanted {body['max_tokens']} tokens, found {usage}")


class Library:
    """The library itself, in this process."""

    def __init__(self, model: llamacy.Model, bias: dict[int, float]) -> None:
        self._model = model
        self._bias = bias

    async def ask(self, prompt: str, n_tokens: int) -> Text:
        return await timed(self._chunks(prompt, n_tokens))

    async def _chunks(self, prompt: str, n_tokens: int) -> AsyncIterator[int]:
        options = {"max_tokens": n_tokens, "temperature": 0, "logit_bias": self._bias}
        async with self._model.astream(prompt, **options) as stream:
            async for piece in stream:
                yield len(piece.tokens)


class Round(NamedTuple):
    """One round of one engine.

    Attributes
    ----------
    seconds : float
        Until the last text has ended.
    texts : list of Text
        All of them.
    """

    seconds: float
    texts: list[Text]

    @property
    def rate(self) -> float:
        """Tokens generated a second."""
        return sum(text.n_tokens for text in self.texts) / self.seconds


async def run_round(ask: Ask, prompts: list[list[str]], n_tokens: int) -> Round:
    """Let a client for each list of prompts ask for its texts, one after another."""

    async def client(own: list[str]) -> list[Text]:
        return [await ask(prompt, n_tokens) for prompt in own]

    began = time.perf_counter()
    each = await asyncio.gather(*map(client, prompts))
    return Round(time.perf_counter() - began, [text for own in each for text in own])


def random_prompt(model: llamacy.Model, words: list[str], n_tokens: int) -> str:
    """Return a prompt of about `n_tokens` tokens."""
    chosen = " ".join(random.choices(words, k=n_tokens))  # a word is a token or more
    return model.detokenize(model.tokenize(chosen, add_bos=False)[:n_tokens])


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def summary(rounds: list[Round]) -> dict[str, float]:
    """Return the figures of an engine: tokens a second, and milliseconds."""
    texts = [text for one in rounds for text in one.texts]
    firsts = [1000 * text.first for text in texts]
    between = [1000 * wait for text in texts for wait in text.between]
    return {
        "tokens_per_second": median(one.rate for one in rounds),
        "first_p50": percentile(firsts, 0.5),
        "first_p95": percentile(firsts, 0.95),
        "between_p50": percentile(between or [0.0], 0.5),
        "between_p95": percentile(between or [0.0], 0.95),
    }


def measure(path: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure all engines in turn; return the figures of each."""
    n_ctx = options.n_prompt + options.n_gen + 8
    words = sorted({*" ".join(p.read_text() for p in TEXTS.glob("*/*.txt")).split()})
    with ExitStack() as opened:
        model = opened.enter_context(
            llamacy.load(path, n_threads=options.threads, n_ctx=n_ctx)
        )
        bias = dict.fromkeys(model.tokenizer.eog_ids, -100.0)
        flags = ["-t", options.threads, "-c", n_ctx, "--max-waiting", options.clients]
        ours = opened.enter_context(llamacy_server(path, *flags))
        usage = {"stream_options": {"include_usage": True}}
        no_end = {"logit_bias": {str(token): value for token, value in bias.items()}}
        engines: dict[str, Ask] = {
            "llamacy serve": Server(ours.url, no_end | usage).ask,
            "library": Library(model, bias).ask,
        }
        if options.peer_python:
            sizes = (options.threads, options.clients, n_ctx)
            peer = llama_server(options.peer_python, path, sizes)
            no_end = {"ignore_eos": True}
            url = opened.enter_context(peer)
            engines["llama-server"] = Server(url, no_end | usage).ask
        rounds: dict[str, list[Round]] = {name: [] for name in engines}
        for i in range(-1, options.rounds):
            prompts = [
                [random_prompt(model, words, options.n_prompt) for _ in range(n)]
                for n in [options.requests if i >= 0 else 1] * options.clients
            ]
            for name, ask in engines.items():
                time.sleep(PAUSE_SECONDS)
                one = asyncio.run(run_round(ask, prompts, options.n_gen))
                if i >= 0:  # the first one warms up
                    rounds[name].append(one)
    return {name: summary(own) for name, own in rounds.items()}


def show(path: str, figures: dict[str, dict[str, float]]) -> None:
    """Print a model's figures."""
    print(f"\n{path}\n{'':16}tokens/s   first p50, p95 (ms)   between p50, p95 (ms)")
    for name, one in figures.items():
        print(
            f"{name:16}{one['tokens_per_second']:8.1f}"
            f"{one['first_p50']:12.0f}{one['first_p95']:9.0f}"
            f"{one['between_p50']:14.1f}{one['between_p95']:9.1f}"
        )
    rate = {name: one["tokens_per_second"] for name, one in figures.items()}
    for name in rate.keys() - {"llamacy serve"}:
        print(f"llamacy serve / {name}: {rate['llamacy serve'] / rate[name]:.3f}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="The server under load.")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a GGUF file")
    add = parser.add_argument
    add("-p", "--n-prompt", type=int, default=120, metavar="N")
    add("-n", "--n-gen", type=int, default=64, metavar="N")
    add("-t", "--threads", type=int, default=2, metavar="N")
    add("--clients", type=int, default=16, metavar="N")
    add("--requests", type=int, default=4, metavar="N", help="of a client, a round")
    add("--rounds", type=int, default=3, metavar="N")
    add("--peer-python", metavar="PYTHON", help="has xllamacpp")
    add("--json", metavar="FILE", help="write the figures here too")
    return parser.parse_args()


def main() -> None:
    """Run as a command."""
    options = arguments()
    if options.peer_python:
        command = [options.peer_python, "-c", "import xllamacpp"]
        subprocess.run(command, check=True)
    random.seed(0)
    results = {}
    for path in options.models:
        figures = measure(path, options)
        show(path, figures)
        results[Path(path).stem] = figures
    if options.json:
        text = json.dumps(results, indent=1) + "\n"
        Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
