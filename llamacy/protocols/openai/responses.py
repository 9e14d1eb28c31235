"""Answers as the items and events of OpenAI's response API."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from llamacy.protocols.openai.logprobs import entries

if TYPE_CHECKING:
    from llamacy.chat.results import (
        ChatCompletion,
        ChatPiece,
        ToolCall,
        ToolCallDelta,
    )
    from llamacy.protocols.openai.common import Head
    from llamacy.results import Completion, FinishReason

Item = dict[str, Any]

_PARTS: dict[str, dict[str, Any]] = {
    "message": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "reasoning": {"type": "reasoning_text", "text": ""},
}
_EVENTS = {"message": "output_text", "reasoning": "reasoning_text"}
_REASONS = {"length": "max_output_tokens"}
_NO_NAMESPACES: Final[Mapping[str, tuple[str, str]]] = {}


class Response:
    """Makes the dicts of one response: the whole, or event after event.

    Parameters
    ----------
    head : Head
        Id, time and model.
    echoed : dict
        Fields of the request that the response repeats.
    token_bytes : callable
        Returns the bytes of a token id.
    namespaces : mapping of str to pair of str
        Namespace and name of functions, by the names that the model calls them by.
    """

    def __init__(
        self,
        head: Head,
        echoed: dict[str, Any],
        token_bytes: Callable[[int], bytes],
        namespaces: Mapping[str, tuple[str, str]] = _NO_NAMESPACES,
    ) -> None:
        self._top = {
            "id": head.id,
            "object": "response",
            "created_at": head.created,
            "model": head.model,
            "background": False,
            **echoed,
        }
        self._items: list[Item] = []
        self._open: Item | None = None
        self._n_events = 0
        self._token_bytes = token_bytes
        self._namespaces = namespaces
        self._logprobs: list[dict[str, Any]] = []  # of tokens that no delta has had

    def whole(self, answer: ChatCompletion) -> dict[str, Any]:
        """Return the response of a finished answer."""
        if answer.reasoning:
            self._items.append(_item("reasoning", answer.reasoning, "completed"))
        if answer.text or not (self._items or answer.tool_calls):
            item = _item("message", answer.text, "completed")
            if answer.logprobs:
                logprobs = entries(answer.logprobs, self._token_bytes)
                item["content"][0]["logprobs"] = logprobs
            self._items.append(item)
        self._items += map(self._whole_call, answer.tool_calls)
        return self._response(_status(answer.finish_reason), answer)

    def begin(self) -> Iterator[Item]:
        """Yield the events before the first piece."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=self._response("in_progress"))

    def push(self, piece: ChatPiece) -> Iterator[Item]:
        """Yield the events of a piece."""
        self._logprobs += entries(piece.logprobs or (), self._token_bytes)
        if piece.reasoning:
            yield from self._add("reasoning", piece.reasoning)
        if piece.text:
            yield from self._add("message", piece.text)
        for delta in piece.call_deltas:
            yield from self._call(delta)

    def end(self, completion: Completion, reason: FinishReason) -> Iterator[Item]:
        """Yield the events after the last piece.

        Parameters
        ----------
        completion : Completion
            Has the token counts.
        reason : FinishReason
            Why the answer ended.
        """
        if not self._items and self._open is None:
            yield from self._begin("message")
        if self._open is not None and self._open["type"] == "message":
            self._open["content"][0]["logprobs"] += self._logprobs
        yield from self._close()
        status = _status(reason)
        response = self._response(status, completion)
        yield self._event(f"response.{status}", response=response)

    def fail(self, code: str | None, message: str) -> Item:
        """Return the event of an error after which nothing comes."""
        response = self._response("failed")
        response["error"] = {"code": code or "server_error", "message": message}
        return self._event("response.failed", response=response)

    def _add(self, kind: str, text: str) -> Iterator[Item]:
        """Yield the events of more text of one kind of item."""
        if self._open is None or self._open["type"] != kind:
            yield from self._close()
            yield from self._begin(kind)
        assert self._open is not None
        (part,) = self._open["content"]
        part["text"] += text
        rest = {}
        if kind == "message":
            rest = {"logprobs": _without_bytes(self._logprobs)}
            part["logprobs"] += self._logprobs
            self._logprobs = []
        yield self._of_part(f"response.{_EVENTS[kind]}.delta", delta=text, **rest)

    def _begin(self, kind: str) -> Iterator[Item]:
        item = self._open = _item(kind, "", "in_progress")
        added = {**item, "content": []}
        yield self._of_item("response.output_item.added", item=added)
        part = copy.deepcopy(_PARTS[kind])
        yield self._of_part("response.content_part.added", part=part)

    def _close(self) -> Iterator[Item]:
        """Yield the events of the end of the item that is written, if one is."""
        item = self._open
        if item is None:
            return
        item["status"] = "completed"
        if item["type"] == "function_call":
            yield from self._close_call(item)
        else:
            (part,) = item["content"]
            kind: str = item["type"]
            rest = {"text": part["text"]}
            if kind == "message":
                rest["logprobs"] = _without_bytes(part["logprobs"])
            yield self._of_part(f"response.{_EVENTS[kind]}.done", **rest)
            yield self._of_part("response.content_part.done", part=part)
        yield self._of_item("response.output_item.done", item=item)
        self._items.append(item)
        self._open = None

    def _call(self, delta: ToolCallDelta) -> Iterator[Item]:
        """Yield the events of a part of a tool call."""
        if delta.name:
            yield from self._close()
            item = self._call_item(delta.name, delta.id, "", "in_progress")
            self._open = item
            yield self._of_item("response.output_item.added", item=dict(item))
        assert self._open is not None
        if delta.arguments:
            self._open["arguments"] += delta.arguments
            kind = "response.function_call_arguments.delta"
            yield self._of_item(kind, item_id=self._open["id"], delta=delta.arguments)

    def _close_call(self, item: Item) -> Iterator[Item]:
        """Yield the event of the end of a call, which may have broken off."""
        if not _is_json(item["arguments"]):
            item["status"] = "incomplete"
        rest = {"arguments": item["arguments"], "name": item["name"]}
        kind = "response.function_call_arguments.done"
        yield self._of_item(kind, item_id=item["id"], **rest)

    def _whole_call(self, call: ToolCall) -> Item:
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        return self._call_item(call.name, call.id, arguments, "completed")

    def _call_item(self, called: str, id: str, arguments: str, status: str) -> Item:
        """Return an item of a call of the function that a model calls so."""
        namespace, name = self._namespaces.get(called, (None, called))
        item = {
            "id": f"fc_{uuid.uuid4().hex}",
            "type": "function_call",
            "status": status,
            "call_id": id,
            "name": name,
            "arguments": arguments,
        }
        return item if namespace is None else {**item, "namespace": namespace}

    def _of_item(self, kind: str, **rest: Any) -> Item:
        return self._event(kind, output_index=len(self._items), **rest)

    def _of_part(self, kind: str, **rest: Any) -> Item:
        assert self._open is not None
        place = {"item_id": self._open["id"], "content_index": 0}
        return self._of_item(kind, **place, **rest)

    def _event(self, kind: str, **rest: Any) -> Item:
        number, self._n_events = self._n_events, self._n_events + 1
        return {"type": kind, "sequence_number": number, **rest}

    def _response(
        self, status: str, completion: Completion | None = None
    ) -> dict[str, Any]:
        details = None
        if completion is not None and status == "incomplete":
            details = {"reason": _REASONS[completion.finish_reason]}
        return {
            **self._top,
            "status": status,
            "error": None,
            "incomplete_details": details,
            "output": list(self._items),
            "usage": None if completion is None else _usage(completion),
        }


def _without_bytes(logprobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return log-probabilities as events have them."""
    return [
        {
            "token": one["token"],
            "logprob": one["logprob"],
            "top_logprobs": [
                {"token": top["token"], "logprob": top["logprob"]}
                for top in one["top_logprobs"]
            ],
        }
        for one in logprobs
    ]


def _status(reason: FinishReason) -> str:
    return "incomplete" if reason in _REASONS else "completed"


def _usage(completion: Completion) -> dict[str, Any]:
    counted = completion.usage
    return {
        "input_tokens": counted.prompt_tokens,
        "input_tokens_details": {"cached_tokens": counted.cached_tokens},
        "output_tokens": counted.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counted.total_tokens,
    }


def _item(kind: str, text: str, status: str) -> Item:
    """Return an item with a text: a message, or reasoning."""
    content = [{**copy.deepcopy(_PARTS[kind]), "text": text}]
    item: Item = {"type": kind, "status": status, "content": content}
    if kind == "reasoning":
        return {"id": f"rs_{uuid.uuid4().hex}", "summary": [], **item}
    return {"id": f"msg_{uuid.uuid4().hex}", "role": "assistant", **item}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
