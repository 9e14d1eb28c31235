"""A conversation on its way to token ids."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from llamacy.chat.disguise import Disguise
from llamacy.chat.formats import ChatFormat, TemplateSource
from llamacy.chat.messages import Messages, checked_messages, mapped, texts_in
from llamacy.chat.overflow import Overflow, truncated
from llamacy.chat.template import render
from llamacy.errors import ArgumentError, ContextLengthError

if TYPE_CHECKING:
    from llamacy.sampling import SamplingParams
    from llamacy.tokenizers.base import Tokenizer

_logger = logging.getLogger("llamacy")


class PromptOptions(TypedDict, total=False):
    """How to write a conversation as a prompt.

    chat_format : the name of a format, or a template; None is the model's own.
    overflow : what to do if it does not fit: ``"error"``, or ``"truncate"``, which
        leaves the oldest turns out.
    tools : descriptions of functions, for templates that know of such.
    template_arguments : other names that the template knows, as `enable_thinking`.
    """

    chat_format: str | None
    overflow: Overflow
    tools: Sequence[Mapping[str, Any]] | None
    template_arguments: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """What a conversation has become.

    Attributes
    ----------
    ids : its tokens, up to where the answer begins.
    params : how to generate the answer: as was asked for, and where it ends.
    n_dropped : messages that were left out.
    """

    ids: list[int]
    params: SamplingParams
    n_dropped: int


def make_prompt(
    messages: Messages,
    params: SamplingParams,
    tokenizer: Tokenizer,
    source: TemplateSource,
    n_ctx: int,
    options: PromptOptions,
) -> ChatPrompt:
    """Make the prompt of a conversation.

    Parameters
    ----------
    messages : as they are given.
    params : how to generate the answer.
    tokenizer, source : the model's vocabulary, and where its template is found.
    n_ctx : most tokens of prompt and answer together.
    options : how to write it.

    Raises
    ------
    ArgumentError : a message or an option that is none.
    ChatTemplateError : no template, or one that fails.
    ContextLengthError : the context does not hold it.
    """
    checked = checked_messages(messages)
    found = source.find(options.get("chat_format"))
    overflow = options.get("overflow", "error")

    def tokenized(messages: list[dict[str, Any]]) -> list[int]:
        return _prompt_ids(messages, found, tokenizer, options)

    if overflow == "truncate":
        n_most = n_ctx - _n_answer(params, n_ctx)
        ids, n_dropped = truncated(checked, tokenized, n_most)
    elif overflow == "error":
        ids, n_dropped = tokenized(checked), 0
    else:
        raise ArgumentError(
            f"overflow: wanted 'error' or 'truncate', found {overflow!r}"
        )
    # An empty answer would not say that there was no room for one.
    if len(ids) >= n_ctx and params.max_tokens != 0:
        raise ContextLengthError(len(ids) + 1, n_ctx)
    if n_dropped:
        _logger.info("the context is full: %d messages left out", n_dropped)
    stop = (*(params.stop or ()), *found.stop)
    return ChatPrompt(ids, replace(params, stop=stop), n_dropped)


def _n_answer(params: SamplingParams, n_ctx: int) -> int:
    """Tokens to keep for the answer when turns are left out anyway."""
    if params.max_tokens is None:
        return n_ctx // 4
    return min(params.max_tokens, n_ctx // 2)


def _prompt_ids(
    messages: list[dict[str, Any]],
    found: ChatFormat,
    tokenizer: Tokenizer,
    options: PromptOptions,
) -> list[int]:
    """Write checked messages as a prompt; no name in them counts as a control token."""
    arguments = options.get("template_arguments") or {}
    if not isinstance(arguments, Mapping):
        raise ArgumentError(f"template_arguments: wanted a dict, found {arguments!r}")
    given = {
        **arguments,
        "messages": messages,
        "tools": options.get("tools"),
    }
    taken = [found.template, *texts_in("template_arguments", given)]
    disguise = Disguise(tokenizer.markers, taken)
    values = {
        "add_generation_prompt": True,
        **mapped("template_arguments", given, disguise.put_on),
        **dict(_special_texts(tokenizer)),
    }
    text = render(found.template, found.name, values)
    ids = tokenizer.encode_parts(disguise.taken_off(tokenizer.split(text)))
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    if bos and ids[:2] == bos * 2:
        return ids[1:]
    if tokenizer.add_bos and ids[:1] != bos:
        return bos + ids
    return ids


def _special_texts(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """Names and texts of the special tokens that templates write by name."""
    for name in ("bos", "eos", "unk"):
        token = getattr(tokenizer, f"{name}_id")
        if token is not None:
            yield f"{name}_token", tokenizer.piece(token)
