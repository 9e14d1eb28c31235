"""`/v1/responses`: answers as items, which later responses may go on from."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from llamacy.chat.results import ChatCompletion, ToolCall
from llamacy.chat.stream import AsyncChatStream
from llamacy.errors import LlamacyError
from llamacy.generation.cancelling import CancelToken
from llamacy.model.prompt_ids import token_bytes_of
from llamacy.protocols.openai.chat import message
from llamacy.protocols.openai.common import Head
from llamacy.protocols.openai.response_request import (
    ResponseRequest,
    response_request,
)
from llamacy.protocols.openai.responses import Response
from llamacy.server.calls import first_call, until_first_call
from llamacy.server.capacity import check_capacity
from llamacy.server.errors import Refusal, refusal_of
from llamacy.server.lengths import check_length, texts_of
from llamacy.server.reading_progress import ReadingProgress
from llamacy.server.responses import JSON, Events, event, made
from llamacy.server.service import service_of


async def responses(request: Request) -> JSON | Events:
    """Answer, and remember the conversation."""
    try:
        return await _answered(request)
    except LlamacyError as error:
        raise _refusal(error) from error


def _refusal(error: LlamacyError) -> Refusal:
    """Return the refusal of a request, whose messages are called its input."""
    refusal = refusal_of(error, "input")
    if refusal.field is not None and refusal.field.startswith("messages"):
        refusal.field = "input"
        refusal.message = f"input: {refusal.message.partition(': ')[2]}"
    return refusal


async def _answered(request: Request) -> JSON | Events:
    service = service_of(request)
    asked = response_request(await service.body(request))
    name, model = await service.writer(request, asked.model)
    check_capacity(model)
    before: list[dict[str, Any]] = []
    if asked.previous is not None:
        before = service.store.get(asked.previous, "previous_response_id").messages
    messages = asked.conversation(before)
    if "overflow" not in asked.options:
        await check_length(model, texts_of(messages))
    head = Head.new("resp", name)
    response = Response(head, asked.echoed, token_bytes_of(model), asked.namespaces)
    turn = _Turn(request, name, asked, before, response)
    if asked.stream:
        progress = ReadingProgress()
        stream = model.astream_chat(messages, progress=progress, **asked.options)
        await stream.start()
        events = turn.events(stream)
        return Events(events, [stream], progress.said, service.quiet_seconds)

    async def begin(cancel: CancelToken) -> list[list[ChatCompletion]]:
        return [[await model.achat(messages, cancel=cancel, **asked.options)]]

    ((answer,),) = await service.whole(request, name, begin)
    if asked.has_one_call:
        answer = first_call(answer)
    body = await made(lambda: turn.response.whole(answer), [answer])
    return JSON(turn.stored(body, answer))


async def stored_response(request: Request) -> JSON:
    """Return a stored response."""
    store = service_of(request).store
    return JSON(store.get(request.path_params["id"]).response)


async def remove_response(request: Request) -> JSON:
    """Forget a stored response."""
    id = request.path_params["id"]
    service_of(request).store.remove(id)
    return JSON({"id": id, "object": "response", "deleted": True})


class _Turn:
    """One response on its way.

    Attributes
    ----------
    response : Response
        Makes its dicts.
    """

    def __init__(
        self,
        request: Request,
        model: str,
        asked: ResponseRequest,
        before: list[dict[str, Any]],
        response: Response,
    ) -> None:
        self.response = response
        self._scope = request.scope
        self._service = service_of(request)
        self._model = model
        self._asked = asked
        self._before = before

    def stored(self, body: dict[str, Any], answer: ChatCompletion) -> dict[str, Any]:
        """Store a finished response, if that is wanted; return it."""
        if self._asked.is_stored:
            said: Any = message(answer)
            self._service.store.add(body, [*self._before, *self._asked.messages, said])
        return body

    async def events(self, stream: AsyncChatStream) -> AsyncGenerator[bytes, None]:
        """Yield the events of a stream."""
        response, text = self.response, ""
        called: ToolCall | None = None
        try:
            for one in response.begin():
                yield _named(one)
            async for piece in until_first_call(stream, self._asked.has_one_call):
                for one in response.push(piece):
                    yield _named(one)
                text += piece.text
                if self._asked.has_one_call and piece.tool_calls:
                    (called,) = piece.tool_calls
        except Exception as error:
            refusal = self._service.refusal(error)
            yield _named(response.fail(refusal.code, refusal.message))
            return
        finally:  # also if the client has hung up
            answer = stream.completion
            self._service.note(self._scope, self._model, [[answer]])
        if called:  # which has ended it
            answer = replace(
                answer, text=text, tool_calls=(called,), finish_reason="tool_calls"
            )
        *last, final = response.end(answer, answer.finish_reason)
        for one in last:
            yield _named(one)
        self.stored(final["response"], answer)
        yield _named(final)


def _named(one: dict[str, Any]) -> bytes:
    return event(one, one["type"])
