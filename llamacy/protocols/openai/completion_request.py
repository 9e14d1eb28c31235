"""Requests of OpenAI's completion API as arguments of `Model.generate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from llamacy.arguments import checked_integer, short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.chat_request import model_name
from llamacy.protocols.openai.sampling import (
    MAX_CHOICES,
    MAX_TOP,
    n_choices,
    sampling_options,
    seeded,
)
from llamacy.protocols.openai.streaming import Streaming
from llamacy.protocols.openai.structure import structure_options

PromptText: TypeAlias = "str | list[int]"

_MAX_TOKENS: Final = 16  # OpenAI's default


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A checked request for texts.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    prompts : list of str, or of list of int
        Texts, or their token ids.
    options : dict
        Keyword arguments of `Model.generate`.
    n : int
        Number of texts for each prompt.
    echo : bool
        Whether the texts begin with their prompts.
    streaming : Streaming
        Whether and how they are streamed.
    """

    model: str
    prompts: list[PromptText]
    options: dict[str, Any]
    n: int
    echo: bool
    streaming: Streaming

    def options_of(self, index: int) -> dict[str, Any]:
        """Return the keyword arguments for one text of a prompt."""
        return seeded(self.options, index)


def completion_request(body: object) -> CompletionRequest:
    """Check a request's body, all but the ids in its prompts.

    Raises
    ------
    ArgumentError
        A field is unknown, or its value is invalid or not supported; the message
        begins with its name.
    """
    fields = Fields(body)
    model = model_name(fields)
    prompts = _prompts(fields)
    options: dict[str, Any] = {**sampling_options(fields), **structure_options(fields)}
    if fields.take("max_tokens") is None:
        options["max_tokens"] = _MAX_TOKENS
    echo = fields.flag("echo", False)
    if (top := fields.take("logprobs")) is not None:
        options["logprobs"] = checked_integer("logprobs", top, 0, MAX_TOP)
        if echo:
            options["prompt_logprobs"] = options["logprobs"]
    request = CompletionRequest(
        model, prompts, options, n_choices(fields), echo, Streaming.of(fields)
    )
    if len(prompts) * request.n > MAX_CHOICES:
        raise ArgumentError(
            f"n: wanted at most {MAX_CHOICES} texts of all prompts together, "
            f"found {len(prompts) * request.n}"
        )
    best_of = fields.take("best_of", request.n)
    if best_of != request.n:
        raise ArgumentError(f"best_of: wanted the same as n, found {short(best_of)}")
    fields.refuse("suffix", "texts can only be continued", ("",))
    fields.finish()
    return request


def _prompts(fields: Fields) -> list[PromptText]:
    """Take the prompt, or several: a text, a list of ids, or a list of either."""
    prompt = fields.take("prompt")
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(_is_id(item) for item in prompt):
            return [prompt]
        if all(_is_prompt(item) for item in prompt):
            return prompt
    raise ArgumentError(
        "prompt: wanted a text, a list of token ids, or a list of either, "
        f"found {short(prompt)}"
    )


def _is_id(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _is_prompt(item: object) -> bool:
    is_ids = isinstance(item, list) and item != [] and all(map(_is_id, item))
    return isinstance(item, str) or is_ids
