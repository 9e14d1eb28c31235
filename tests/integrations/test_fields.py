"""Adapters have all options that can be written as one value."""

from __future__ import annotations

import inspect

import pytest

import llamacy
from llamacy.chat.prompt import PromptOptions
from llamacy.sampling import SamplingOptions

pytest.importorskip("pydantic")

from llamacy.integrations.fields import ChatFields, LoadFields, SamplingFields

pytestmark = pytest.mark.integrations


def test_every_option_is_a_field_or_left_out_for_a_reason() -> None:
    # for a call, where the library has a place for its result
    reports = {"include_stop", "logprobs", "prompt_logprobs"}
    structures = {"logit_bias", "logits_processors", "dry_sequence_breakers"}
    # every library asks for a form in its own way
    forms = {"json_schema", "json_schema_lenient", "response_format"}
    forms |= {"regex", "choices", "grammar"}
    sampling = set(SamplingOptions.__annotations__) - forms
    assert set(SamplingFields.model_fields) == sampling - reports - structures
    # every library gives its tools in its own way
    tools = {"tools", "tool_choice", "strict_tools"}
    chatting = set(PromptOptions.__annotations__) - tools
    assert set(ChatFields.model_fields) == chatting
    loading = set(inspect.signature(llamacy.load).parameters)
    others = {"source", "lora", "max_waiting", "drafting", "progress"}
    assert set(LoadFields.model_fields) == loading - others


def test_fields_that_are_not_set_leave_the_defaults() -> None:
    assert SamplingFields().sampling_options() == {}
    assert SamplingFields(temperature=0, stop="x").sampling_options() == {
        "temperature": 0,
        "stop": "x",
    }
