"""Making the prompt of a conversation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from llamacy.arguments import checked_choice, checked_flag
from llamacy.chat.constrained.choice import MAY_CALL, ToolChoice, choice_among
from llamacy.chat.constrained.wanted import Wanted
from llamacy.chat.effort import with_effort
from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages, checked_messages, with_reasoning_keys
from llamacy.chat.overflow import Overflow, Shift, Turns, truncate
from llamacy.chat.system_messages import merged, numbered
from llamacy.chat.tools import checked_tools
from llamacy.chat.writing import Begun, Writer
from llamacy.errors import ArgumentError, ChatTemplateError, ContextLengthError
from llamacy.system.forks import importing

if TYPE_CHECKING:
    from llamacy.chat.reply.reading import ReplyReader
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
        Name of a built-in format or of a template in the model's file, or a template;
        None uses the model's own, which may be another with `tools`.
    overflow : {"error", "truncate", "shift"}
        How to handle a conversation too long for the context: raise; leave out the
        oldest turns, then the oldest calls of the last; or do so again whenever the
        answer fills the context.
    tools : sequence or None
        Functions that the model may call, or their JSON schemas.
    template_arguments : mapping or None
        Further variables for the template, such as `enable_thinking`. With
        `continue_final_message` False, an assistant's last message is not continued.
    reasoning_effort : str or None
        How long to reason, such as ``"low"``, in the words of the template.
    merge_system : bool
        Whether system messages further down are moved into the first one.
    tool_choice : str or dict or None
        ``"auto"`` lets the model decide, ``"required"`` makes it call a tool, a tool's
        name that one, and ``"none"`` leaves the tools out.
    strict_tools : bool
        Whether the arguments of all calls are valid by the tools' schemas.
    """

    chat_format: str | None
    overflow: Overflow
    tools: Tools | None
    template_arguments: Mapping[str, Any] | None
    reasoning_effort: str | None
    merge_system: bool
    tool_choice: ToolChoice
    strict_tools: bool


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """The prompt of a conversation, and what is needed to read the answer.

    Attributes
    ----------
    ids : list of int
        Token ids, up to where the answer begins; if the last message is the
        assistant's, up to the end of its text, which the answer continues.
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
    wanted : Wanted
        The caller's demands on the answer.
    disabled_tools : tuple of str
        For each tool that cannot be called in the answer, the reason.
    """

    ids: list[int]
    params: SamplingParams
    n_dropped: int
    reader: ReplyReader
    written_tokens: Mapping[int, bytes]
    stop: tuple[str, ...]
    shift: Shift | None
    wanted: Wanted
    disabled_tools: tuple[str, ...] = ()

    @property
    def stop_scope(self) -> StopScope | None:
        """The parts of one answer that stop strings may end; None for all."""
        with importing:
            from llamacy.chat.reply.stop_scope import stop_scope

        return stop_scope(self.reader, self.stop, self.params.stop or ())


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
        choice = choice_among(options.get("tool_choice"), tools)
        if choice is None:
            tools, choice = [], MAY_CALL
        is_strict = checked_flag("strict_tools", options.get("strict_tools", False))
        self._wanted = Wanted(params.form, tools, choice, is_strict)
        if choice.is_required and self._wanted.form is not None:
            raise ArgumentError(
                f"{self._wanted.form.argument}: wanted no form of an answer that must "
                "be a tool call, by tool_choice"
            )
        form = source.find(options.get("chat_format"), bool(tools))
        overflow = options.get("overflow", "error")
        checked_choice("overflow", overflow, ("error", "truncate", "shift"))
        self._merges = options.get("merge_system", False)
        checked_flag("merge_system", self._merges)
        arguments = with_effort(
            form, options.get("template_arguments"), options.get("reasoning_effort")
        )
        self._writer = Writer(form, tokenizer, tools, arguments)
        self._overflow = overflow
        self._n_answer = _n_answer(params, n_ctx)
        self._params = replace(params, stop=(*(params.stop or ()), *form.stop))
        self._format_stop = form.stop
        self._tokenizer = tokenizer
        self._n_ctx = n_ctx
        # imported late, as below: the readers of all styles take longer than a token
        with importing:
            from llamacy.chat.reply.style import reply_style

        self._style = reply_style(form.template, tools, tokenizer)
        if self._wanted.constrains_calls:
            self._style = self._style.with_marked_calls()

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
        checked, n_ctx = self._checked(messages), self._n_ctx
        turns, (ids, n_dropped) = self._fitted(checked)
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
            self._reader(ids, self._writer.begun(self._merged(checked))),
            style.written_tokens(self._tokenizer),
            self._format_stop,
            Shift(turns, n_ctx, n_dropped) if self._overflow == "shift" else None,
            self._wanted,
        )

    def check_calls(self) -> None:
        """Check that tool calls in the answers can be read; prompts need not be read.

        Raises
        ------
        ArgumentError
            Tools are given to a template whose way of writing calls is not known.
        """
        if not self._style.is_known:
            raise ArgumentError(
                "tools: wanted a template whose tool calls llamacy can read, found one "
                "with none of the marks it knows; write the tools into a message, and "
                "read the answer's text yourself"
            )

    def count(self, messages: Messages) -> int:
        """Count the tokens of a conversation's prompt, which may exceed the context.

        Errors are those of `make`.
        """
        _, (ids, _) = self._fitted(self._checked(messages))
        return len(ids)

    def _checked(self, messages: Messages) -> list[dict[str, Any]]:
        return with_reasoning_keys(checked_messages(messages))

    def _merged(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return merged(messages) if self._merges else messages

    def _fitted(
        self, messages: list[dict[str, Any]]
    ) -> tuple[Turns, tuple[list[int], int]]:
        """Return the turns, their prompt, and how many messages that leaves out."""
        turns = Turns(self._merged(messages), self._writer)
        try:
            return turns, self._shortened(turns)
        except ChatTemplateError as error:
            raise numbered(
                error, messages, lambda some: self._writer(self._merged(some))
            ) from None

    def _shortened(self, turns: Turns) -> tuple[list[int], int]:
        """Return the prompt, and how many messages it leaves out to leave room."""
        if self._overflow == "error":
            return turns.prompt(), 0
        room = self._n_ctx // 4 if self._overflow == "shift" else self._n_answer
        return truncate(turns, self._n_ctx - room)

    def _reader(self, ids: list[int], begun: Begun | None) -> ReplyReader:
        """Return the reader of the answer to a prompt."""
        with importing:
            from llamacy.chat.reply.reading import ReplyReader

        if begun is None:
            end, text = self._tokenizer.decode(ids[-_N_END:], skip_special=False), ""
        else:
            end, text = begun
        marks = self._style.thinking
        is_thinking = marks is not None and end.rstrip().endswith(marks.open)
        is_answering = marks is not None and end.rstrip().endswith(marks.close)
        return ReplyReader(
            self._style, is_thinking, begun=text, is_answering=is_answering
        )


def _n_answer(params: SamplingParams, n_ctx: int) -> int:
    """Return the room to leave for the answer, in tokens, when truncating."""
    if params.max_tokens is None:
        return n_ctx // 4
    return min(params.max_tokens, n_ctx // 2)
