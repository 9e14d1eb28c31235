"""Answers in the form of a schema: by tool calls, or under a constraint."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import (
    JsonOutputKeyToolsParser,
    JsonOutputParser,
    PydanticOutputParser,
    PydanticToolsParser,
)
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.runnables.base import coerce_to_runnable
from langchain_core.utils.function_calling import (
    convert_to_json_schema,
    convert_to_openai_tool,
)
from langchain_core.utils.pydantic import is_basemodel_subclass

from llamacy import ArgumentError
from llamacy.arguments import checked_choice

_METHODS = ("function_calling", "json_schema", "json_mode")


def structured(
    chat: BaseChatModel,
    schema: dict[str, Any] | type,
    include_raw: bool,
    method: str,
    others: dict[str, Any],
) -> Runnable[Any, Any]:
    """Return what `ChatLlamacy.with_structured_output` does.

    Raises
    ------
    ArgumentError
        Another method, or `others` has an unknown option.
    """
    checked_choice("method", method, _METHODS)
    others.pop("strict", None)  # whether a service is to enforce the schema
    for name in others:
        raise ArgumentError(f"{name}: unknown option of with_structured_output")
    llm, parser = _bound(chat, schema, method)
    if not include_raw:
        return llm | parser
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks(
        [failed], exception_key="parsing_error"
    )


def _bound(
    chat: BaseChatModel, schema: dict[str, Any] | type, method: str
) -> tuple[Runnable[Any, Any], Runnable[Any, Any]]:
    """Return the model that is asked, and the parser of its answers."""
    if method == "function_calling":
        called = coerce_to_runnable(_check_called)
        return chat.bind_tools([schema]), called | _parser(schema)
    is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
    parser: Any = JsonOutputParser()
    if is_class:
        parser = PydanticOutputParser(pydantic_object=schema)
    if method == "json_mode":
        return chat.bind(response_format={"type": "json_object"}), parser
    asked = schema if is_class else convert_to_json_schema(schema)
    return chat.bind(json_schema=asked), parser


def _parser(schema: dict[str, Any] | type) -> Any:
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def _check_called(message: AIMessage) -> AIMessage:
    """Raise an error where a model answered with text instead of a tool call."""
    if not message.tool_calls:
        found = "; ".join(call["error"] or "" for call in message.invalid_tool_calls)
        raise OutputParserException(
            "wanted a tool call in the schema's form, found "
            + (found or f"a text: {message.text[:80]!r}"),
            llm_output=str(message.text),
        )
    return message
