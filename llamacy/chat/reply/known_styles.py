"""Which way of writing tool calls a template stands for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from llamacy.chat.reply import call_forms, tool_call_tags
from llamacy.chat.reply import tool_call_marks as marks
from llamacy.chat.reply.schema_types import Types
from llamacy.chat.reply.tool_call_marks import (
    ToolCallStyle,
    hunyuan_style,
    keyed_style,
    kimi_k3_style,
    minimax_style,
    tagged_style,
)
from llamacy.chat.reply.tool_call_minimax import MARK


class _Known(NamedTuple):
    """A way of writing calls.

    Attributes
    ----------
    marks : tuple of str
        A template that has all of these means it.
    style : callable
        Returns the style, for the types of the tools' parameters.
    """

    marks: tuple[str, ...]
    style: Callable[[Types], ToolCallStyle]


def _known(style: ToolCallStyle, *found: str) -> _Known:
    return _Known(found or (style.open,), lambda _: style)


def _tagged(
    found: tuple[str, ...], opening: str, close: str | None, tags: tool_call_tags.Tags
) -> _Known:
    return _Known(found, lambda types: tagged_style(types, opening, close, tags))


# The first that fits wins: those with more marks come before those with fewer.
_KNOWN: Final = (
    _tagged(
        ("<seed:tool_call>", "<function="),
        "<seed:tool_call>",
        "</seed:tool_call>",
        tool_call_tags.SEED,
    ),
    _Known((MARK, "<invoke"), minimax_style),
    _tagged(
        ("<minimax:tool_call>", "<invoke"),
        "<minimax:tool_call>",
        "</minimax:tool_call>",
        tool_call_tags.INVOKE,
    ),
    _tagged(
        ("｜DSML｜", "function_calls>"),
        "<｜DSML｜function_calls>",
        "</｜DSML｜function_calls>",
        tool_call_tags.DSML,
    ),
    _tagged(
        ("｜DSML｜", "tool_calls"),
        "<｜DSML｜tool_calls>",
        "</｜DSML｜tool_calls>",
        tool_call_tags.DSML,
    ),
    _tagged(
        ("<atem:function_calls>", "<atem:invoke"),
        "<atem:function_calls>",
        "</atem:function_calls>",
        tool_call_tags.ATEM,
    ),
    _Known(("<tool_call>", "<arg_key>"), keyed_style),
    _Known(("<|open|>", "<|close|>", "open_tag('tools')"), kimi_k3_style),
    _Known(("<tool_calls{}>", "<arg_key{}>", "':opensource'"), hunyuan_style),
    _Known(("<tool_calls:opensource>", "<arg_key:opensource>"), hunyuan_style),
    _tagged(
        ("<tool_call>", "<function=", "<parameter="),
        "<tool_call>",
        "</tool_call>",
        tool_call_tags.CODER,
    ),
    _tagged(('<function name="', '<param name="'), "", None, tool_call_tags.MINICPM),
    _tagged(
        ("<function_calls>", '<invoke name="'),
        "<function_calls>",
        "</function_calls>",
        tool_call_tags.INVOKE,
    ),
    _known(
        replace(marks.MISTRAL, form=call_forms.MISTRAL_NAMED),
        *("[TOOL_CALLS]", "[ARGS]"),
    ),
    _known(marks.MISTRAL),
    _known(
        replace(marks.DEEPSEEK, form=call_forms.DEEPSEEK_FENCED),
        *(marks.DEEPSEEK.open, "```json"),
    ),
    _known(marks.DEEPSEEK),
    _known(marks.KIMI),
    _known(marks.SOLAR, "<|tool_calls|>", "<|tool_call:begin|>"),
    _known(marks.GEMMA_4, "<|tool_call>", "<tool_call|>"),
    _known(marks.LFM_2),
    _known(marks.OLMO_3),
    _known(marks.NEMOTRON),
    _known(marks.APRIEL),
    _known(marks.COHERE),
    _known(marks.COMMAND_R_PLUS, "Action:", "tool_name"),
    _known(marks.APERTUS),
    _known(marks.GIGACHAT),
    _known(marks.PHI_4, "<|tool_call|>", "<|/tool_call|>"),
    _known(marks.GRANITE_3),
    _Known((marks.HERMES.open,), marks.hermes_style),
    _known(marks.LFM_2, "<|tool_list_start|>"),
    _tagged(("<function=",), "", None, tool_call_tags.CODER),
    _known(marks.FIREFUNCTION),
    _known(marks.LLAMA_3, "python_tag"),
    _known(marks.LLAMA_3, "ipython"),
)

# styles whose mark is a control token of vocabularies with a template that is silent
_BY_TOKEN: Final = (marks.PHI_4, marks.LFM_2)

# the keys of a call, as templates write them: in quotes, before a colon
_NAME_KEY: Final = re.compile(r"\\?[\"']name\\?[\"']\s*+:")
_ARGUMENTS_KEY: Final = re.compile(r"\\?[\"'](?:parameters|arguments)\\?[\"']\s*+:")


def tool_call_style(
    template: str, types: Types, is_token: Callable[[str], bool]
) -> ToolCallStyle | None:
    """Infer from a template how calls are written.

    Parameters
    ----------
    template : str
        The template, which takes tools.
    types : Types
        Types of the tools' parameters.
    is_token : callable
        Says whether a mark is a control token of the vocabulary.

    Returns
    -------
    ToolCallStyle or None
        None if it is not a way that is known.
    """
    for known in _KNOWN:
        if all(mark in template for mark in known.marks):
            return known.style(types)
    if _NAME_KEY.search(template) and _ARGUMENTS_KEY.search(template):
        return marks.LLAMA_3  # JSON without marks
    for style in _BY_TOKEN:
        if is_token(style.open):
            return style
    return None
