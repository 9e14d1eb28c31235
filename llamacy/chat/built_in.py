"""Built-in chat formats, for models whose files have no template.

Each is a template like those in files, so that all conversations take the same path.
If a vocabulary lacks a format's marks as tokens, they are written as ordinary text;
stop strings then find the end of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """How to write a conversation as a prompt.

    Attributes
    ----------
    name : str
        Name of the format in error messages.
    template : str
        A template in Jinja's language, as transformers uses it.
    stop : tuple of str
        Strings that end an answer, besides the vocabulary's end tokens.
    """

    name: str
    template: str
    stop: tuple[str, ...] = ()


# For the templates below: `system` is the text of the system message, or "" if there is
# none; `turns` are the other messages.
_SYSTEM_APART = r"""
{%- set has_system = messages[0].role == 'system' -%}
{%- set system = messages[0].content if has_system else '' -%}
{%- set turns = messages[1:] if has_system else messages -%}
{%- for m in turns if m.role not in ('user', 'assistant') -%}
{{- raise_exception('wanted the roles user and assistant after at most one system '
    'message, found ' ~ m.role) -}}
{%- endfor -%}
"""

# For formats without a system message, which write its text into the first of the
# user's: that has the index `asked.first`.
_SYSTEM_IN_QUESTION = r"""
{%- set asked = namespace(first=none) -%}
{%- for m in turns if m.role == 'user' and asked.first is none -%}
{%- set asked.first = turns.index(m) -%}
{%- endfor -%}
{%- if system and asked.first is none -%}
{{- raise_exception('wanted a message of the user after the system message') -}}
{%- endif -%}
"""

_ALPACA = r"""
{%- set intro = 'Below is an instruction that describes a task. Write a response '
    'that appropriately completes the request.' -%}
{%- set intro = system if has_system else intro -%}
{{- intro ~ '\n\n' if intro -}}
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '### Instruction:\n' ~ m.content ~ '\n\n### Response:\n' -}}
{%- else -%}
{{- m.content ~ eos_token ~ '\n\n' -}}
{%- endif -%}
{%- endfor -%}
"""

_VICUNA = r"""
{%- set intro = "A chat between a curious user and an artificial intelligence "
    "assistant. The assistant gives helpful, detailed, and polite answers to the "
    "user's questions." -%}
{%- set intro = system if has_system else intro -%}
{{- intro -}}
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- (' ' if loop.first and intro) ~ 'USER: ' ~ m.content ~ ' ASSISTANT:' -}}
{%- else -%}
{{- ' ' ~ m.content | trim ~ eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

_LLAMA_2 = r"""
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- (bos_token if not loop.first) ~ '[INST] ' -}}
{{- '<<SYS>>\n' ~ system ~ '\n<</SYS>>\n\n' if loop.index0 == asked.first and system -}}
{{- m.content | trim ~ ' [/INST]' -}}
{%- else -%}
{{- ' ' ~ m.content | trim ~ ' ' ~ eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

_MISTRAL = r"""
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '[INST] ' ~ (system ~ '\n\n' if loop.index0 == asked.first and system) -}}
{{- m.content ~ ' [/INST]' -}}
{%- else -%}
{{- ' ' ~ m.content | trim ~ eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

_GEMMA = r"""
{%- for m in turns -%}
{{- '<start_of_turn>' ~ ('user' if m.role == 'user' else 'model') ~ '\n' -}}
{{- (system ~ '\n\n') if loop.index0 == asked.first and system -}}
{{- m.content | trim ~ '<end_of_turn>\n' -}}
{%- endfor -%}
{{- '<start_of_turn>model\n' if add_generation_prompt -}}
"""

_DEEPSEEK = r"""
{{- system -}}
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '<\uff5cUser\uff5c>' ~ m.content ~ '<\uff5cAssistant\uff5c>' -}}
{%- else -%}
{{- m.content ~ '<\uff5cend\u2581of\u2581sentence\uff5c>' -}}
{%- endif -%}
{%- endfor -%}
"""


def _each(message: str, answer: str) -> str:
    """Return a template that writes all roles alike, then begins the answer."""
    return (
        f"{{%- for m in messages -%}}{{{{- {message} -}}}}{{%- endfor -%}}"
        f"{{{{- {answer} if add_generation_prompt -}}}}"
    )


_CHATML = _each(
    r"'<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n'",
    r"'<|im_start|>assistant\n'",
)
_ZEPHYR = _each(
    r"'<|' ~ m.role ~ '|>\n' ~ m.content ~ eos_token ~ '\n'", r"'<|assistant|>\n'"
)
_PHI3 = _each(r"'<|' ~ m.role ~ '|>\n' ~ m.content ~ '<|end|>\n'", r"'<|assistant|>\n'")
_LLAMA_3 = _each(
    r"'<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n'"
    r" ~ m.content | trim ~ '<|eot_id|>'",
    r"'<|start_header_id|>assistant<|end_header_id|>\n\n'",
)

BUILT_IN = {
    chat_format.name: chat_format
    for chat_format in (
        ChatFormat(
            "alpaca",
            _SYSTEM_APART + _ALPACA,
            ("\n\n### Instruction:", "### Instruction:"),
        ),
        ChatFormat("chatml", _CHATML, ("<|im_end|>", "<|im_start|>")),
        ChatFormat("deepseek", _SYSTEM_APART + _DEEPSEEK, ("<\uff5cUser\uff5c>",)),
        ChatFormat(
            "gemma", _SYSTEM_APART + _SYSTEM_IN_QUESTION + _GEMMA, ("<end_of_turn>",)
        ),
        ChatFormat("llama-2", _SYSTEM_APART + _SYSTEM_IN_QUESTION + _LLAMA_2),
        ChatFormat("llama-3", _LLAMA_3, ("<|eot_id|>", "<|start_header_id|>")),
        ChatFormat("mistral", _SYSTEM_APART + _SYSTEM_IN_QUESTION + _MISTRAL),
        ChatFormat("phi3", _PHI3, ("<|end|>", "<|user|>")),
        ChatFormat("vicuna", _SYSTEM_APART + _VICUNA, ("USER:",)),
        ChatFormat("zephyr", _ZEPHYR, ("<|user|>", "<|system|>")),
    )
}
"""The built-in formats by name."""
