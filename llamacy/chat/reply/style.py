"""How a model family marks its reasoning and its tool calls.

No file declares this. But a template that writes past answers contains the marks, and
the vocabulary may have tokens for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llamacy.chat.reply import call_forms, channels, recipients
from llamacy.chat.reply.call_forms import CallForm
from llamacy.chat.reply.known_styles import tool_call_style
from llamacy.chat.reply.schema_types import parameter_types
from llamacy.chat.reply.thinking import THINKING_MARKS, ThinkingMarks
from llamacy.chat.reply.tool_call_marks import ToolCallStyle
from llamacy.chat.reply.wrapping import Wrapping, wrapping_of
from llamacy.chat.variables import free_variables

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer


_SWITCH = re.compile("think|reason")
# names of variables about the reasoning of past answers
_PAST = re.compile("^(preserve|keep|clear|drop|truncate)|_(content|parts|text)$")


@dataclass(frozen=True, slots=True)
class ReplyStyle:
    """How to read a model's answers.

    Attributes
    ----------
    has_channels : bool
        Whether answers are messages with channels; of the other attributes only
        `names` then counts.
    has_recipients : bool
        Whether each part of an answer names its recipient; likewise.
    thinking : ThinkingMarks or None
        The marks around reasoning; None if the model does not use any.
    tool_calls : ToolCallStyle or None
        How tool calls are written; None without tools, and where it is not known.
    names : tuple of str
        Names of the tools.
    always_thinks : bool
        Whether every answer has reasoning, so that one without the opening mark is
        searched for the closing one. Nothing switches it off: the template has no
        variable for that.
    wrapping : Wrapping or None
        The marks around the parts of an answer; None if there are none but those around
        reasoning and calls.
    """

    has_channels: bool = False
    has_recipients: bool = False
    thinking: ThinkingMarks | None = None
    tool_calls: ToolCallStyle | None = None
    names: tuple[str, ...] = ()
    always_thinks: bool = False
    wrapping: Wrapping | None = None

    @property
    def is_known(self) -> bool:
        """Whether the calls of the tools, if there are any, can be read."""
        is_addressed = self.has_channels or self.has_recipients
        return is_addressed or not self.names or self.tool_calls is not None

    def with_marked_calls(self) -> ReplyStyle:
        """Return a style in which calls without marks are text, if calls have marks.

        Where they have none and are JSON, they count where the answer begins.
        """
        calls, form = self.tool_calls, self.call_form
        if calls is None or form is None or not calls.open:
            return self
        if self.wrapping or (form.before or form.call).startswith(calls.open):
            return replace(self, tool_calls=replace(calls, bare=""))
        return replace(self, tool_calls=replace(calls, is_bare_first=True))

    @property
    def call_form(self) -> CallForm | None:
        """How a constraint makes the model write calls; None if that is not known."""
        if self.has_channels:
            return call_forms.CHANNELS
        if self.has_recipients:
            return call_forms.RECIPIENTS
        return self.tool_calls.form if self.tool_calls else None

    @property
    def marks(self) -> tuple[str, ...]:
        """All marks that may occur in an answer."""
        if self.has_channels:
            return channels.MARKS
        if self.has_recipients:
            return (recipients.MARK,)
        calls = self.tool_calls.marks if self.tool_calls else ()
        wrapping = self.wrapping.marks if self.wrapping else ()
        return (*(self.thinking or ()), *wrapping, *calls)

    def written_tokens(self, tokenizer: Tokenizer) -> Mapping[int, bytes]:
        """Return the control tokens that are marks, with their texts.

        Generated text omits other control tokens; these must be written out to be read.
        """
        tokens = [_first_token(mark, tokenizer) for mark in self.marks]
        return {
            token: tokenizer.piece(token).encode()
            for token in tokens
            if token is not None
        }


def reply_style(
    template: str, tools: Sequence[Mapping[str, Any]], tokenizer: Tokenizer
) -> ReplyStyle:
    """Infer from the template and the vocabulary how to read answers.

    Parameters
    ----------
    template : str
        The template that writes the prompt.
    tools : sequence of mapping
        Schemas of the tools that the model may call, in OpenAI's shape.
    tokenizer : Tokenizer
        The model's tokenizer.
    """
    names = tuple(tool["function"]["name"] for tool in tools)
    if all(mark in template for mark in ("<|channel|>", "<|message|>")):
        return ReplyStyle(has_channels=True, names=names)
    if f"{recipients.MARK}all" in template:
        return ReplyStyle(has_recipients=True, names=names)
    wrapping = wrapping_of(template)
    thinking = wrapping.thinking if wrapping else _thinking_marks(template, tokenizer)
    is_written = thinking is not None and thinking.close in template
    always = is_written and not (wrapping or _has_switch(template))
    if not tools:
        return ReplyStyle(thinking=thinking, always_thinks=always, wrapping=wrapping)
    style = tool_call_style(
        template,
        parameter_types(tools),
        lambda mark: is_token(mark, tokenizer),
    )
    return ReplyStyle(
        thinking=thinking,
        tool_calls=style,
        names=names,
        always_thinks=always,
        wrapping=wrapping,
    )


def _thinking_marks(template: str, tokenizer: Tokenizer) -> ThinkingMarks | None:
    """Return the marks that the template writes, or else those of the vocabulary."""
    for marks in THINKING_MARKS:
        if marks.close in template:
            return marks
    for marks in THINKING_MARKS:
        if None not in [_first_token(mark, tokenizer) for mark in marks]:
            return marks
    return None


def _has_switch(template: str) -> bool:
    """Whether one of a template's variables switches reasoning on or off."""
    names = free_variables(template) or ()
    return any(_SWITCH.search(name) and not _PAST.search(name) for name in names)


def is_token(mark: str, tokenizer: Tokenizer) -> bool:
    """Say whether there is a special token whose text is `mark`."""
    match tokenizer.split(mark):
        case [int()]:
            return True
    return False


def _first_token(mark: str, tokenizer: Tokenizer) -> int | None:
    """Return the id of the special token that `mark` is or begins with, if any."""
    match tokenizer.split(mark):
        case [int() as token, *_]:
            return token
    return None
