"""Miniature templates of six families, which write tools, tool calls and results."""

from __future__ import annotations

HERMES = """\
{%- if tools %}{{ '<|im_start|>system\\n# Tools\\n' }}
{%- for tool in tools %}{{ tool | tojson }}{{ '\\n' }}{% endfor %}
{{- 'Answer with <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(last=0) %}
{%- for m in messages %}{% if m.role == 'user' %}
{%- set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
{%- if m.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response>' }}
{%- else %}
{{- '<|im_start|>' + m.role + '\\n' }}
{%- if m.reasoning_content and loop.index0 > ns.last %}
{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}
{{- m.content }}
{%- for call in m.tool_calls or [] %}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson + '}\\n</tool_call>' }}{% endfor %}
{%- endif %}{{ '<|im_end|>\\n' }}
{%- endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}
{%- if thinks %}{{ '<think>\\n' }}{% endif %}{% endif %}"""

LLAMA_3 = """\
{{- bos_token }}{% if tools %}{{ 'Environment: ipython\\n' }}
{%- for tool in tools %}{{ tool | tojson(indent=4) + '\\n\\n' }}{% endfor %}{% endif %}
{%- for m in messages %}
{%- if m.tool_calls %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('one at a time') }}{% endif %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' }}
{{- m.tool_calls[0].function.name + '", "parameters": ' }}
{{- m.tool_calls[0].function.arguments | tojson + '}<|eot_id|>' }}
{%- else %}
{{- '<|start_header_id|>' + ('ipython' if m.role == 'tool' else m.role) }}
{{- '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

MISTRAL = """\
{{- bos_token }}{% if tools %}{{ '[AVAILABLE_TOOLS] ' + tools | tojson }}
{{- '[/AVAILABLE_TOOLS]' }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'user' %}{{ '[INST] ' + m.content + '[/INST]' }}
{%- elif m.tool_calls %}{{ '[TOOL_CALLS] [' }}
{%- for call in m.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('wanted 9 characters') }}{% endif %}
{{- (', ' if not loop.first) ~ '{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson + ', "id": "' + call.id + '"}' }}{% endfor %}
{{- ']' + eos_token }}
{%- elif m.role == 'tool' %}
{{- '[TOOL_RESULTS] {"content": ' + m.content + ', "call_id": "' }}
{{- m.tool_call_id + '"}[/TOOL_RESULTS]' }}
{%- else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"""

HARMONY = """\
{%- if tools %}{{ '<|start|>developer<|message|># Tools\\n' }}
{%- for tool in tools %}{{ '// ' + tool.function.description + '\\n' }}
{{- 'type ' + tool.function.name + ' = ' + tool.function.parameters | tojson + '\\n' }}
{%- endfor %}{{ '<|end|>' }}{% endif %}
{%- set last = namespace(name='') %}
{%- for m in messages %}
{%- if m.tool_calls %}
{%- if m.content and m.thinking %}{{ raise_exception('not both') }}{% endif %}
{%- if m.thinking %}{{ '<|start|>assistant<|channel|>analysis<|message|>' }}
{{- m.thinking + '<|end|>' }}{% endif %}
{%- set last.name = m.tool_calls[0].function.name %}
{{- '<|start|>assistant to=functions.' + last.name + '<|channel|>commentary json' }}
{{- '<|message|>' + m.tool_calls[0].function.arguments | tojson + '<|call|>' }}
{%- elif m.role == 'tool' %}
{{- '<|start|>functions.' + last.name + ' to=assistant<|channel|>commentary' }}
{{- '<|message|>' + m.content | tojson + '<|end|>' }}
{%- elif m.role == 'assistant' %}
{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' }}
{%- else %}{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"""

CODER = """\
{%- if tools %}{{ '<|im_start|>system\\n<tools>\\n' }}
{%- for tool in tools %}{{ tool | tojson + '\\n' }}{% endfor %}
{{- '</tools>\\n<tool_call>\\n<function=name>\\n<parameter=name>\\nvalue' }}
{{- '\\n</parameter>\\n</function>\\n</tool_call><|im_end|>\\n' }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response>' }}
{%- else %}{{ '<|im_start|>' + m.role + '\\n' + (m.content or '') }}
{%- for call in m.tool_calls or [] %}
{{- '\\n<tool_call>\\n<function=' + call.function.name + '>\\n' }}
{%- for name, value in call.function.arguments | items %}
{{- '<parameter=' ~ name ~ '>\\n' ~ value ~ '\\n</parameter>\\n' }}{% endfor %}
{{- '</function>\\n</tool_call>' }}{% endfor %}
{%- endif %}{{ '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

DEEPSEEK = """\
{{- bos_token }}{% for tool in tools or [] %}{{ tool | tojson + '\\n' }}{% endfor %}
{%- for m in messages %}
{%- if m.role == 'user' %}{{ '<｜User｜>' + m.content }}
{%- elif m.tool_calls %}{{ '<｜Assistant｜><｜tool▁calls▁begin｜>' }}
{%- for call in m.tool_calls %}
{{- '<｜tool▁call▁begin｜>' + call.function.name + '<｜tool▁sep｜>' }}
{{- call.function.arguments | tojson + '<｜tool▁call▁end｜>' }}{% endfor %}
{{- '<｜tool▁calls▁end｜>' + eos_token }}
{%- elif m.role == 'tool' %}
{{- '<｜tool▁output▁begin｜>' + m.content + '<｜tool▁output▁end｜>' }}
{%- else %}{{ '<｜Assistant｜>' + m.content + eos_token }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}"""

UNTHINKING = """\
{#- <tool_call> -#}{{ tools }}{% for m in messages %}{{ m.content }}{% endfor %}
<think></think>"""
"""A template that has closed the reasoning before it began."""

TEMPLATES = {
    "hermes": HERMES,
    "llama-3": LLAMA_3,
    "mistral": MISTRAL,
    "harmony": HARMONY,
    "coder": CODER,
    "deepseek": DEEPSEEK,
}

MARKS = (
    *("<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"),
    *("<think>", "</think>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>"),
    *("[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[AVAILABLE_TOOLS]"),
    *("[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    *("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>"),
    *("<|call|>", "<|return|>"),
    *(
        "<｜User｜>",
        "<｜Assistant｜>",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
    ),
    *("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"),
    *("<|tool_call>", "<tool_call|>", '<|"|>', "]<]minimax[>["),
)
"""Control tokens of all of them."""
