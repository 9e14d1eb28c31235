"""Templates of HTML, in which every value is escaped.

Texts come from models and files, which may be hostile or merely odd. Values are escaped
by Jinja, without exception. Texts stand in ``<pre>`` and ``<code>``, because Jupyter
typesets mathematics elsewhere, and would take the text between two dollar signs for a
formula. ``dir="auto"`` confines marks that turn the direction of writing.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, bad for pages and terminals, and halves of surrogate pairs."""

_MACROS = """
{%- macro text(value, more="") -%}
<pre dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;margin:0;
  padding:0;border:0;background:none;color:inherit;font:inherit;{{ more }}">
{{- "\n" }}{{ value }}</pre>
{%- endmacro -%}
{%- macro code(value) -%}
<code dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;padding:0;
  background:none;color:inherit">{{ value }}</code>
{%- endmacro -%}
{%- macro plain(value) -%}
<code dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;padding:0;
  background:none;color:inherit;font:inherit">{{ value }}</code>
{%- endmacro -%}
{%- macro small(lines) -%}
<div style="opacity:.65;font-size:85%;margin-top:.4em">
{%- for line in lines %}<div>{{ plain(line) }}</div>{% endfor -%}
</div>
{%- endmacro -%}
"""
_CARD = """
<div class="llamacy tex2jax_ignore mathjax_ignore" style="max-width:60em;
  max-height:40em;overflow:auto;text-align:start;border-left:3px solid #8888;
  padding:.2em .8em;line-height:1.45">{% block body %}{% endblock %}</div>
"""


def clean(text: str) -> str:
    """Return a text with U+FFFD in place of characters that cannot be shown.

    Lines end with a line feed alone: a terminal would go back on a carriage return.
    """
    return _UNFIT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


@cache
def template(body: str) -> Template:
    """Return a template: a card around `body`, which may use the macros above."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_finalize
    )
    card = _CARD.replace("{% block body %}{% endblock %}", body)
    return environment.from_string(_MACROS + card.strip())


def _finalize(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return clean(value) if is_text else value
