"""The arguments of llama-cpp-python's chat completions, and their meaning here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.arguments import short
from llamacy.chat.formats import TemplateSource
from llamacy.compat.llama_cpp.arguments import Arguments, SamplingArguments
from llamacy.compat.llama_cpp.handlers import registered
from llamacy.errors import ArgumentError, UnsupportedCallError

# llama-cpp-python's names of formats that have other names in llamacy
_NAMES = {"mistral-instruct": "mistral", "qwen": "chatml", "phi-3": "phi3"}


class ChatArguments(SamplingArguments, total=False):
    """Arguments of an answer besides its messages."""

    max_tokens: int | None
    temperature: float
    stop: str | list[str] | None
    seed: int | None
    model: str | None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None
    logprobs: bool | None
    top_logprobs: int | None
    tools: list[dict[str, Any]] | None
    tool_choice: object | None
    functions: object | None
    function_call: object | None
    response_format: object | None
    chat_template_kwargs: Mapping[str, Any] | None
    reasoning_effort: str | None


# arguments that are refused, and why
_UNUSED = {
    "functions": "tools takes its place",
    "function_call": "tool_choice takes its place",
}

_DEFAULTS: dict[str, Any] = {
    "functions": None,
    "function_call": None,
    "tools": None,
    "tool_choice": None,
    "temperature": 0.2,
    "top_p": 0.95,
    "top_k": 40,
    "min_p": 0.05,
    "typical_p": 1.0,
    "stop": [],
    "seed": None,
    "response_format": None,
    "max_tokens": None,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repeat_penalty": 1.0,
    "tfs_z": 1.0,
    "mirostat_mode": 0,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
    "model": None,
    "logits_processor": None,
    "grammar": None,
    "logit_bias": None,
    "logprobs": None,
    "top_logprobs": None,
}
"""The arguments of `create_chat_completion`, all of which a chat handler is given."""


def known_format(chat_format: str | None) -> str | None:
    """Return llamacy's name of a chat format.

    Raises
    ------
    ArgumentError
        There is no such format.
    """
    if chat_format is None or registered(chat_format) is not None:
        return chat_format
    name = _NAMES.get(chat_format, chat_format)
    TemplateSource({}, "").find(name)
    return name


def chat_arguments(
    arguments: ChatArguments,
) -> tuple[Arguments, dict[str, Any]]:
    """Return the arguments of a completion, and how to write the conversation.

    Besides llama-cpp-python's own it takes two that llama.cpp's server knows, as do
    OpenAI's clients: `chat_template_kwargs` and `reasoning_effort`.

    Raises
    ------
    UnsupportedCallError
        An argument asks for a feature that llamacy does not have.
    ArgumentError
        `chat_template_kwargs` is not a dict.
    """
    given: dict[str, Any] = {"temperature": 0.2, "max_tokens": None, **arguments}
    for name, why in _UNUSED.items():
        value = given.pop(name, None)
        if value not in (None, [], "none", "auto"):
            raise UnsupportedCallError(f"{name}: wanted None, as {why}")
    tools, choice = given.pop("tools", None), given.pop("tool_choice", None)
    form = given.pop("response_format", None)
    n_top = given.pop("top_logprobs", None) or 0
    given["logprobs"] = n_top if given.get("logprobs") else None
    # llama-cpp-python begins a new answer after one of the assistant's
    variables: dict[str, Any] = {"continue_final_message": False}
    more = given.pop("chat_template_kwargs", None)
    if not isinstance(more, Mapping | None):
        raise ArgumentError(f"chat_template_kwargs: wanted a dict, found {short(more)}")
    variables |= more or {}
    effort = given.pop("reasoning_effort", None)
    options = {"template_arguments": variables, "reasoning_effort": effort}
    options |= {"tools": tools, "tool_choice": choice, "response_format": form}
    return Arguments(**given), options


def handler_arguments(arguments: ChatArguments) -> dict[str, Any]:
    """Return all arguments of an answer, as a chat handler is given them.

    Raises
    ------
    TypeError
        An argument is unknown.
    """
    unknown = sorted(arguments.keys() - _DEFAULTS.keys())
    if unknown:
        raise TypeError(f"create_chat_completion: unknown arguments {unknown}")
    return {**_DEFAULTS, **arguments}
