"""Rendering chat templates: the same text as transformers, safe with hostile files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.chat import budget
from llamacy.chat.template import render

VECTORS = json.loads(
    Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
)
CASES = [
    pytest.param(family["template"], case, id=f"{name}-{i}")
    for name, family in VECTORS["families"].items()
    for i, case in enumerate(family["cases"])
]


@pytest.mark.parametrize(("template", "case"), CASES)
def test_the_text_is_that_of_transformers(template: str, case: dict[str, Any]) -> None:
    values = {
        "tools": None,
        "bos_token": VECTORS["bos_token"],
        "eos_token": VECTORS["eos_token"],
        "messages": case["messages"],
        **case["options"],
    }
    if "error" in case:
        with pytest.raises(llamacy.ChatTemplateError, match=case["error"]):
            render(template, "model", values)
    else:
        assert render(template, "model", values) == case["text"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ {'b': '<é>', 'a': 1} | tojson }}", '{"b": "<é>", "a": 1}'),
        ("{{ [1] | tojson(indent=1) }}", "[\n 1\n]"),
        # llama.cpp's own engine writes 2 and nothing
        ("{{ 2.0 | tojson }} {{ 2.0 }} [{{ none }}]", "2.0 2.0 [None]"),
        ("a{# x #}b", "ab"),
        ("{% for i in range(4) %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}"
         "{% endfor %}", "013"),
        ("{{ [1, 2] | map('string') | tojson }}", '["1", "2"]'),
        ("{{ strftime_now('%Y') }}", time.strftime("%Y")),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}"
         "{% endfor %}", "01"),
        ("{% generation %}{{ 'a' ~ 1 }}{% endgeneration %}\n{{ nothing }}b\n", "a1b"),
        ("{% set n = namespace(a=1) %}{% set n.a = n.a + 1 %}{{ n.a }}", "2"),
        ("{{ '%s-%02d' % ('x', 3) }}{{ 7 % 4 }}{{ '=' * 3 }}{{ 2 ** 3 }}", "x-033===8"),
        ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(1) + f('2') }}", "<1><2>"),
        ("{{ 'a' ~ 2**40 }}", "a1099511627776"),
        ("{% macro f(x) %}{{ x }}{% endmacro %}{{ f(2**40) }}", "1099511627776"),
        ("{{ nothing | default(2**40) ~ '%d' % 2**9 }}", "1099511627776512"),
        ("{{ dict(a=1).items() | list | length }}", "1"),
        ("{{ '**%s** 54321' % 'a' ~ '{{\"a\": {:4}}}'.format(1) }}",
         '**a** 54321{"a":    1}'),
        ("{{ ['a', 'b'] | map('upper') | join('-') }}", "A-B"),
        ("{{ '-'.join(['a', 'b'] | map('upper')) }}", "A-B"),
        ("{{ [{'a': 1}, {'a': 2}] | join(', ', attribute='a') }}", "1, 2"),
        ("{{ 'abab'.replace('a', 'c', 1) ~ 'abab' | replace('a', 'c') }}", "cbabcbcb"),
        ("{{ 12345 | center(9) | trim }}{{ 'a\\nb' | indent(2) }}", "12345a\n  b"),
    ],
)  # fmt: skip
def test_templates_have_the_names_and_extensions_of_transformers(
    template: str, text: str
) -> None:
    assert render(template, "model", {}) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ tools is defined }}", "False"),
        ("{{ tools is none }}{{ tools is not none }}", "TrueFalse"),
        ("{{ tools == none }}{{ tools != None }}", "TrueFalse"),
        ("{{ 'yes' if tools else 'no' }}", "no"),
        ("{% for tool in tools %}{{ tool }}{% endfor %}", ""),
        ("{{ tools | length }}{{ tools | tojson }}{{ tools or [] }}", "0null[]"),
        ("{% if not tools is defined %}{% set tools = none %}{% endif %}{{ tools }}",
         "None"),
        ("{{ documents is none }}{{ documents is defined }}", "TrueFalse"),
        ("{{ nothing is none }}{{ nothing is defined }}", "FalseFalse"),
    ],
)  # fmt: skip
def test_tools_that_are_not_given_are_neither_defined_nor_a_value(
    template: str, text: str
) -> None:
    assert render(template, "model", {}) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ namespace.__init__.__globals__ }}",
        "{% set n = namespace() %}{% set n.__class__ = 1 %}",
        "{% set n = namespace(_a=1) %}",
        "{{ raise_exception.__globals__ }}",
        "{{ strftime_now.__code__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='system') }}",
        "{{ messages.__class__ }}",
        "{{ (messages | map(attribute='__class__') | first).mro() }}",
        "{{ ('' | attr('format')).__self__.__class__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
    ],
)
def test_nothing_leads_out_of_the_sandbox(template: str) -> None:
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(llamacy.ChatTemplateError, match="^model: "):
        render(template, "model", {"messages": messages})
    assert messages == [{"role": "user", "content": "hi"}]


def test_a_template_may_add_to_its_own_lists_alone() -> None:
    queue = "{% set n = namespace(a=[]) %}{% set _ = n.a.append(1) %}"
    template = "{{ n.a }}{% set _ = n.a.pop(0) %}{{ n.a }}"
    assert render(queue + template, "model", {}) == "[1][]"
    given = {"tools": [{"a": [1]}]}
    for change in ("tools.append(1)", "tools[0].a.pop()"):
        with pytest.raises(llamacy.ChatTemplateError, match="unsafe"):
            render(f"{{{{ {change} }}}}", "model", given)
    for item in ("n.a", "[[n.a]]", "{1: n.a}"):
        with pytest.raises(llamacy.ChatTemplateError, match="a list into itself"):
            render(f"{queue}{{{{ n.a.append({item}) }}}}", "model", {})


# a list and a tuple of 2^40 items each, which takes years to compare, hash or write
TWO_OF_EACH = (
    "{% set n = namespace(a=[], b=[], t=(), u=()) %}{% for i in range(40) %}"
    "{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}"
    "{% set n.t = (n.t, n.t) %}{% set n.u = (n.u, n.u) %}{% endfor %}"
)
EXPONENTIAL = (
    "{{ n.a == n.b }}",
    "{{ n.a is eq n.b }}",
    "{{ n.t in {n.u: 1} }}",
    "{{ [n.a] | select('eq', n.b) | list }}",
    "{{ [n.a].index(n.b) }}",
    "{{ {n.t: 1} }}",
    "{{ {'a': 1}[n.t] }}",
    "{{ {'a': 1}.get(n.t) }}",
    "{{ dict([(n.t, 1)]) | length }}",
    "{{ messages[n.a].x }}",
    "{% for i in [n.a, n.b] %}{{ loop.changed(i) }}{% endfor %}",
    "{{ [n.a, n.b] | sort | length }}",
    "{{ [n.t, n.u] | unique | list | length }}",
    "{{ {'a': n.a} | urlencode | length }}",
    "{{ [1] | map(n.t) | list }}",
    "{{ raise_exception(n.a) }}",
)
DOUBLING = "{%% set n = namespace(s='ab') %%}{%% for i in range(60) %%}%s{%% endfor %%}"


@pytest.mark.parametrize(
    "template",
    [
        2 * "{% for i in range(99999) %}" + 2 * "{% endfor %}",
        "{% for i in range(999999999) %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}"
        "{{ f(50) }}",
        "{{ 'a' * 999999999 }}",
        "{{ 999999999 * [1] }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ 'a'.rjust(999999999) }}",
        "{{ 'a' | center(999999999) }}",
        "{{ 'a' | indent(width=999999999, first=true) }}",
        "{{ ['a'] | map('center', 999999999999) | list }}",
        "{{ ('\\n' * 9999999) | indent(9999) }}",
        "{{ ('\\t' * 9999999).expandtabs(9999) }}",
        "{{ [1] | tojson(indent=999999999) }}",
        "{{ (range(99999) | list) | tojson(indent=9999) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 999999999) }}",
        "{{ ('%(a)s' * 9999) % {'a': 'a' * 99999} }}",
        "{{ ('%s' * 9999) | format('a' * 99999) }}",
        "{{ ('{0}' * 9999).format('a' * 99999) }}",
        "{{ ('a' * 99999).translate({97: 'a' * 9999}) }}",
        "{{ ('a ' * 99999) | wordwrap(1, wrapstring='a' * 9999) }}",
        "{{ (1).to_bytes(999999999, 'big') }}",
        "{{ range(99999) | map('string') | join('a' * 9999) }}",
        "{{ ('a' * 99999).join(['b'] * 9999) }}",
        "{{ ('a' * 9999).join(range(99999) | map('string')) }}",
        "{{ [['a' * 99999] * 999] * 999 }}",
        "{% for i in range(99999) %}" + 9999 * "a" + "{% endfor %}",
        "{{ (range(99999) | batch(1) | list) | sum(start=[]) }}",
        "{{ ('a' * 2**24) | wordwrap(1) }}",
        "{{ ('ab ' * 2**24).split() | length }}",
        "{{ ('a' * 2**24) | list | length }}",
        "a" * 2**21,
    ],
)
def test_a_template_that_does_too_much_is_stopped(template: str) -> None:
    with pytest.raises(llamacy.ChatTemplateError, match="^model: (stopped|wanted|fai)"):
        render(template, "model", {})


@pytest.mark.parametrize(
    "template",
    [
        DOUBLING % "{% set n.s = [n.s, n.s] | join %}",
        DOUBLING % "{% set n.s = n.s.join([n.s, n.s]) %}",
        DOUBLING % "{% set n.s = n.s | replace('a', 'aa') %}",
        DOUBLING % "{% set n.s = n.s.replace('', 'a') %}",
        DOUBLING % "{% set n.s = [n.s, n.s] %}" + "{{ n.s }}",
        DOUBLING % "{% set n.s = {1: n.s, 2: n.s} %}" + "{{ n.s | tojson }}",
        DOUBLING % "{% set n.s = [n.s, n.s] %}" + "{{ 'a' ~ n.s }}",
        DOUBLING % "{% set n.s = [n.s, n.s] %}" + "{{ '%s' % (n.s,) }}",
        DOUBLING % "{% set n.s = [n.s, n.s] %}" + "{{ '{}'.format(n.s) }}",
        DOUBLING % "{% set n.s = [n.s, n.s] %}" + "{{ n.s | upper }}",
        DOUBLING % "{% set n.s = n.s ~ n.s %}",
        DOUBLING % "{% set n.s = n.s + n.s %}",
        DOUBLING % "{% set n.s = n.s * 2 %}",
        DOUBLING % "{% set x %}{{ n.s }}{{ n.s }}{% endset %}{% set n.s = x %}",
        *(TWO_OF_EACH + each for each in EXPONENTIAL),
    ],
)
def test_a_template_that_doubles_its_values_is_stopped(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a part of the limits, which it passes as surely, in that part of the time."""
    monkeypatch.setattr(budget, "_MAX_STEPS", budget._MAX_STEPS // 32)
    monkeypatch.setattr(budget, "_MAX_CHARACTERS", budget._MAX_CHARACTERS // 32)
    with pytest.raises(llamacy.ChatTemplateError, match="^model: (stopped|wanted|fai)"):
        render(template, "model", {})


def test_a_template_that_takes_too_long_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llamacy.chat.budget._MAX_SECONDS", 0.0)
    with pytest.raises(llamacy.ChatTemplateError, match="more than 0 seconds"):
        render("{% for i in range(99999) %}{% endfor %}", "model", {})


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for", "wanted a Jinja template, found at line 1: "),
        ("{{ raise_exception('no system here') }}", "no system here"),
        ("{{ messages[3].content }}", "has no element 3"),
        ("{{ 1 / 0 }}", "failed with ZeroDivisionError"),
        ("{{ nobody.said.it }}", "'nobody' is undefined"),
    ],
)
def test_a_template_that_fails_says_why(template: str, why: str) -> None:
    with pytest.raises(llamacy.ChatTemplateError, match=f"^model: .*{why}"):
        render(template, "model", {"messages": []})
