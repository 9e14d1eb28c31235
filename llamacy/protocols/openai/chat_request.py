"""Requests of OpenAI's chat completion API as arguments of `Model.chat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamacy.arguments import checked_integer, short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.sampling import (
    MAX_TOP,
    n_choices,
    sampling_options,
    seeded,
)
from llamacy.protocols.openai.streaming import Streaming
from llamacy.protocols.openai.structure import (
    structure_options,
    taken_tools,
    template_options,
    tool_options,
)

_IGNORED: Final = ("prediction", "verbosity")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request for an answer.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    messages : list of dict
        The conversation.
    options : dict
        Keyword arguments of `Model.chat`.
    n : int
        Number of answers.
    has_one_call : bool
        Whether an answer may have only one tool call.
    streaming : Streaming
        Whether and how it is streamed.
    """

    model: str
    messages: list[dict[str, Any]]
    options: dict[str, Any]
    n: int
    has_one_call: bool
    streaming: Streaming

    def options_of(self, index: int) -> dict[str, Any]:
        """Return the keyword arguments for one of the answers."""
        return seeded(self.options, index)


def chat_request(body: object) -> ChatRequest:
    """Check a request's body, all but the contents of its messages.

    Raises
    ------
    ArgumentError
        A field is unknown, or its value is invalid or not supported; the message
        begins with its name.
    """
    fields = Fields(body)
    model = model_name(fields)
    messages = _messages(fields)
    options = {**sampling_options(fields), **_answer_length(fields)}
    options |= {**structure_options(fields), **_prompt_options(fields)}
    if (top := _logprobs(fields)) is not None:
        options["logprobs"] = top
    request = ChatRequest(
        model,
        messages,
        options,
        n_choices(fields),
        not fields.flag("parallel_tool_calls", True),
        Streaming.of(fields),
    )
    _refuse(fields)
    fields.ignore(_IGNORED)
    fields.finish()
    return request


def model_name(fields: Fields) -> str:
    """Take the name of the model; empty if it was left out."""
    return fields.text("model") or ""


def _messages(fields: Fields) -> list[dict[str, Any]]:
    messages = fields.take("messages", [])
    if not isinstance(messages, list) or not messages:
        raise ArgumentError(
            f"messages: wanted a list of at least one message, found {short(messages)}"
        )
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ArgumentError(
                f"messages[{index}]: wanted an object, found {short(message)}"
            )
    return messages


def _answer_length(fields: Fields) -> dict[str, Any]:
    """Take the limit of the answer under its later name, too."""
    before = fields.take("max_tokens")
    most = fields.take("max_completion_tokens", before)
    if before is not None and most != before:
        raise ArgumentError(
            "max_completion_tokens: wanted it alone, or the same as max_tokens, "
            f"found {short(most)}"
        )
    if most is None or most == -1:
        return {}
    name = "max_completion_tokens" if before is None else "max_tokens"
    return {"max_tokens": checked_integer(name, most, 1)}


def _prompt_options(fields: Fields) -> dict[str, Any]:
    """Take the options about how the conversation is written."""
    options = tool_options(fields, taken_tools(fields))
    if (effort := fields.take("reasoning_effort")) is not None:
        options["reasoning_effort"] = effort
    return options | template_options(fields)


def _logprobs(fields: Fields) -> int | None:
    wants = fields.flag("logprobs", False)
    top = fields.take("top_logprobs")
    if top is None:
        return 0 if wants else None
    n_top = checked_integer("top_logprobs", top, 0, MAX_TOP)
    if not wants and n_top:
        raise ArgumentError(f"top_logprobs: wanted logprobs as well, found {top}")
    return n_top if wants else None


def _refuse(fields: Fields) -> None:
    """Refuse fields that ask for answers which llamacy cannot give."""
    fields.refuse("audio", "answers are texts")
    fields.refuse("modalities", "answers are texts", (["text"],))
    fields.refuse("functions", "tools takes its place", ([],))
    fields.refuse("function_call", "tool_choice takes its place", ("none",))
    fields.refuse("web_search_options", "nothing is searched for")
    for name in ("guided_json", "structured_outputs"):
        fields.refuse(name, "response_format takes its place")
