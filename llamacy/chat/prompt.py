"""Making the prompt of a conversation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages, checked_messages, without_past_reasoning
from llamacy.chat.overflow import Overflow, Shift, Turns, truncate
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.stop_scope import stop_scope
from llamacy.chat.reply.style import reply_style
from llamacy.chat.tools import checked_tools
from llamacy.chat.writing import Writer
from llamacy.errors import ArgumentError, ContextLengthError

if TYPE_CHECKING:
    from llamacy.generation.text_buffer import StopScope
    from llamacy.sampling import SamplingParams
    from llamacy.tokenizers.base import Tokenizer

_N_END = 16  # last tokens, in which to look for the mark that opens reasoning

_logger = logging.getLogger("llamacy")

Tools: TypeAlias = "Sequence[Callable[..., Any] | Mapping[str, Any]]"
"""Functions, or JSON schemas of functions in OpenAI's shape."""


class PromptOptions(TypedDict, total=False):
    """How to write a conversation as a prompt.

    Attributes
    ----------
    chat_format : str or None
        Name of a built-in format, or a template; None uses the model's own template.
    overflow : {"error", "truncate", "shift"}
        How to handle a conversation too long for the context: raise; leave out the
        oldest turns; or do so again whenever the answer fills the context.
    tools : sequence or None
        Functions that the model may call, or their JSON schemas.
    template_arguments : mapping or None
        Further variables for the template, such as `enable_thinking`.
    """

    chat_format: str | None
    overflow: Overflow
    tools: Tools | None
    template_arguments: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """The prompt of a conversation, and what is needed to read the answer.

    Attributes
    ----------
    ids : list of int
        Token ids, up to where the answer begins.
    params : SamplingParams
        The caller's parameters, with the format's stop strings added.
    n_dropped : int
        Messages left out.
    reader : ReplyReader
        Reads the answer.
    written_tokens : mapping of int to bytes
        Control tokens that are marks to the reader, with the texts they are written
        as in the generated text, which omits other control tokens.
    stop : tuple of str
        The format's stop strings, which end reasoning too.
    shift : Shift or None
        Makes room in a full context; None ends the answer there.
    """

    ids: list[int]
    params: SamplingParams
    n_dropped: int
    reader: ReplyReader
    written_tokens: Mapping[int, bytes]
    stop: tuple[str, ...]
    shift: Shift | None

    @property
    def stop_scope(self) -> StopScope | None:
        """The parts of one answer that stop strings may end; None for all."""
        return stop_scope(self.reader, self.stop, self.params.stop or ())


def make_prompt(
    messages: Messages,
    params: SamplingParams,
    tokenizer: Tokenizer,
    source: TemplateSource,
    n_ctx: int,
    options: PromptOptions,
) -> ChatPrompt:
    """Return the prompt of a conversation.

    Parameters
    ----------
    messages : str or sequence of mapping
        The messages as the caller passed them.
    params : SamplingParams
        How to generate the answer.
    tokenizer : Tokenizer
        The model's tokenizer.
    source : TemplateSource
        Finds the template.
    n_ctx : int
        Most tokens of prompt and answer together.
    options : PromptOptions
        How to write the conversation.

    Raises
    ------
    ArgumentError
        An invalid message, tool or option.
    ChatTemplateError
        The model has no template, or the template fails.
    ContextLengthError
        The prompt leaves no room for an answer.
    """
    checked = without_past_reasoning(checked_messages(messages))
    tools = checked_tools(options.get("tools"))
    form = source.find(options.get("chat_format"))
    writer = Writer(form, tokenizer, tools, options.get("template_arguments"))
    overflow = options.get("overflow", "error")
    turns = Turns(checked, writer)

    if overflow in ("truncate", "shift"):
        room = n_ctx // 4 if overflow == "shift" else _n_answer(params, n_ctx)
        ids, n_dropped = truncate(turns, n_ctx - room)
    elif overflow == "error":
        ids, n_dropped = turns.prompt(), 0
    else:
        raise ArgumentError(
            f"overflow: wanted 'error', 'truncate' or 'shift', found {overflow!r}"
        )
    # Without this check the answer would be empty, with no word about the lack of room.
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
        form.stop,
        Shift(turns, n_ctx, n_dropped) if overflow == "shift" else None,
    )


def _n_answer(params: SamplingParams, n_ctx: int) -> int:
    """Return the room to leave for the answer, in tokens, when truncating."""
    if params.max_tokens is None:
        return n_ctx // 4
    return min(params.max_tokens, n_ctx // 2)
