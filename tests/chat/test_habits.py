"""Messages are written in the form that each template takes."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.chat import budget, habits
from llamacy.chat.habits import fitted
from llamacy.chat.template import TemplateStopped, render

TEXT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
ADDS = "{% for m in messages %}{{ '[' + m.role + ']' + m.content | trim }}{% endfor %}"
PARTS = (
    "{% for m in messages %}[{{ m.role }}]{% for p in m.content %}"
    "{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{% endfor %}"
)
EITHER = (
    "{% for m in messages %}[{{ m.role }}]{% if m.content is string %}{{ m.content }}"
    "{% else %}{{ m.content | map(attribute='text') | join }}{% endif %}{% endfor %}"
)
TURNS = (
    "{% for m in messages %}{% if m.role not in ['user', 'assistant'] %}"
    "{{ raise_exception('no ' + m.role) }}{% endif %}{{ m.content }}{% endfor %}"
)
DEAF = (
    "{% for m in messages if m.role in ['user', 'assistant'] %}"
    "{{ m.content }}{% endfor %}"
)

SYSTEM = {"role": "system", "content": "S"}
USER = {"role": "user", "content": "U"}
GREETING = {"role": "assistant", "content": "A"}
TWO: dict[str, Any] = {"role": "user", "content": ["a", "b"]}


def typed(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (TEXT, "a\nb"),
        (ADDS, "a\nb"),
        ("{{ messages | tojson }}", "a\nb"),
        (PARTS, typed("a", "b")),
        (EITHER, typed("a", "b")),
        ("{{ raise_exception('never') }}", "a\nb"),
    ],
)
def test_parts_are_joined_if_a_template_takes_only_strings(
    template: str, wanted: object
) -> None:
    assert fitted(template, [TWO]) == [{"role": "user", "content": wanted}]


@pytest.mark.parametrize(
    ("template", "wanted"), [(TEXT, "U"), (EITHER, "U"), (PARTS, typed("U"))]
)
def test_a_text_is_a_part_if_a_template_takes_only_parts(
    template: str, wanted: object
) -> None:
    for role in ("system", "user", "assistant"):
        talk = [{**USER, "role": role}, USER]
        assert [each["content"] for each in fitted(template, talk)] == [wanted] * 2


@pytest.mark.parametrize("template", [TURNS, DEAF])
def test_a_system_message_begins_the_users_first_where_a_template_has_none(
    template: str,
) -> None:
    said = {"role": "user", "content": "S\n\nU"}
    assert fitted(template, [SYSTEM, USER, GREETING]) == [said, GREETING]
    assert fitted(template, [SYSTEM, GREETING, USER]) == [GREETING, said]
    twice: Any = [SYSTEM, {"role": "developer", "content": ["D", "E"]}, USER]
    assert fitted(template, twice)[0]["content"] == "S\n\nD\nE\n\nU"
    assert fitted(template, [{**SYSTEM, "content": ""}, USER]) == [USER]
    # nobody's message to begin: the template may say so
    assert fitted(template, [SYSTEM, GREETING]) == [SYSTEM, GREETING]


@pytest.mark.parametrize("template", [TEXT, PARTS, "{{ raise_exception('never') }}"])
def test_a_system_message_stays_where_a_template_writes_it(template: str) -> None:
    assert [each["role"] for each in fitted(template, [SYSTEM, USER])] == [
        "system",
        "user",
    ]


def test_developer_is_system_unless_the_template_knows_it() -> None:
    talk = [{"role": "developer", "content": "D"}, USER]
    assert fitted(TEXT, talk)[0] == {"role": "system", "content": "D"}
    both = fitted(TEXT, [SYSTEM, talk[0], {**SYSTEM, "content": ""}, USER])
    assert both == [{"role": "system", "content": "S\n\nD"}, USER]
    assert fitted(TEXT, [SYSTEM, SYSTEM, USER]) == [SYSTEM, SYSTEM, USER]
    knowing = TEXT + "{% if messages[0].role == 'developer' %}!{% endif %}"
    assert fitted(knowing, talk) == talk
    assert talk[0]["role"] == "developer"


def test_a_template_without_end_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_MAX_STEPS", 1000)
    endless = "{% for i in range(9999) %}{% endfor %}{{ messages[0].content }}"
    assert habits._is_stopped(endless)
    assert fitted(endless, [SYSTEM, TWO]) == [SYSTEM, {**TWO, "content": "a\nb"}]
    with pytest.raises(TemplateStopped, match="more than 1000 steps"):
        render(endless, "model", {"messages": [USER]})


def test_only_gpt_oss_is_spared_thinking_beside_content_and_calls() -> None:
    message: dict[str, Any] = {"role": "assistant", "content": "a", "thinking": "Hm."}
    calling = {**message, "tool_calls": [{}]}
    channels = TEXT + "<|channel|>"
    assert fitted(TEXT, [USER, calling])[1] == calling
    assert "thinking" not in fitted(channels, [USER, calling])[1]
    assert fitted(channels, [USER, message])[1] == message
