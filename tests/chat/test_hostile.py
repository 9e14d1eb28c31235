"""Any template with any messages gives a prompt, or a typed error."""

from __future__ import annotations

from typing import Any

from fuzz.documents import data_of, document_of
from fuzz.targets import template
from hypothesis import given, settings

from tests.support.changes import ANYTHING, changed

# an error that is not typed leaves the target's `run`
DOCUMENTS = [each for each in map(document_of, template.seeds()) if each]


@given(document=changed(DOCUMENTS))
@settings(max_examples=60, deadline=None)
def test_a_conversation_with_one_change_is_refused_or_written(
    document: dict[str, Any],
) -> None:
    template.run(data_of(document))


@given(message=ANYTHING, tools=ANYTHING, arguments=ANYTHING)
@settings(max_examples=60, deadline=None)
def test_anything_for_a_message_a_tool_or_an_argument_is_refused_or_written(
    message: Any, tools: Any, arguments: Any
) -> None:
    first = {"role": "user", "content": "a", "extra": message}
    for messages in ([message], [first], [first | {"content": message}], message):
        document = {"template": DOCUMENTS[0]["template"], "messages": messages}
        template.run(data_of(document | {"tools": tools, "arguments": arguments}))
