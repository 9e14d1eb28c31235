"""Tools of OpenAI's response API."""

from __future__ import annotations

from typing import Any

from llamacy.protocols.openai.response_input import written_input
from llamacy.protocols.openai.response_tools import chosen, read_tools

FIND = {"type": "function", "name": "find", "parameters": {"type": "object"}}
ADD = {"type": "function", "name": "add", "description": "Adds one."}
CRM = {
    "type": "namespace",
    "name": "crm",
    "description": "Customers.",
    "tools": [FIND, ADD],
}


def names(tools: list[dict[str, Any]]) -> list[str]:
    return [tool["function"]["name"] for tool in tools]


def test_functions_of_a_namespace_have_both_names() -> None:
    tools, namespaces = read_tools([FIND, CRM])
    assert names(tools) == ["find", "crm__find", "crm__add"]
    assert namespaces == {"crm__find": ("crm", "find"), "crm__add": ("crm", "add")}
    descriptions = [tool["function"].get("description") for tool in tools]
    assert descriptions == [None, "Customers.", "Adds one."]


def test_a_choice_names_a_function_with_or_without_its_namespace() -> None:
    tools, namespaces = read_tools([CRM])
    named = {"type": "function", "name": "add"}
    assert chosen(named, tools, namespaces) == "crm__add"
    assert chosen({**named, "namespace": "crm"}, tools, namespaces) == "crm__add"
    assert chosen({"name": "other"}, tools, namespaces) == {"name": "other"}
    assert chosen("required", tools, namespaces) == "required"
    twice = read_tools([CRM, {**CRM, "name": "other"}])
    assert chosen(named, *twice) == named, "which one is not clear"
    beside = read_tools([CRM, ADD])
    assert chosen(named, *beside) == named, "it is in no namespace"


def test_past_calls_have_both_names() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}
    for namespace in ("crm", "crm__"):
        (answer,) = written_input([{**call, "namespace": namespace}])
        assert answer["tool_calls"][0]["function"]["name"] == "crm__add"
