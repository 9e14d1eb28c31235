"""How much of their speed running texts keep while a long prompt is read.

    python bench/serve_fairness.py MODEL [-p 6000] [--texts 4] [--rounds 3] [-t 2]
                                   [--seconds 5] [--most 50] [--peer-python PYTHON]

Some texts are streamed, first alone; then a long prompt arrives, and the texts' chunks
are counted until its first token, or for `--most` seconds; then alone once more, as
texts become slower the longer they are. Printed is the share that they keep of their
speed before and after, the longest time without a chunk of any of them, and the tokens
of the prompt that were read a second, of the median round. The model's context must
hold the prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

from http_client import sent
from servers import llama_server, llamacy_server

import llamacy


class Found(NamedTuple):
    """One round.

    Attributes
    ----------
    share : float
        Speed of the texts beside the prompt, divided by their speed alone.
    pause : float
        The longest time without a chunk of any text beside the prompt, in seconds.
    read_rate : float
        Tokens of the prompt read a second; 0 if it was not read to its end.
    """

    share: float
    pause: float
    read_rate: float


class Counter:
    """Counts the chunks of texts.

    Attributes
    ----------
    n : int
        Chunks so far.
    pause : float
        The longest time without one since `rate` was last called, in seconds.
    """

    def __init__(self) -> None:
        self.n = 0
        self.pause = 0.0
        self._last = time.perf_counter()

    def note(self) -> None:
        """Note a chunk."""
        now = time.perf_counter()
        self.n += 1
        self.pause = max(self.pause, now - self._last)
        self._last = now

    async def rate(
        self, seconds: float, end: asyncio.Future[Any] | None = None
    ) -> float:
        """Return the chunks a second, until `end` or for `seconds`."""
        began, before = time.perf_counter(), self.n
        self.pause = 0.0
        if end is None:
            await asyncio.sleep(seconds)
        else:
            await asyncio.wait([end], timeout=seconds)
        return (self.n - before) / (time.perf_counter() - began)


async def stream(url: str, body: dict[str, Any], counter: Counter) -> None:
    """Stream a text, and count its chunks."""
    async with sent(f"{url}/v1/completions", body | {"stream": True}) as response:
        if response.status != 200:
            raise SystemExit(f"{url}: {await response.json()}")
        async for event in response.events():
            if any(choice["text"] for choice in event["choices"]):
                counter.note()


async def run_round(
    url: str, options: argparse.Namespace, fields: dict[str, Any], prompt: list[int]
) -> Found:
    """Measure texts alone, and then beside a prompt."""
    counter, other = Counter(), Counter()
    endless = fields | {"temperature": 0, "max_tokens": options.n_prompt - 100}
    texts = [
        asyncio.ensure_future(stream(url, endless | {"prompt": [i + 9] * 20}, counter))
        for i in range(options.texts)
    ]
    while counter.n < 5 * options.texts:  # all have begun
        await asyncio.sleep(0.01)
    alone = await counter.rate(options.seconds)
    began = time.perf_counter()
    long = {"prompt": prompt, "max_tokens": 1, "temperature": 0}
    reading = asyncio.ensure_future(stream(url, fields | long, other))
    beside, pause = await counter.rate(options.most, reading), counter.pause
    seconds, is_read = time.perf_counter() - began, reading.done()
    reading.cancel()
    alone = (alone + await counter.rate(options.seconds)) / 2
    if any(text.done() for text in texts):
        raise SystemExit("a text has ended while the prompt was read")
    for text in texts:
        text.cancel()
    ended = await asyncio.gather(reading, *texts, return_exceptions=True)
    for error in ended:
        if isinstance(error, (Exception, SystemExit)):
            raise error
    return Found(beside / alone, pause, len(prompt) / seconds if is_read else 0.0)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Texts beside a long prompt.")
    parser.add_argument("model", metavar="MODEL", help="a GGUF file")
    add = parser.add_argument
    add("-p", "--n-prompt", type=int, default=6000, metavar="N")
    add("-t", "--threads", type=int, default=2, metavar="N")
    add("--texts", type=int, default=4, metavar="N")
    add("--rounds", type=int, default=3, metavar="N")
    add("--seconds", type=float, default=5, metavar="N", help="that texts run alone")
    add("--most", type=float, default=50, metavar="N", help="that the prompt is read")
    add("--peer-python", metavar="PYTHON", help="has xllamacpp")
    return parser.parse_args()


def main() -> None:
    """Run as a command."""
    options = arguments()
    n_ctx = options.n_prompt + 100
    with ExitStack() as opened:
        flags = ["-t", options.threads, "-c", n_ctx]
        ours = opened.enter_context(llamacy_server(options.model, *flags))
        with llamacy.load(options.model) as model:
            ends = model.tokenizer.eog_ids
        no_end: dict[str, Any] = {"logit_bias": dict.fromkeys(map(str, ends), -100)}
        engines = {"llamacy serve": (ours.url, no_end)}
        if options.peer_python:
            sizes = (options.threads, options.texts + 1, n_ctx)
            peer = llama_server(options.peer_python, options.model, sizes)
            no_end = {"ignore_eos": True}
            engines["llama-server"] = opened.enter_context(peer), no_end
        found: dict[str, list[Found]] = {name: [] for name in engines}
        for i in range(options.rounds):
            for name, (url, fields) in engines.items():
                prompt = [10 + (i + j * j) % 1000 for j in range(options.n_prompt)]
                one = asyncio.run(run_round(url, options, fields, prompt))
                found[name].append(one)
    for name, rounds in found.items():
        share = median(one.share for one in rounds)
        pause = median(one.pause for one in rounds)
        rate = median(one.read_rate for one in rounds)
        print(
            f"{name:16}{share:6.1%} of their speed, {pause:5.2f} s the longest pause, "
            f"{rate:7.1f} tokens read a second"
        )


if __name__ == "__main__":
    main()
