"""The HTML of a model, a text, an answer, a session, likelihoods and labels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from llamacy.notebook.page import template

_MAX_TOKENS = 4000  # of a coloured text: browsers slow down with many elements
_DEEPEST = 10.0  # a logarithm of a probability from which the colour is full

_FACTS = """
<strong>{{ plain(title) }}</strong>
<table style="margin:.3em 0 0;border:0;background:none">
{%- for name, value in facts.items() %}
<tr style="background:none"><th style="text-align:start;opacity:.65;
  font-weight:normal;padding:0 1em 0 0">{{ name }}</th>
<td style="text-align:start;padding:0">{{ plain(value) }}</td></tr>
{%- endfor %}</table>
"""
_TEXT = "{{ text(value) }}{{ small(notes) }}"
_ANSWER = """
{%- if reasoning %}
<details{% if is_open %} open{% endif %} style="opacity:.75;margin-bottom:.4em">
<summary>Reasoning</summary>{{ text(reasoning, "font-style:italic") }}</details>
{%- endif %}
{%- if value %}{{ text(value) }}{% endif %}
{%- for call in calls %}<div>calls {{ code(call) }}</div>{% endfor %}
{{- small(notes) }}
"""
_SCORE = """
<pre dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:0;
  border:0;background:none;color:inherit;font:inherit">
{%- for token in tokens -%}
<span title="{{ token.title }}"
  style="background:rgba(224,72,32,{{ token.depth }})">{{ token.text }}</span>
{%- endfor %}</pre>{{ small(notes) }}
"""
_CHOICE = """
<table style="margin:0;border:0;background:none">
{%- for label, share in shares.items() %}
<tr style="background:none">
<td style="text-align:start;padding:0 1em 0 0">{{ plain(label) }}</td>
<td style="text-align:end;padding:0 1em 0 0">{{ "%.1f" | format(100 * share) }} %</td>
<td style="width:12em;padding:0"><div style="background:#48c8;height:.7em;
  width:{{ "%.1f" | format(100 * share) }}%"></div></td></tr>
{%- endfor %}</table>
"""


class _Usage(Protocol):
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def cached_tokens(self) -> int: ...


class _Timings(Protocol):
    @property
    def generation_tokens_per_second(self) -> float: ...
    @property
    def time_to_first_token(self) -> float: ...


class _ToolCall(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def arguments(self) -> dict[str, Any]: ...


class Text(Protocol):
    """A `llamacy.Completion`, as far as it is shown."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def finish_reason(self) -> str: ...  # noqa: D102
    @property
    def usage(self) -> _Usage: ...  # noqa: D102
    @property
    def timings(self) -> _Timings: ...  # noqa: D102


class Answer(Text, Protocol):
    """A `llamacy.ChatCompletion`, as far as it is shown."""

    @property
    def reasoning(self) -> str: ...  # noqa: D102
    @property
    def tool_calls(self) -> Sequence[_ToolCall]: ...  # noqa: D102
    @property
    def bad_calls(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def n_dropped(self) -> int: ...  # noqa: D102
    @property
    def n_forgotten(self) -> int: ...  # noqa: D102


def facts_html(title: str, facts: Mapping[str, str]) -> str:
    """Return a table of facts under a title."""
    return template(_FACTS).render(title=title, facts=facts)


def text_html(completion: Text, state: str | None = None) -> str:
    """Return a generated text, with its end, its numbers of tokens and its speed.

    Parameters
    ----------
    completion : Completion
        The text.
    state : str, optional
        Shown in place of the reason why the text ended, while it goes on.
    """
    return template(_TEXT).render(
        value=completion.text, notes=_notes(completion, state)
    )


def answer_html(answer: Answer, state: str | None = None) -> str:
    """Return an answer: reasoning folded away, text, tool calls, and the same notes.

    While there is a `state`, and no text yet, the reasoning is unfolded.
    """
    return template(_ANSWER).render(
        value=answer.text,
        reasoning=answer.reasoning,
        is_open=state is not None and not answer.text,
        calls=[call_text(call.name, call.arguments) for call in answer.tool_calls],
        notes=[*_notes(answer, state), *_warnings(answer)],
    )


def session_html(text: str, note: str) -> str:
    """Return the whole text of a session, and a note below it."""
    return template(_TEXT).render(value=text, notes=[note])


def score_html(
    texts: Sequence[str], logprobs: Sequence[float | None], note: str
) -> str:
    """Return a text whose tokens are coloured: the less likely, the redder."""
    pairs = zip(texts[:_MAX_TOKENS], logprobs[:_MAX_TOKENS], strict=True)
    tokens = [_token(text, logprob) for text, logprob in pairs]
    notes = [note]
    if len(texts) > _MAX_TOKENS:
        notes.append(f"the first {_MAX_TOKENS} of {len(texts)} tokens")
    return template(_SCORE).render(tokens=tokens, notes=notes)


def choice_html(probabilities: Mapping[str, float]) -> str:
    """Return labels with bars as long as their probabilities, likeliest first."""
    ordered = sorted(probabilities.items(), key=lambda item: -item[1])
    return template(_CHOICE).render(shares=dict(ordered))


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a tool call as code: `weather(city="Paris")`."""
    given = (
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in arguments.items()
    )
    return f"{name}({', '.join(given)})"


def _token(text: str, logprob: float | None) -> dict[str, str]:
    if logprob is None:
        return {"text": text, "title": "the first token", "depth": "0"}
    depth = min(-logprob / _DEEPEST, 1.0) if logprob < 0 else 0.0
    title = f"log-probability {logprob:.2f}, probability {math.exp(logprob):.1%}"
    return {"text": text, "title": title, "depth": f"{0.75 * depth:.2f}"}


def _notes(completion: Text, state: str | None) -> list[str]:
    usage, timings = completion.usage, completion.timings
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
    notes = [
        state or completion.finish_reason,
        f"{usage.prompt_tokens} tokens of prompt{cached}",
        f"{usage.completion_tokens} generated",
    ]
    speed = timings.generation_tokens_per_second
    if speed and state is None:
        notes.append(f"{speed:.1f} tokens/s")
        notes.append(f"first token after {timings.time_to_first_token:.2f} s")
    return [" · ".join(notes)]


def _warnings(answer: Answer) -> Iterator[str]:
    for why in answer.bad_calls:
        yield f"a tool call could not be parsed: {why}"
    if answer.n_dropped:
        yield f"the oldest {answer.n_dropped} messages were left out"
    if answer.n_forgotten:
        yield f"the first {answer.n_forgotten} tokens of the answer were forgotten"
