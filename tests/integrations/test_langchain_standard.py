"""LangChain's own tests of a chat model, run on ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llamacy
from tests.support.puppet import replying

pytest.importorskip("langchain_core")
pytest.importorskip("langchain_tests")

from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from llamacy.integrations.langchain import ChatLlamacy

pytestmark = pytest.mark.integrations

# arguments with which the tools of these tests are to be called
ARGUMENTS: dict[str, dict[str, Any]] = {
    "magic_function": {"input": 3},
    "magic_function_no_args": {},
    "my_adder_tool": {"a": 1, "b": 2},
    "get_weather": {"location": "San Francisco, CA"},
    "greeting_generator": {"answer_style": "in Spanish"},
    "unicode_customer": {
        "customer_name": "你好啊集团、こんにちは株式会社",
        "description": "技术公司",
    },
}
BEGINNING = "<|im_start|>assistant\n"


class Puppet(ChatLlamacy):
    """Calls the tool that it is given, and then says that it is sunny.

    All but the choice of tokens is real.
    """

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        bound = super().bind_tools(tools, **kwargs)
        name = bound.kwargs["tools"][0]["function"]["name"]
        call = {"name": name, "arguments": ARGUMENTS[name]}
        said = f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"

        def reply(prompt: str) -> str:
            return "It is sunny." if "<tool_response>" in prompt else said

        return bound.bind(**replying(self.loaded, reply, beginning=BEGINNING))


class Described:
    """The class under test, and the features that it lacks."""

    has_tool_choice = False  # the puppet always calls
    # its tests want a model that knows what a joke is
    has_structured_output = False
    supports_anthropic_inputs = False

    @property
    def chat_model_class(self) -> type[ChatLlamacy]:
        return Puppet

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.loaded_model}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 200}

    @pytest.fixture(autouse=True)
    def _with_model(self, puppet: llamacy.Model) -> None:
        self.loaded_model = puppet


class TestUnit(Described, ChatModelUnitTests):
    pass


class TestIntegration(Described, ChatModelIntegrationTests):
    pass
