"""A conversation on its way to token ids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages, checked_messages, without_past_reasoning
from llamacy.chat.overflow import Overflow, Shift, Turns, truncated
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.style import reply_style
from llamacy.chat.tools import checked_tools
from llamacy.chat.writing import Writer
from llamacy.errors import ArgumentError, ContextLengthError

if TYPE_CHECKING:
    from llamacy.sampling import SamplingParams
    from llamacy.tokenizers.base import Tokenizer

_N_END = 16  # tokens, among them the mark that a prompt may end with

_logger = logging.getLogger("llamacy")

Tools: TypeAlias = "Sequence[Callable[..., Any] | Mapping[str, Any]]"
"""Functions, or JSON schemas of such as OpenAI's."""


class PromptOptions(TypedDict, total=False):
    """How to write a conversation as a prompt.

    chat_format : the name of a format, or a template; None is the model's own.
    overflow : what to do if it does not fit: ``"error"``; ``"truncate"``, which
        leaves the oldest turns out; or ``"shift"``, which does so in the middle of an
        answer too.
    tools : functions that the model may want called, or their JSON schemas.
    template_arguments : other names that the template knows, as `enable_thinking`.
    """

    chat_format: str | None
    overflow: Overflow
    tools: Tools | None
    template_arguments: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """What a conversation has become.

    Attributes
    ----------
    ids : its tokens, up to where the answer begins.
    params : how to generate the answer: as was asked for, and where it ends.
    n_dropped : messages that were left out.
    reader : reads the answer.
    written_tokens : control tokens that the answer's text is to have, for the reader.
    shift : makes room in a full context; None if the answer ends there.
    """

    ids: list[int]
    params: SamplingParams
    n_dropped: int
    reader: ReplyReader
    written_tokens: Mapping[int, bytes]
    shift: Shift | None


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
    ArgumentError : a message, a tool or an option that is none.
    ChatTemplateError : no template, or one that fails.
    ContextLengthError : the context does not hold it.
    """
    checked = without_past_reasoning(checked_messages(messages))
    tools = checked_tools(options.get("tools"))
    form = source.find(options.get("chat_format"))
    writer = Writer(form, tokenizer, tools, options.get("template_arguments"))
    overflow = options.get("overflow", "error")
    turns = Turns(checked, writer)

    if overflow in ("truncate", "shift"):
        room = n_ctx // 4 if overflow == "shift" else _n_answer(params, n_ctx)
        ids, n_dropped = truncated(turns, n_ctx - room)
    elif overflow == "error":
        ids, n_dropped = turns.prompt(), 0
    else:
        raise ArgumentError(
            f"overflow: wanted 'error', 'truncate' or 'shift', found {overflow!r}"
        )
    # An empty answer would not say that there was no room for one.
    if len(ids) >= n_ctx and params.max_tokens != 0:
        raise ContextLengthError(len(ids) + 1, n_ctx)
    if n_dropped:
        _logger.info("the context is full: %d messages left out", n_dropped)
    style = reply_style(form.template, tools, tokenizer)
    end = tokenizer.decode(ids[-_N_END:], skip_special=False).rstrip()
    is_thinking = style.thinking is not None and end.endswith(style.thinking.open)
    return ChatPrompt(
        ids,
        replace(params, stop=(*(params.stop or ()), *form.stop)),
        n_dropped,
        ReplyReader(style, is_thinking),
        style.written_tokens(tokenizer),
        Shift(turns, n_ctx, n_dropped) if overflow == "shift" else None,
    )


def _n_answer(params: SamplingParams, n_ctx: int) -> int:
    """Tokens to keep for the answer when turns are left out anyway."""
    if params.max_tokens is None:
        return n_ctx // 4
    return min(params.max_tokens, n_ctx // 2)
