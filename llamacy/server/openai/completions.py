"""`/v1/completions`: texts that go on, whole or in chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from starlette.requests import Request

from llamacy.errors import LlamacyError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.streams import AsyncStream
from llamacy.model.model import Model
from llamacy.model.prompt_ids import prompt_ids, token_bytes_of
from llamacy.protocols.openai.common import Head, detailed, total
from llamacy.protocols.openai.completion_request import (
    CompletionRequest,
    completion_request,
)
from llamacy.protocols.openai.completions import (
    CompletionResponse,
    CreateCompletionResponse,
)
from llamacy.results import Completion
from llamacy.server.capacity import check_capacity
from llamacy.server.errors import refusal_of
from llamacy.server.joining import all_of, joined, start_all
from llamacy.server.lengths import check_lengths
from llamacy.server.openai.chunks import DONE, Progress, failure, usage_chunk
from llamacy.server.responses import JSON, Events, event, made
from llamacy.server.service import service_of

_CHUNK: Final = "text_completion"


@dataclass(frozen=True, slots=True)
class _Task:
    """A request with its model, and the ids of its prompts.

    Attributes
    ----------
    asked : CompletionRequest
        The request.
    model : Model
        The model.
    head : Head
        Shared by the response's dicts.
    ids : list of list of int
        Token ids of each prompt.
    """

    asked: CompletionRequest
    model: Model
    head: Head
    ids: list[list[int]]

    def response(self, index: int) -> CompletionResponse:
        """Return the maker of dicts for one of the texts."""
        prompt = self.asked.prompts[index // self.asked.n]
        if not isinstance(prompt, str):
            prompt = self.model.detokenize(prompt)
        token_bytes = token_bytes_of(self.model)
        return CompletionResponse(
            self.head, token_bytes, prompt, self.asked.echo, index
        )

    def shown_ids(self, index: int) -> list[int]:
        """Return the ids of a text's prompt that it is shown with."""
        ids = self.ids[index // self.asked.n]
        return ids[1:] if ids[:1] == [self.model.tokenizer.bos_id] else ids


async def completions(request: Request) -> JSON | Events:
    """Continue a prompt, or several."""
    service = service_of(request)
    asked = completion_request(await service.body(request))
    name, model = await service.writer(request, asked.model)
    try:
        check_capacity(model, _n_calls(asked), "n" if asked.n > 1 else "prompt")
        written = ([one] if isinstance(one, str) else [] for one in asked.prompts)
        await check_lengths(model, written)
        ids = await asyncio.to_thread(_ids, model, asked)
        task = _Task(asked, model, Head.new("cmpl", name), ids)
        if asked.streaming.is_on:
            return await _stream(request, task)
        texts = await service.whole(request, name, lambda cancel: _texts(task, cancel))
    except LlamacyError as error:
        raise refusal_of(error, "prompt") from error
    usage = detailed(total([text.usage for text in each] for each in texts))
    return await made(
        lambda: JSON({**_whole(task, texts), "usage": usage}),
        chain.from_iterable(texts),
    )


def _n_calls(asked: CompletionRequest) -> int:
    """Count the calls of the model: one for all texts, unless they differ in seeds."""
    if asked.streaming.is_on:
        return len(asked.prompts) * asked.n
    return 1 if asked.options.get("seed") is None else asked.n


def _ids(model: Model, asked: CompletionRequest) -> list[list[int]]:
    return [prompt_ids(model, prompt) for prompt in asked.prompts]


async def _texts(task: _Task, cancel: CancelToken) -> list[list[Completion]]:
    """Generate the texts of each prompt, with the seeds that their streams have."""
    asked, generate = task.asked, task.model.agenerate
    if _n_calls(asked) == 1:
        return await generate(task.ids, n=asked.n, cancel=cancel, **asked.options)
    seeded = await all_of(
        generate(task.ids, cancel=cancel, **asked.options_of(index))
        for index in range(asked.n)
    )
    return [list(each) for each in zip(*seeded, strict=True)]


def _whole(task: _Task, texts: Sequence[Sequence[Completion]]) -> dict[str, Any]:
    """Return the response of the finished texts of each prompt."""
    responses = [
        task.response(index).whole(text, task.shown_ids(index))
        for index, text in enumerate(text for each in texts for text in each)
    ]
    choices = [choice for response in responses for choice in response["choices"]]
    return {**responses[0], "choices": choices}


async def _stream(request: Request, task: _Task) -> Events:
    """Begin the texts; errors of the request are raised before anything is sent."""
    service = service_of(request)
    asked, n = task.asked, len(task.ids) * task.asked.n
    progress = Progress(n, task.head, _CHUNK, asked.streaming.has_progress)
    streams = [
        task.model.astream(
            task.ids[index // asked.n],
            progress=progress.of(index),
            **asked.options_of(index % asked.n),
        )
        for index in range(n)
    ]
    await start_all(streams)
    events = _chunks(request, task, streams)
    return Events(
        events, streams, progress.said, service.quiet_seconds_of(asked.streaming)
    )


async def _chunks(
    request: Request, task: _Task, streams: Sequence[AsyncStream]
) -> AsyncGenerator[bytes, None]:
    service = service_of(request)
    responses = [task.response(index) for index in range(len(streams))]
    begun: set[int] = set()  # texts whose prompt has been repeated

    def prompt_chunk(index: int) -> CreateCompletionResponse:
        known = streams[index].completion.prompt_logprobs
        return responses[index].prompt_chunk(task.shown_ids(index), known)

    try:
        async for index, piece in joined(streams):
            if piece is None:
                if task.asked.echo and index not in begun:
                    yield event(prompt_chunk(index))
                reason = streams[index].completion.finish_reason
                yield event(responses[index].last_chunk(reason))
                continue
            if task.asked.echo and index not in begun:
                begun.add(index)
                yield event(prompt_chunk(index))
            if chunk := responses[index].chunk(piece):
                yield event(chunk)
    except Exception as error:
        yield failure(service.refusal(error, "prompt"))
        return
    finally:  # also if the client has hung up
        n, ended = task.asked.n, [stream.completion for stream in streams]
        texts = [ended[first : first + n] for first in range(0, len(ended), n)]
        usage = service.note(request.scope, task.head.model, texts)
    if task.asked.streaming.has_usage:
        yield event(usage_chunk(task.head, _CHUNK, detailed(usage)))
    yield DONE
