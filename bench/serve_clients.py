"""Uses of a server by its clients, well-behaved and not; each checks the answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from http_client import Response, sent
from known import same

COMPLETIONS, CHAT, MESSAGES = "/v1/completions", "/v1/chat/completions", "/v1/messages"
GENERATE = "/api/generate"
BUFFER = 4096  # bytes that a slow reader lets arrive
BAD = [
    (COMPLETIONS, b"{", 400),
    (COMPLETIONS, b"[" * 10_000, 400),
    (COMPLETIONS, b"\xff\xfe", 400),
    (COMPLETIONS, b" " * (9 * 2**20), 413),
    (COMPLETIONS, {"prompt": "x", "temprature": 1}, 400),
    (COMPLETIONS, {"prompt": "x", "max_tokens": "many"}, 400),
    (COMPLETIONS, {"prompt": [10**9]}, 400),
    (COMPLETIONS, {"prompt": "word " * 100_000}, 400),
    (CHAT, {"messages": []}, 400),
    (CHAT, {"messages": [{"role": "user"}]}, 400),
    (CHAT, {"model": "other", "messages": [{"role": "user", "content": "x"}]}, 404),
    (MESSAGES, {"messages": [{"role": "user", "content": "x"}]}, 400),
    (GENERATE, {"model": "other", "prompt": "x"}, 404),
    ("/v1/nothing", {}, 404),
    ("/health", {}, 405),
]
"""Path, body and the status that it deserves."""


class Busy(Exception):
    """The queue was full.

    Attributes
    ----------
    seconds : float
        When to come again.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"busy for {seconds} s")
        self.seconds = seconds


class Known:
    """Texts as they are generated alone.

    Attributes
    ----------
    texts : dict of str to str
        The text that follows each prompt.
    answers : dict of str to str
        The answer to each question, the prompts too.
    n_tokens : int
        Most tokens of each.
    """

    def __init__(
        self, texts: dict[str, str], answers: dict[str, str], n_tokens: int
    ) -> None:
        self.texts = texts
        self.answers = answers
        self.n_tokens = n_tokens


class Client:
    """One client after another: a method for each thing that one may do.

    Parameters
    ----------
    url : str
        Address of the server.
    known : Known
        The right texts.
    seed : int
        Of the choices.
    """

    def __init__(self, url: str, known: Known, seed: int) -> None:
        self.rng = random.Random(seed)
        self._url = url
        self._known = known

    def all(self) -> list[Callable[[str], Awaitable[None]]]:
        """Return the methods that take a prompt."""
        names = [name for name in dir(self) if name.startswith("use_")]
        return [getattr(self, name) for name in names]

    async def use_completion(self, prompt: str) -> None:
        found = await self._answer(COMPLETIONS, self._body(prompt))
        same("text", found["choices"][0]["text"], self._known.texts[prompt])

    async def use_chat(self, prompt: str) -> None:
        found = await self._answer(CHAT, self._chat(prompt))
        answer = found["choices"][0]["message"]["content"]
        same("answer", answer, self._known.answers[prompt])

    async def use_messages(self, prompt: str) -> None:
        found = await self._answer(MESSAGES, self._chat(prompt))
        texts = [block["text"] for block in found["content"]]
        same("message", "".join(texts), self._known.answers[prompt])

    async def use_generate(self, prompt: str) -> None:
        options = {"temperature": 0, "num_predict": self._known.n_tokens}
        body = {"prompt": prompt, "raw": True, "stream": False, "options": options}
        found = await self._answer(GENERATE, {"model": "m", **body})
        same("generated", found["response"], self._known.texts[prompt])

    async def use_stream(self, prompt: str) -> None:
        text = await self._streamed(prompt, self._body(prompt))
        same("stream", text, self._known.texts[prompt])

    async def use_slow_stream(self, prompt: str) -> None:
        body = self._body(prompt) | {"logprobs": 5}  # more than sockets hold
        text = await self._streamed(
            prompt, body, buffer=BUFFER, pause=self.rng.uniform(0.05, 0.5)
        )
        same("slow stream", text, self._known.texts[prompt])

    async def use_hanging_up(self, prompt: str) -> None:
        most = self.rng.randint(0, 12)
        text = await self._streamed(prompt, self._body(prompt), most=most)
        wanted = self._known.texts[prompt]
        same("beginning", text.rstrip("�"), wanted[: len(text.rstrip("�"))])

    async def use_not_waiting(self, prompt: str) -> None:
        try:
            async with asyncio.timeout(self.rng.uniform(0, 2)):
                await self.use_completion(prompt)
        except TimeoutError:
            pass

    async def use_half_a_request(self, prompt: str) -> None:
        host = self._url.rpartition("/")[2]
        name, port = host.split(":")
        _, writer = await asyncio.open_connection(name, int(port))
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 999\r\n\r\n"
        writer.write((head + prompt)[: self.rng.randint(1, 120)].encode())
        await asyncio.sleep(self.rng.uniform(0, 2))
        writer.transport.abort()

    async def use_bad_request(self, _: str) -> None:
        path, body, status = self.rng.choice(BAD)
        try:
            async with sent(self._url + path, body) as response:
                await _check(response, status, path)
        except ConnectionError:  # closed while a body of megabytes was sent
            same("closed", status, 413)

    async def _answer(self, path: str, body: dict[str, Any]) -> Any:
        async with sent(self._url + path, body) as response:
            return await _check(response, 200, path)

    async def _streamed(
        self,
        prompt: str,
        body: dict[str, Any],
        *,
        most: int | None = None,
        pause: float = 0,
        buffer: int | None = None,
    ) -> str:
        """Return a streamed text, the beginning of it if only `most` events count."""
        texts: list[str] = []
        body = body | {"stream": True}
        async with sent(self._url + COMPLETIONS, body, buffer=buffer) as response:
            if response.status != 200:
                await _check(response, 200, COMPLETIONS)
            async for event in response.events():
                texts += (choice["text"] for choice in event["choices"])
                if len(texts) == most:
                    break
                await asyncio.sleep(pause)
        return "".join(texts)

    def _body(self, prompt: str) -> dict[str, Any]:
        options = {"max_tokens": self._known.n_tokens, "temperature": 0}
        return {"model": "m", "prompt": prompt, **options}

    def _chat(self, prompt: str) -> dict[str, Any]:
        body = self._body(prompt)
        del body["prompt"]
        return body | {"messages": [{"role": "user", "content": prompt}]}


async def _check(response: Response, status: int, path: str) -> Any:
    """Return the value of a response, which must have that status, or be too busy."""
    value = await response.json()
    if response.status == 429:
        raise Busy(float(response.headers["retry-after"]))
    same(f"status of {path}, {value}", response.status, status)
    return value
