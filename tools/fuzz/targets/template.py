"""Chat templates, from any file, with any messages and tools."""

from __future__ import annotations

from typing import Any

from llamacy.chat import environment as environment  # instrumented with the rest
from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import checked_messages, with_reasoning_keys
from llamacy.chat.prompt import PromptMaker
from llamacy.errors import LlamacyError
from llamacy.sampling import SamplingParams
from llamacy.tokenizers import tokenizer_from_metadata

from .. import files
from ..documents import data_of, document_of

_CALLING = """\
{{- bos_token }}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}
{%- set ns = namespace(last=0) %}
{%- for m in messages %}
{%- if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- if m.role == 'tool' %}<tool_response>{{ m.content }}</tool_response>
{%- else %}<|im_start|>{{ m['role'] }}\n{{ m.content | trim }}
{%- for call in m.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments":
{{- call.function.arguments | tojson }}}
</tool_call>{% endfor %}{% endif %}<|im_end|>{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"""
_STRICT = """\
{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% else %}
{% set rest = messages %}{% endif %}{% for m in rest %}
{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('order') }}
{% endif %}{{ '[INST] ' ~ m['content'] + ' [/INST]' }}{% endfor %}"""
_SYNTAX = """\
{%- macro f(x, depth=0) %}{% if x is mapping %}{% for k, v in x.items() %}{{ k }}
{{- f(v, depth + 1) }}{% endfor %}{% elif x is string %}{{ x | upper }}{% else %}
{{- x | tojson(indent=2) }}{% endif %}{% endmacro %}
{%- for m in messages recursive %}{% filter trim %}{{ f(m) }}{% endfilter %}
{%- else %}-{%- endfor %}
{%- generation %}{{ '%s-%d' % ('a', 3) }}{{ [1, 2] | map('string') | join }}
{%- endgeneration %}{{ strftime_now('%d %b') }}
{{- messages | selectattr('role', 'equalto', 'user') | list | length }}
{{- 'a' * 3 ~ 2 ** 3 }}{{ messages[-1].content.split('x')[0][::-1] }}
{%- macro g() %}{{ caller('a') }}{% endmacro %}{% call(y) g() %}{{ y }}{% endcall %}
{{- dict(a=1) }}{{ range(3) | sum }}"""
_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "d",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
_CALL = {"id": "1", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
_MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": [{"type": "text", "text": "u <s> x"}]},
    {"role": "assistant", "content": None, "tool_calls": [_CALL]},
    {"role": "tool", "tool_call_id": "1", "content": {"celsius": 3}},
    {"role": "assistant", "content": "a", "reasoning_content": "r"},
    {"role": "user", "content": "u"},
]
_TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "<|im_end|>"]
_TOKENIZER = tokenizer_from_metadata(
    {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": _TOKENS,
        "tokenizer.ggml.scores": [0.0] * len(_TOKENS),
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, 3],
    },
    "vocabulary",
)


def seeds() -> list[bytes]:
    """Return conversations with templates of many ways of writing."""
    whole: dict[str, Any] = {"template": _CALLING, "messages": _MESSAGES}
    whole |= {"tools": [_TOOL], "arguments": {"enable_thinking": False}}
    begun = _MESSAGES[1:5]
    plain = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
    return [
        data_of(whole),
        data_of(whole | {"messages": begun, "overflow": "truncate"}),
        data_of({"template": _STRICT, "messages": plain[:1], "n_ctx": 4096}),
        data_of({"template": _SYNTAX, "messages": plain[:1], "tools": []}),
        data_of({"template": "chatml", "messages": plain, "n_ctx": 64}),
    ]


def run(data: bytes) -> None:
    """Write a conversation as a prompt."""
    document = document_of(data)
    if document is not None:
        files.attempts(lambda: _write(document), allowed=LlamacyError)


def _write(document: dict[str, Any]) -> None:
    n_ctx = document.get("n_ctx")
    maker = PromptMaker(
        SamplingParams(max_tokens=8),
        _TOKENIZER,
        TemplateSource({}, "model"),
        n_ctx if isinstance(n_ctx, int) and 0 < n_ctx < 2**31 else 4096,
        {
            "chat_format": document.get("template"),
            "tools": document.get("tools"),
            "template_arguments": document.get("arguments"),
            "overflow": document.get("overflow", "error"),
        },
    )
    prompt = maker.make(document.get("messages", []))
    prompt.reader.whole("a <tool_call>{}</tool_call>")
    with_reasoning_keys(checked_messages(document.get("messages", [])))
