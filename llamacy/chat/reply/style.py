"""How a family of models marks its reasoning and its calls of tools.

No file says so in as many words. But a template that writes past answers has the
marks in it, and a vocabulary has tokens for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llamacy.chat.reply import channels
from llamacy.chat.reply.marked_calls import (
    DEEPSEEK,
    HERMES,
    LLAMA_3,
    MISTRAL,
    CallStyle,
    tagged_style,
)
from llamacy.chat.reply.tagged_calls import TAGS, parameter_types
from llamacy.chat.reply.thinking import THINKING_MARKS, ThinkingMarks

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer


@dataclass(frozen=True, slots=True)
class ReplyStyle:
    """How a model's answers are to be read.

    Attributes
    ----------
    has_channels : answers are messages in channels; then the others do not matter.
    thinking : marks of reasoning, None if it has none.
    calls : how calls are written; None if there are no tools.
    names : of the tools.
    """

    has_channels: bool = False
    thinking: ThinkingMarks | None = None
    calls: CallStyle | None = None
    names: tuple[str, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """Texts that have a meaning in an answer."""
        if self.has_channels:
            return channels.MARKS
        calls = self.calls.marks if self.calls else ()
        return (*(self.thinking or ()), *calls)

    def written_tokens(self, tokenizer: Tokenizer) -> Mapping[int, bytes]:
        """Control tokens that are to be written out, because they are marks."""
        tokens = [(_token(mark, tokenizer), mark) for mark in self.marks]
        return {token: mark.encode() for token, mark in tokens if token is not None}


def reply_style(
    template: str, tools: Sequence[Mapping[str, Any]], tokenizer: Tokenizer
) -> ReplyStyle:
    """Find out how answers are to be read.

    Parameters
    ----------
    template : that makes the prompt.
    tools : schemas of those that the model is told of, as OpenAI's.
    tokenizer : the model's.
    """
    if all(mark in template for mark in ("<|channel|>", "<|message|>")):
        return ReplyStyle(has_channels=True)
    thinking = None
    for marks in THINKING_MARKS:
        is_written = marks.close in template
        if is_written or all(_token(mark, tokenizer) is not None for mark in marks):
            thinking = marks
            break
    if not tools:
        return ReplyStyle(thinking=thinking)
    names = tuple(tool["function"]["name"] for tool in tools)
    return ReplyStyle(thinking=thinking, calls=_calls(template, tools), names=names)


def _calls(template: str, tools: Sequence[Mapping[str, Any]]) -> CallStyle:
    if HERMES.open in template and all(tag in template for tag in TAGS):
        return tagged_style(parameter_types(tools))
    calls = LLAMA_3  # the only one that may do without marks
    for style in (MISTRAL, HERMES, DEEPSEEK):
        if style.open in template:
            calls = style
    return calls


def _token(mark: str, tokenizer: Tokenizer) -> int | None:
    """Id of the token that a mark is, if it is one."""
    match tokenizer.split(mark):
        case [int() as token]:
            return token
    return None
