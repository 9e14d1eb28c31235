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
from llamacy.chat.reply.style import reply_style
from llamacy.chat.tools import checked_tools
from llamacy.chat.writing import Writer
from llamacy.errors import ArgumentError, ContextLengthError

if TYPE_CHECKING:
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
    shift : Shift or None
        Makes room in a full context; None ends the answer there.
    """

    ids: list[int]
    params: SamplingParams
    n_dropped: int
    reader: ReplyReader
    written_tokens: Mapping[int, bytes]
    shift: Shift | None


class PromptMaker:
    """Makes prompts of conversations, with one template, parameters and tools.

    Parameters
    ----------
    params : SamplingParams
        How to generate the answers.
    tokenizer : Tokenizer
        The model's tokenizer.
    source : TemplateSource
        Finds the template.
    n_ctx : int
        Most tokens of prompt and answer together.
    options : PromptOptions
        How to write conversations.

    Raises
    ------
    ArgumentError
        An invalid tool or option.
    ChatTemplateError
        The model has no template.
    """

    def __init__(
        self,
        params: SamplingParams,
        tokenizer: Tokenizer,
        source: TemplateSource,
        n_ctx: int,
        options: PromptOptions,
    ) -> None:
        tools = checked_tools(options.get("tools"))
        form = source.find(options.get("chat_format"))
        overflow = options.get("overflow", "error")
        if overflow not in ("error", "truncate", "shift"):
            raise ArgumentError(
                f"overflow: wanted 'error', 'truncate' or 'shift', found {overflow!r}"
            )
        self._writer = Writer(form, tokenizer, tools, options.get("template_arguments"))
        self._overflow = overflow
        self._n_answer = _n_answer(params, n_ctx)
        self._params = replace(params, stop=(*(params.stop or ()), *form.stop))
        self._tokenizer = tokenizer
        self._n_ctx = n_ctx
        self._style = reply_style(form.template, tools, tokenizer)

    def make(self, messages: Messages) -> ChatPrompt:
        """Return the prompt of a conversation, as the caller passed it.

        Raises
        ------
        ArgumentError
            An invalid message.
        ChatTemplateError
            The template fails.
        ContextLengthError
            The prompt leaves no room for an answer.
        """
        turns, n_ctx = self._turns(messages), self._n_ctx
        ids, n_dropped = self._fitted(turns)
        # Without this check the answer would be empty, with no word about the reason.
        if len(ids) >= n_ctx and self._params.max_tokens != 0:
            raise ContextLengthError(len(ids) + 1, n_ctx)
        if n_dropped:
            _logger.info("the context is full: %d messages left out", n_dropped)
        style = self._style
        return ChatPrompt(
            ids,
            self._params,
            n_dropped,
            ReplyReader(style, self._is_thinking(ids)),
            style.written_tokens(self._tokenizer),
            Shift(turns, n_ctx, n_dropped) if self._overflow == "shift" else None,
        )

    def count(self, messages: Messages) -> int:
        """Count the tokens of a conversation's prompt, which may exceed the context.

        Errors are those of `make`.
        """
        return len(self._fitted(self._turns(messages))[0])

    def _turns(self, messages: Messages) -> Turns:
        checked = without_past_reasoning(checked_messages(messages))
        return Turns(checked, self._writer)

    def _fitted(self, turns: Turns) -> tuple[list[int], int]:
        """Return the prompt, and how many messages it leaves out to leave room."""
        if self._overflow == "error":
            return turns.prompt(), 0
        room = self._n_ctx // 4 if self._overflow == "shift" else self._n_answer
        return truncate(turns, self._n_ctx - room)

    def _is_thinking(self, ids: list[int]) -> bool:
        """Whether a prompt ends with the mark that opens reasoning."""
        if self._style.thinking is None:
            return False
        end = self._tokenizer.decode(ids[-_N_END:], skip_special=False).rstrip()
        return end.endswith(self._style.thinking.open)


def _n_answer(params: SamplingParams, n_ctx: int) -> int:
    """Return the room to leave for the answer, in tokens, when truncating."""
    if params.max_tokens is None:
        return n_ctx // 4
    return min(params.max_tokens, n_ctx // 2)
