"""Answers and texts as the dicts of Ollama's API, whole or line by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from llamacy.protocols.openai.logprobs import entries

if TYPE_CHECKING:
    from llamacy.chat.results import ToolCall
    from llamacy.results import Completion, TokenLogprob

Kind = Literal["message", "response"]
"""Where the text is: in a message, of an answer; or in a field of its own."""

_NANOSECONDS = 10**9


class OllamaResponse:
    """Makes the dicts of one answer or text.

    Parameters
    ----------
    model : str
        The model's name, as the client knows it.
    kind : {"message", "response"}
        Where the text is.
    shows_thinking : bool
        Whether the client wants to see the reasoning.
    """

    def __init__(self, model: str, kind: Kind, shows_thinking: bool = True) -> None:
        self._model = model
        self._kind = kind
        self._shows_thinking = shows_thinking
        self._token_bytes: Callable[[int], bytes] = lambda _: b""

    def spell(self, token_bytes: Callable[[int], bytes]) -> None:
        """Spell tokens of log-probabilities with this function from now on."""
        self._token_bytes = token_bytes

    def part(
        self,
        text: str = "",
        thinking: str = "",
        tool_calls: tuple[ToolCall, ...] = (),
        logprobs: Sequence[TokenLogprob] | None = None,
    ) -> dict[str, Any]:
        """Return the dict of a part of the text, which may be empty."""
        shown: dict[str, Any] = {}
        if thinking and self._shows_thinking:
            shown["thinking"] = thinking
        if tool_calls:
            shown["tool_calls"] = [_call(call) for call in tool_calls]
        top: dict[str, Any] = {"model": self._model, "created_at": now()}
        if self._kind == "message":
            top["message"] = {"role": "assistant", "content": text, **shown}
        else:
            top |= {"response": text, **shown}
        if logprobs:
            top["logprobs"] = entries(logprobs, self._token_bytes)
        return {**top, "done": False}

    def end(self, completion: Completion, part: dict[str, Any]) -> dict[str, Any]:
        """Return the last dict: why the text ended, and what it took.

        Parameters
        ----------
        completion : Completion
            The finished text.
        part : dict
            The dict of what has not been sent: all of it, or an empty part.
        """
        used, times = completion.usage, completion.timings
        seconds = times.waited_seconds + times.prompt_seconds + times.generation_seconds
        is_cut = completion.finish_reason == "length"
        return {
            **part,
            "done": True,
            "done_reason": "length" if is_cut else "stop",
            "total_duration": round(seconds * _NANOSECONDS),
            "load_duration": 0,
            "prompt_eval_count": used.prompt_tokens,
            "prompt_eval_duration": round(times.prompt_seconds * _NANOSECONDS),
            "eval_count": used.completion_tokens,
            "eval_duration": round(times.generation_seconds * _NANOSECONDS),
        }

    def nothing(self, unloads: bool) -> dict[str, Any]:
        """Return the dict of a request that only loads or unloads the model."""
        reason = "unload" if unloads else "load"
        return {**self.part(), "done": True, "done_reason": reason}


def now() -> str:
    """Return the time in the form that Ollama's clients parse."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _call(call: ToolCall) -> dict[str, Any]:
    """Return a tool call, whose arguments are an object here."""
    return {
        "id": call.id,
        "function": {"name": call.name, "arguments": call.arguments},
    }
