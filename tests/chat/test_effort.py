"""The effort of reasoning, as a variable of the template."""

from __future__ import annotations

from typing import Any

import pytest

import llamacy

ASKS = "{{ reasoning_effort | default('medium') }}|"
KIMI = "{{ thinking_effort | default('max') }}|"
SWITCH = "{{ enable_thinking | default(true) }}|"
NEITHER = "{{ messages[0].content }}|"


def shown(model: llamacy.Model, template: str, **options: Any) -> str:
    ids = model.chat_prompt("a", chat_format=template, **options)
    return model.tokenizer.decode(ids).strip()


@pytest.mark.parametrize(
    ("template", "effort", "text"),
    [
        (ASKS, None, "medium|"),
        (ASKS, "low", "low|"),
        (ASKS + SWITCH, "none", "none|True|"),
        (KIMI, "low", "low|"),
        (SWITCH, "none", "False|"),
        (NEITHER, None, "a|"),
    ],
)
def test_the_effort_reaches_the_template_under_its_own_name(
    puppet: llamacy.Model, template: str, effort: str | None, text: str
) -> None:
    assert shown(puppet, template, reasoning_effort=effort) == text


@pytest.mark.parametrize(
    ("template", "options", "why"),
    [
        (NEITHER, {"reasoning_effort": "low"}, "chat_format, which does not"),
        (SWITCH, {"reasoning_effort": "low"}, "it has enable_thinking"),
        (ASKS, {"reasoning_effort": 3}, "wanted a text, found 3"),
        (ASKS, {"reasoning_effort": ""}, "wanted a text, found ''"),
        (ASKS, {"reasoning_effort": "low",
                "template_arguments": {"reasoning_effort": "high"}},
         r"wanted it once, found template_arguments\['reasoning_effort'\]"),
        (ASKS, {"reasoning_effort": "low", "template_arguments": 3},
         "template_arguments: wanted a dict"),
    ],
)  # fmt: skip
def test_an_effort_that_would_have_no_effect_is_refused(
    puppet: llamacy.Model, template: str, options: Any, why: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=why):
        shown(puppet, template, **options)
