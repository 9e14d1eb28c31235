"""How model families mark their tool calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from llamacy.chat.reply import (
    begun_calls,
    call_forms,
    tool_call_deepseek,
    tool_call_gemma,
    tool_call_json,
    tool_call_keys,
    tool_call_kimi,
    tool_call_kimi_k3,
    tool_call_minimax,
    tool_call_python,
    tool_call_solar,
    tool_call_tags,
)
from llamacy.chat.reply.bodies import AfterTag, InMarks, InQuotes, MakeInside, Outside
from llamacy.chat.reply.call_forms import CallForm
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.schema_types import Types

Read = Callable[[str], tuple[list[Call], str]]
"""Parses the calls at the beginning of a text, and returns the text after them."""

Write = Callable[[Sequence[Call]], str]
"""Writes calls as the model does."""


@dataclass(frozen=True, slots=True)
class ToolCallStyle:
    """How a model family writes tool calls.

    Attributes
    ----------
    open : str
        The mark before a call; empty if there is none.
    close : str or None
        The mark after a call; None if the next `open` or the end of the text ends it.
    read : Read
        Parses the text between the marks; raises ValueError.
    inside : MakeInside
        Tells marks inside arguments from those after a call.
    bare : str
        How a call without marks begins: ``"json"``, ``"python"`` (which includes JSON),
        or an opening tag up to the tool's name, such as ``"<function="``; empty where
        calls have marks in any case.
    bare_end : str
        The closing tag of a bare call, if it begins with a tag.
    is_bare_first : bool
        Whether a call without marks counts at the beginning of an answer only.
    must_close : bool
        Whether a call that nothing ends is malformed, for it may be cut off.
    others : tuple of str
        Marks inside calls.
    write : Write or None
        Writes calls as text between the marks; known where templates leave them out.
    form : CallForm or None
        The text of calls that a constraint makes the model write; None where there is
        no such constraint.
    heads : re.Pattern or None
        The text before the arguments of each call, if they are JSON; see `begun_calls`.
    """

    open: str
    close: str | None
    read: Read
    inside: MakeInside = InQuotes
    bare: str = "json"
    bare_end: str = ""
    is_bare_first: bool = False
    must_close: bool = False
    others: tuple[str, ...] = ()
    write: Write | None = None
    form: CallForm | None = None
    heads: re.Pattern[str] | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """All marks of this style."""
        return tuple(filter(None, (self.open, self.close, *self.others)))


def _whole(read: Callable[[str], list[Call]]) -> Read:
    """Return a reader that leaves nothing of the text over."""
    return lambda text: (read(text), "")


def _json(
    opening: str, closing: str | None, form: CallForm, write: Write | None = None
) -> ToolCallStyle:
    read = tool_call_json.json_calls
    heads = begun_calls.OBJECTS
    return ToolCallStyle(opening, closing, read, write=write, form=form, heads=heads)


HERMES: Final = _json("<tool_call>", "</tool_call>", call_forms.HERMES)
MISTRAL: Final = ToolCallStyle(
    "[TOOL_CALLS]",
    None,
    tool_call_json.list_or_named,
    others=("[CALL_ID]", "[ARGS]"),
    form=call_forms.MISTRAL,
    heads=begun_calls.NAMED_OR_OBJECTS,
)
DEEPSEEK: Final = ToolCallStyle(
    tool_call_deepseek.BEGIN,
    tool_call_deepseek.END,
    _whole(tool_call_deepseek.fenced_or_plain),
    others=tool_call_deepseek.MARKS,
    form=call_forms.DEEPSEEK,
    heads=begun_calls.DEEPSEEK,
)
KIMI: Final = ToolCallStyle(
    tool_call_kimi.BEGIN,
    tool_call_kimi.END,
    _whole(tool_call_kimi.identified),
    others=tool_call_kimi.MARKS,
    form=call_forms.KIMI,
    heads=begun_calls.KIMI,
)
SOLAR: Final = ToolCallStyle(
    tool_call_solar.BEGIN,
    None,
    _whole(tool_call_solar.identified),
    others=(tool_call_solar.NAME, *tool_call_solar.MARKS),
    form=call_forms.SOLAR,
    heads=begun_calls.SOLAR,
)
LLAMA_3: Final = ToolCallStyle(
    "<|python_tag|>",
    None,
    tool_call_python.built_in_calls,
    bare="python",
    form=call_forms.LLAMA_3,
    heads=begun_calls.OBJECTS,
)
GRANITE_3: Final = _json(
    "<|tool_call|>", None, call_forms.GRANITE_3, tool_call_json.listed_json
)
PHI_4: Final = _json(
    "<|tool_call|>", "<|/tool_call|>", call_forms.PHI_4, tool_call_json.listed_json
)
NEMOTRON: Final = _json("<TOOLCALL>", "</TOOLCALL>", call_forms.NEMOTRON)
APRIEL: Final = _json("<tool_calls>", "</tool_calls>", call_forms.APRIEL)
COHERE: Final = _json("<|START_ACTION|>", "<|END_ACTION|>", call_forms.COHERE)
COMMAND_R_PLUS: Final = _json("Action:", None, call_forms.COMMAND_R_PLUS)
GIGACHAT: Final = _json("<|function_call|>", None, call_forms.GIGACHAT)
FIREFUNCTION: Final = ToolCallStyle(
    "functools[",  # without the bracket it is a word that answers may have
    None,
    lambda text: tool_call_json.json_calls(f"[{text}"),
    form=call_forms.FIREFUNCTION,
    heads=begun_calls.OBJECTS,
)
APERTUS: Final = ToolCallStyle(
    "<|tools_prefix|>",
    "<|tools_suffix|>",
    tool_call_json.keyed_calls,
    form=call_forms.APERTUS,
    heads=begun_calls.KEYED,
)
LFM_2: Final = ToolCallStyle(
    "<|tool_call_start|>",
    "<|tool_call_end|>",
    tool_call_python.python_calls,
    partial(InQuotes, "\"'"),
    bare="python",
    write=tool_call_python.listed_python,
    form=call_forms.LFM_2,
)
OLMO_3: Final = replace(
    LFM_2,
    write=None,
    open="<function_calls>",
    close="</function_calls>",
    form=call_forms.OLMO_3,
)
GEMMA_4: Final = ToolCallStyle(
    "<|tool_call>",
    "<tool_call|>",
    _whole(tool_call_gemma.quoted),
    partial(InMarks, tool_call_gemma.QUOTE),
    others=(tool_call_gemma.QUOTE,),
    form=call_forms.GEMMA_4,
)


def tagged_style(
    types: Types,
    opening: str = "<tool_call>",
    closing: str | None = "</tool_call>",
    tags: tool_call_tags.Tags = tool_call_tags.CODER,
) -> ToolCallStyle:
    """Return the style of a family that writes calls in tags.

    Parameters
    ----------
    types : Types
        Types of the tools' parameters.
    opening, closing : str
        The marks around calls; empty and None if there are none.
    tags : Tags
        The family's tags.
    """

    def read(text: str) -> tuple[list[Call], str]:
        if text.lstrip()[:1] in ("{", "[", "`"):  # as the smaller models write it
            return tool_call_json.json_calls(text)
        return tool_call_tags.tagged(text, types, tags), ""

    ends = (tags.function_end, tags.parameter_end)
    opening_tag, *_ = re.split("[ =]", tags.function_begin)
    return ToolCallStyle(
        opening,
        closing,
        read,
        partial(AfterTag, ends, opening_tag),
        bare=tags.function_begin,
        bare_end=tags.function_end,
        must_close=True,
        form=call_forms.tagged(
            opening,
            closing or "",
            tags.call,
            tags.argument,
            are_apart=tags.are_apart,
        ),
    )


def hermes_style(types: Types) -> ToolCallStyle:
    """Return the style of Hermes and Qwen, whose models may also write in tags."""

    def read(text: str) -> tuple[list[Call], str]:
        if tool_call_tags.CODER.function.match(text.lstrip()):
            return tool_call_tags.tagged(text, types), ""
        return tool_call_json.json_calls(text)

    return replace(HERMES, read=read)


def keyed_style(types: Types) -> ToolCallStyle:
    """Return GLM's style, for tools whose parameters have these types."""
    return replace(
        HERMES,
        read=_whole(partial(tool_call_keys.keyed, types=types)),
        inside=partial(AfterTag, ("</arg_value>",), tool_call_keys.KEY),
        must_close=True,
        form=call_forms.GLM,
        heads=None,
    )


def hunyuan_style(types: Types) -> ToolCallStyle:
    """Return Hunyuan 3's style, for tools whose parameters have these types."""
    suffix = tool_call_keys.SUFFIX
    return ToolCallStyle(
        f"<tool_calls{suffix}>",
        f"</tool_calls{suffix}>",
        _whole(partial(tool_call_keys.separated, types=types)),
        Outside,
        must_close=True,
        others=(
            *tool_call_keys.HUNYUAN,
            *(f"<arg_{part}{suffix}>" for part in ("key", "value")),
            *(f"</arg_{part}{suffix}>" for part in ("key", "value")),
        ),
        form=call_forms.HUNYUAN_3,
    )


def kimi_k3_style(types: Types) -> ToolCallStyle:
    """Return Kimi K3's style, for tools whose parameters have these types."""
    return ToolCallStyle(
        tool_call_kimi_k3.BEGIN,
        tool_call_kimi_k3.END,
        _whole(partial(tool_call_kimi_k3.sectioned, types=types)),
        Outside,
        must_close=True,
        others=tool_call_kimi_k3.TOKENS,
        form=call_forms.KIMI_K3,
    )


def minimax_style(types: Types) -> ToolCallStyle:
    """Return MiniMax M3's style, for tools whose parameters have these types."""
    return ToolCallStyle(
        tool_call_minimax.BEGIN,
        tool_call_minimax.END,
        _whole(partial(tool_call_minimax.marked, types=types)),
        Outside,
        must_close=True,
        others=(tool_call_minimax.MARK, "<tool_call>", "</tool_call>"),
        form=call_forms.MINIMAX_3,
    )
