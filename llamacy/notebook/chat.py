"""A conversation in a notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llamacy.notebook.cards import call_text
from llamacy.notebook.page import clean, template

_BODY = """
{%- for one in messages %}
<div style="margin:.5em 0"><div style="opacity:.65;font-size:85%">
{{- plain(one.role) }}</div>
{%- if one.reasoning %}
<details style="opacity:.75"><summary>Reasoning</summary>
{{- text(one.reasoning, "font-style:italic") }}</details>
{%- endif %}
{%- if one.text %}{{ text(one.text) }}{% endif %}
{%- for call in one.calls %}<div>calls {{ code(call) }}</div>{% endfor -%}
</div>
{%- endfor %}
"""


class Transcript:
    """Shows a conversation: as HTML in a notebook, as text elsewhere.

    A conversation is a plain list of dicts, which a notebook would show as code. Wrap
    the list once: the transcript shows it as it is whenever it is shown.

    Parameters
    ----------
    messages : sequence of dict
        Messages as `llamacy.Model.chat` takes them, and `ChatCompletion.message`
        returns them.

    Examples
    --------
    >>> model = llamacy.load("demo")
    >>> messages = [{"role": "user", "content": "What is 12 + 30?"}]
    >>> messages.append(model.chat(messages, temperature=0).message)
    >>> Transcript(messages)
    user: What is 12 + 30?
    assistant: 42
    """

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self.messages = messages

    def __repr__(self) -> str:
        return "\n".join(
            f"{one['role']}: {clean(' '.join([one['text'], *one['calls']]).strip())}"
            for one in self._parts()
        )

    def _repr_html_(self) -> str:
        return template(_BODY).render(messages=list(self._parts()))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def _parts(self) -> Iterator[dict[str, Any]]:
        """Yield each message's parts as texts; anything odd is shown as it is."""
        for message in self.messages:
            yield {
                "role": str(message.get("role", "")),
                "text": _text(message.get("content")),
                "reasoning": _text(message.get("reasoning_content")),
                "calls": [_call(call) for call in message.get("tool_calls") or ()],
            }


def _text(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "\n".join(map(_part, content))
    return str(content)


def _part(part: object) -> str:
    is_text = isinstance(part, Mapping) and isinstance(part.get("text"), str)
    return str(part["text"]) if isinstance(part, Mapping) and is_text else str(part)


def _call(call: object) -> str:
    match call:
        case {"function": {"name": str(name), "arguments": dict() as given}}:
            return call_text(name, given)
        case {"function": {"name": str(name), "arguments": str(text)}}:
            return f"{name}({text})"
    return json.dumps(call, ensure_ascii=False, default=str)
