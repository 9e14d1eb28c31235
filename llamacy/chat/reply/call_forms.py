"""How models write tool calls, told so that a constraint can make them do so.

Reading is generous (see the other modules); a constraint has one form for each family,
which is that of its template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class CallForm:
    """The text of calls, with places for their parts.

    Attributes
    ----------
    call : str
        A call. ``«name»`` is the tool's name, ``«arguments»`` are its arguments,
        ``«index»`` is a number, and ``«id»`` ten letters and digits.
    before, between, after : str
        The text around calls.
    values : {"json", "text", "python", "braces", "elements"}
        How arguments are written: as one JSON object; one by one, texts as they are;
        one by one with keywords, as in Python; or in Gemma 4's or MiniMax M3's notation
        of lists and objects.
    argument : str
        One of the arguments that are written one by one. ``«key»`` is its name,
        ``«value»`` its value, ``«string»`` says whether that is text, and ``«type»`` of
        which JSON type it is.
    most : int
        Most calls in an answer.
    """

    call: str
    before: str = ""
    between: str = ""
    after: str = ""
    values: Literal["json", "text", "python", "braces", "elements"] = "json"
    argument: str = ""
    most: int = 16


_PLAIN: Final = '{"name": "«name»", "arguments": «arguments»}'


def listed(opening: str, closing: str = "", call: str = _PLAIN) -> CallForm:
    """Return the form of a list of calls between marks."""
    return CallForm(call, f"{opening}[", ", ", f"]{closing}")


HERMES: Final = CallForm(f"<tool_call>\n{_PLAIN}\n</tool_call>", between="\n")
LLAMA_3: Final = CallForm(_PLAIN.replace("arguments", "parameters", 1), most=1)
MISTRAL: Final = listed("[TOOL_CALLS]")
MISTRAL_NAMED: Final = CallForm("[TOOL_CALLS]«name»[ARGS]«arguments»")
GRANITE_3: Final = listed("<|tool_call|>")
FIREFUNCTION: Final = listed("functools")
PHI_4: Final = listed("<|tool_call|>", "<|/tool_call|>")
NEMOTRON: Final = listed("<TOOLCALL>", "</TOOLCALL>")
APRIEL: Final = listed("<tool_calls>", "</tool_calls>")
GIGACHAT: Final = CallForm(f"<|function_call|>{_PLAIN}", most=1)
APERTUS: Final = listed(
    "<|tools_prefix|>", "<|tools_suffix|>", '{"«name»": «arguments»}'
)
COHERE: Final = CallForm(
    '    {"tool_call_id": "«index»", "tool_name": "«name»", "parameters": «arguments»}',
    "<|START_ACTION|>[\n",
    ",\n",
    "\n]<|END_ACTION|>",
)
COMMAND_R_PLUS: Final = CallForm(
    '    {\n        "tool_name": "«name»",\n        "parameters": «arguments»\n    }',
    "Action:\n```json\n[\n",
    ",\n",
    "\n]```",
)
DEEPSEEK: Final = CallForm(
    "<｜tool▁call▁begin｜>«name»<｜tool▁sep｜>«arguments»<｜tool▁call▁end｜>",
    "<｜tool▁calls▁begin｜>",
    "",
    "<｜tool▁calls▁end｜>",
)
DEEPSEEK_FENCED: Final = CallForm(
    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>«name»\n```json\n«arguments»\n```"
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁begin｜>",
    "\n",
    "<｜tool▁calls▁end｜>",
)
KIMI: Final = CallForm(
    "<|tool_call_begin|>functions.«name»:«index»<|tool_call_argument_begin|>«arguments»"
    "<|tool_call_end|>",
    "<|tool_calls_section_begin|>",
    "",
    "<|tool_calls_section_end|>",
)
KIMI_K3: Final = CallForm(
    '<|open|>call tool="«name»" index="«index»"<|sep|>«arguments»<|close|>call<|sep|>',
    "<|close|>response<|sep|><|open|>tools<|sep|>",
    "",
    "<|close|>tools<|sep|>",
    values="text",
    argument='<|open|>argument key="«key»" type="«type»"<|sep|>«value»'
    "<|close|>argument<|sep|>",
)
SOLAR: Final = CallForm(
    "<|tool_call:begin|>«id»<|tool_call:name|>«name»<|tool_call:args|>«arguments»"
    "<|tool_call:end|>",
    "<|tool_calls|>",
)
LFM_2: Final = CallForm(
    "«name»(«arguments»)",
    "<|tool_call_start|>[",
    ", ",
    "]<|tool_call_end|>",
    values="python",
    argument="«key»=«value»",
)
OLMO_3: Final = CallForm(
    "«name»(«arguments»)",
    "<function_calls>",
    "\n",
    "</function_calls>",
    values="python",
    argument="«key»=«value»",
)
CHANNELS: Final = CallForm(
    "<|channel|>commentary to=functions.«name» <|constrain|>json<|message|>«arguments»",
    most=1,
)
RECIPIENTS: Final = CallForm("«name»\n«arguments»", between=">>>")
GEMMA_4: Final = CallForm(
    "<|tool_call>call:«name»«arguments»<tool_call|>", values="braces"
)
MINIMAX_3: Final = CallForm(
    ']<]minimax[>[<invoke name="«name»">«arguments»]<]minimax[>[</invoke>',
    "]<]minimax[>[<tool_call>\n",
    "\n",
    "\n]<]minimax[>[</tool_call>",
    values="elements",
)
HUNYUAN_3: Final = CallForm(
    "<tool_call:opensource>«name»<tool_sep:opensource>\n«arguments»"
    "</tool_call:opensource>\n",
    "<tool_calls:opensource>\n",
    "",
    "</tool_calls:opensource>",
    values="text",
    argument="<arg_key:opensource>«key»</arg_key:opensource>\n"
    "<arg_value:opensource>«value»</arg_value:opensource>\n",
)
GLM: Final = CallForm(
    "<tool_call>«name»\n«arguments»</tool_call>",
    between="\n",
    values="text",
    argument="<arg_key>«key»</arg_key>\n<arg_value>«value»</arg_value>\n",
)


def tagged(
    opening: str, closing: str, call: str, argument: str, *, are_apart: bool
) -> CallForm:
    """Return the form of calls in tags, between two marks together or each."""
    before = f"{opening}\n" if opening else ""
    after = f"\n{closing}" if closing else ""
    if are_apart:
        call, before, after = f"{before}{call}{after}", "", ""
    return CallForm(call, before, "\n", after, values="text", argument=argument)
