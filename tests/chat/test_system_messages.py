"""System messages that a template refuses: merged, or named by number."""

from __future__ import annotations

from typing import Any

import pytest

import llamacy

# as Qwen 3.5's template does
STRICT = """\
{%- if not messages | selectattr('role', 'equalto', 'user') | list %}
{{- raise_exception('No user query found.') }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'system' and not loop.first %}
{{- raise_exception('System message must be at the beginning.') }}
{%- elif m.role not in ['system', 'user', 'assistant'] %}
{{- raise_exception('Unexpected message role.') }}{% endif %}
{{- m.role[0] + ':' + m.content + '|' }}{% endfor %}"""


def talk(*messages: str) -> list[dict[str, Any]]:
    """Return messages written as `role:content`."""
    parts = [message.partition(":") for message in messages]
    return [{"role": role, "content": content} for role, _, content in parts]


def shown(model: llamacy.Model, *messages: str, **options: Any) -> str:
    ids = model.chat_prompt(talk(*messages), chat_format=STRICT, **options)
    return model.tokenizer.decode(ids).strip()


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (("user:a", "system:b", "user:c"), "s:b|u:a|u:c|"),
        (("system:a", "user:b", "developer:c", "system:"), "s:a\n\nc|u:b|"),
        (("system:a", "user:b"), "s:a|u:b|"),
        (("user:a",), "u:a|"),
    ],
)
def test_system_messages_are_merged_into_the_first_on_request(
    puppet: llamacy.Model, messages: tuple[str, ...], text: str
) -> None:
    assert shown(puppet, *messages, merge_system=True) == text
    n = puppet.count_tokens(talk(*messages), chat_format=STRICT, merge_system=True)
    given: Any = {"chat_format": STRICT, "merge_system": True}
    assert n == len(puppet.chat_prompt(talk(*messages), **given))


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        (("user:a", "assistant:b", "user:c", "system:d", "user:e"),
         r"^messages\[3\]: .*System message must be at the beginning\.; merge_system"),
        (("user:a", "system:b", "user:c", "system:d"), r"^messages\[1\]: .*beginning"),
        (("user:a", "user:b", "critic:c", "user:d"), r"^messages\[2\]: .*role\.$"),
        (("critic:a", "user:b"), r"^messages\[0\]: .*role\.$"),
        # no single message is at fault
        (("system:a", "assistant:b"), "^chat_format: No user query"),
        (("critic:a",), "^chat_format: No user query"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("overflow", ["error", "truncate"])
def test_a_message_that_a_template_refuses_is_named_by_its_number(
    puppet: llamacy.Model, messages: tuple[str, ...], why: str, overflow: str
) -> None:
    with pytest.raises(llamacy.ChatTemplateError, match=why):
        shown(puppet, *messages, overflow=overflow)


def test_merge_system_is_true_or_false(puppet: llamacy.Model) -> None:
    with pytest.raises(llamacy.ArgumentError, match="merge_system: wanted True or"):
        shown(puppet, "user:a", merge_system="yes")
