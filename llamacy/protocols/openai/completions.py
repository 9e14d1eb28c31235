"""Completions as the dicts of OpenAI's completion API."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from llamacy.protocols.openai.common import (
    CompletionUsage,
    Head,
    OpenAIReason,
    finish_reason,
    usage,
)

if TYPE_CHECKING:
    from llamacy.results import Completion, FinishReason, Piece, TokenLogprob


class CompletionLogprobs(TypedDict):
    """Log-probabilities of tokens, in lists of one length.

    `text_offset` counts characters from the beginning of the prompt: those that the
    tokens before have completed. None stands where nothing was predicted: at the first
    token of a prompt.
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


class CompletionResponse:
    """Makes the dicts of one completion: the whole, or chunk after chunk.

    Parameters
    ----------
    head : Head
        Shared by all its dicts.
    token_bytes : callable
        Returns the bytes of a token id.
    prompt : str
        The prompt as text.
    echo : bool
        Whether the prompt is repeated before the text: in a whole completion, or in a
        chunk of its own.
    index : int, default 0
        Its place among the completions of one response.
    """

    def __init__(
        self,
        head: Head,
        token_bytes: Callable[[int], bytes],
        prompt: str,
        echo: bool = False,
        index: int = 0,
    ) -> None:
        self._head = head
        self._index = index
        self._token_bytes = token_bytes
        self._prompt = prompt
        self._echo = echo
        self._offset = 0 if echo else len(prompt)
        # A character of several tokens counts once its last token is there.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def whole(
        self, completion: Completion, prompt_ids: Sequence[int]
    ) -> CreateCompletionResponse:
        """Return the dict of a finished completion.

        Parameters
        ----------
        completion : Completion
            The result.
        prompt_ids : sequence of int
            Tokens of the prompt, without a beginning-of-text token.
        """
        logprobs = None
        if completion.logprobs is not None:
            entries: list[tuple[int, TokenLogprob | None]] = []
            if self._echo and completion.prompt_logprobs is not None:
                entries = _of_prompt(prompt_ids, completion.prompt_logprobs)
            entries += ((entry.token, entry) for entry in completion.logprobs)
            logprobs = self._logprobs(entries)
        text = (self._prompt if self._echo else "") + completion.text
        response = self._response(text, logprobs, completion.finish_reason)
        response["usage"] = usage(completion.usage)
        return response

    def prompt_chunk(
        self, prompt_ids: Sequence[int], known: Sequence[TokenLogprob | None] | None
    ) -> CreateCompletionResponse:
        """Return the chunk that repeats the prompt.

        Parameters
        ----------
        prompt_ids : sequence of int
            Tokens of the prompt, without a beginning-of-text token.
        known : sequence of TokenLogprob or None
            Their log-probabilities, if they are wanted.
        """
        logprobs = None
        if known is not None:
            logprobs = self._logprobs(_of_prompt(prompt_ids, known))
        return self._response(self._prompt, logprobs, None)

    def chunk(self, piece: Piece) -> CreateCompletionResponse | None:
        """Return the chunk of a piece; None for one with neither text nor logprobs."""
        logprobs = None
        if piece.logprobs:
            logprobs = self._logprobs((entry.token, entry) for entry in piece.logprobs)
        if not piece.text and logprobs is None:
            return None
        return self._response(piece.text, logprobs, None)

    def last_chunk(self, reason: FinishReason) -> CreateCompletionResponse:
        """Return the chunk that says why the text ended."""
        return self._response("", None, reason)

    def _response(
        self,
        text: str,
        logprobs: CompletionLogprobs | None,
        reason: FinishReason | None,
    ) -> CreateCompletionResponse:
        choice: CompletionChoice = {
            "text": text,
            "index": self._index,
            "logprobs": logprobs,
            "finish_reason": finish_reason(reason),
        }
        return {
            "id": self._head.id,
            "object": "text_completion",
            "created": self._head.created,
            "model": self._head.model,
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
            result["tokens"].append(self._token_text(token))
            result["text_offset"].append(self._offset)
            result["token_logprobs"].append(entry.logprob if entry else None)
            result["top_logprobs"].append(self._top(entry) if entry else None)
            self._offset += len(self._decoder.decode(self._token_bytes(token)))
        return result

    def _token_text(self, token: int) -> str:
        return self._token_bytes(token).decode(errors="ignore")

    def _top(self, entry: TokenLogprob) -> dict[str, float]:
        """Return log-probabilities by text, likeliest first, and the token's own."""
        top: dict[str, float] = {}
        for token, logprob in entry.top:
            # Of tokens with one text the likeliest counts.
            top.setdefault(self._token_text(token), logprob)
        top[self._token_text(entry.token)] = entry.logprob
        return top


def _of_prompt(
    ids: Sequence[int], known: Sequence[TokenLogprob | None]
) -> list[tuple[int, TokenLogprob | None]]:
    """Return a prompt's tokens with their log-probabilities, the first without one."""
    if not ids:
        return []
    known = known[-len(ids) :]
    return [(ids[0], None), *zip(ids[1:], known[1:], strict=True)]
