"""Completions as the dicts of OpenAI's completion API."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from llamacy.generation.streams import Stream
    from llamacy.results import Completion, FinishReason, TokenLogprob


OpenAIReason = Literal["stop", "length", "tool_calls"]
"""Why a text ended, in OpenAI's words."""


class CompletionUsage(TypedDict):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionLogprobs(TypedDict):
    """Log-probabilities of tokens, in lists of one length.

    `text_offset` counts characters from the beginning of the prompt; None stands
    where nothing was predicted, at the first token of a prompt.
    """

    tokens: list[str]
    text_offset: list[int]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]


class CompletionChoice(TypedDict):
    """A text; `finish_reason` is None until its last chunk."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: OpenAIReason | None


class CreateCompletionResponse(TypedDict):
    """A whole completion, or a chunk of one, which has no `usage`."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: NotRequired[CompletionUsage]


class Responder:
    """Makes the dicts of one completion, which share an id.

    Parameters
    ----------
    model : name to give.
    token_text : text of a token.
    prompt : the prompt as text.
    echo : whether it stands before what follows it; of chunks, it never does.
    """

    def __init__(
        self,
        model: str,
        token_text: Callable[[int], str],
        prompt: str,
        echo: bool = False,
    ) -> None:
        self._id = f"cmpl-{uuid.uuid4()}"
        self._created = int(time.time())
        self._model = model
        self._token_text = token_text
        self._prompt = prompt
        self._echo = echo
        self._offset = 0 if echo else len(prompt)

    def whole(
        self, completion: Completion, prompt_ids: Sequence[int]
    ) -> CreateCompletionResponse:
        """Return the dict of a finished completion.

        Parameters
        ----------
        completion : what was generated.
        prompt_ids : tokens of the prompt, without a beginning-of-text token.
        """
        logprobs = None
        if completion.logprobs is not None:
            entries: list[tuple[int, TokenLogprob | None]] = []
            if self._echo and completion.prompt_logprobs is not None:
                known = completion.prompt_logprobs[-len(prompt_ids) :]
                entries = [(prompt_ids[0], None)] if prompt_ids else []
                entries += zip(prompt_ids[1:], known[1:], strict=True)
            entries += ((entry.token, entry) for entry in completion.logprobs)
            logprobs = self._logprobs(entries)
        text = (self._prompt if self._echo else "") + completion.text
        response = self._response(text, logprobs, completion.finish_reason)
        response["usage"] = {
            "prompt_tokens": completion.usage.prompt_tokens,
            "completion_tokens": completion.usage.completion_tokens,
            "total_tokens": completion.usage.total_tokens,
        }
        return response

    def chunks(self, stream: Stream) -> Iterator[CreateCompletionResponse]:
        """Yield a dict for each piece of `stream`, and one that says why it ended."""
        with stream:
            for piece in stream:
                logprobs = None
                if piece.logprobs:
                    logprobs = self._logprobs((e.token, e) for e in piece.logprobs)
                if piece.text or logprobs:
                    yield self._response(piece.text, logprobs, None)
            yield self._response("", None, stream.completion.finish_reason)

    def _response(
        self,
        text: str,
        logprobs: CompletionLogprobs | None,
        reason: FinishReason | None,
    ) -> CreateCompletionResponse:
        choice: CompletionChoice = {
            "text": text,
            "index": 0,
            "logprobs": logprobs,
            "finish_reason": "stop" if reason == "cancelled" else reason,
        }
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
            "choices": [choice],
        }

    def _logprobs(
        self, entries: Iterable[tuple[int, TokenLogprob | None]]
    ) -> CompletionLogprobs:
        result: CompletionLogprobs = {
            "tokens": [],
            "text_offset": [],
            "token_logprobs": [],
            "top_logprobs": [],
        }
        for token, entry in entries:
            text = self._token_text(token)
            result["tokens"].append(text)
            result["text_offset"].append(self._offset)
            result["token_logprobs"].append(entry.logprob if entry else None)
            result["top_logprobs"].append(self._top(entry) if entry else None)
            self._offset += len(text)
        return result

    def _top(self, entry: TokenLogprob) -> dict[str, float]:
        """Log-probabilities by text, the likeliest first, and the token's own."""
        top: dict[str, float] = {}
        for token, logprob in entry.top:
            # Of tokens with one text the likeliest counts.
            top.setdefault(self._token_text(token), logprob)
        top[self._token_text(entry.token)] = entry.logprob
        return top
