"""Options that a call does not have: the error says what to write instead."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import llamacy
from llamacy.arguments import checks_options
from llamacy.chat.prompt import PromptOptions
from llamacy.option_names import ADVICE, HOMES, SYNONYMS, hint
from llamacy.sampling import SamplingOptions

SAMPLING = list(SamplingOptions.__annotations__)


@pytest.fixture(scope="module")
def model() -> Iterator[llamacy.Model]:
    with llamacy.load("demo") as model:
        yield model


def public_calls() -> dict[str, Callable[..., Any]]:
    """Every function, and every method of models and sessions, that can be called."""
    calls: dict[str, Callable[..., Any]] = {
        name: value
        for name in llamacy.__all__
        if inspect.isfunction(value := getattr(llamacy, name))
    }
    for cls in (llamacy.Model, llamacy.Session):
        for name, value in inspect.getmembers(cls, inspect.isfunction):
            if not name.startswith("_"):
                calls[f"{cls.__name__}.{name}"] = value
    calls["SamplingParams"] = llamacy.SamplingParams
    return calls


# `close` and `fork` have no options at all, and a method of no arguments is not
# mistaken for one with some.
WITHOUT_OPTIONS = {"Model.close", "Session.close", "Session.fork"}


@pytest.mark.parametrize("name", sorted({*public_calls()} - WITHOUT_OPTIONS))
def test_every_public_call_says_what_an_unknown_option_is(name: str) -> None:
    call = public_calls()[name]
    with pytest.raises(llamacy.UnknownOptionError, match="^nonsense: unknown option; "):
        result = call(nonsense=1)
        if inspect.iscoroutine(result):
            asyncio.run(result)


@pytest.mark.parametrize("name", sorted(public_calls()))
def test_help_shows_the_parameters_of_every_public_call(name: str) -> None:
    assert [*inspect.signature(public_calls()[name]).parameters] != ["args", "options"]


def test_help_and_tab_completion_know_each_option_of_a_call() -> None:
    shown = inspect.signature(llamacy.Model.achat).parameters
    assert {*SAMPLING, *PromptOptions.__annotations__} <= {*shown}
    assert inspect.Parameter.VAR_KEYWORD not in {one.kind for one in shown.values()}
    assert str(shown["top_k"]) == "top_k: 'int' = ..."


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("temp", "temp: unknown option; did you mean temperature?"),
        ("stream", "stream: unknown option; use model.stream or model.stream_chat"),
        ("n_predict", "n_predict: unknown option; did you mean max_tokens?"),
        ("repetition_penalty", "did you mean repeat_penalty?"),
        ("temprature", "did you mean temperature?"),
        ("maxTokens", "did you mean max_tokens?"),
        ("top-p", "did you mean top_p?"),
        ("num_return_sequences", "did you mean n?"),
        ("n_gpu_layers", "leave it out: there is no GPU"),
        ("guided_json", "did you mean json_schema?"),
        ("tools", "give tools to model.chat"),
        ("n_ctx", "give n_ctx to llamacy.load"),
        ("num_ctx", "give n_ctx to llamacy.load"),
        ("zzz", "wanted one of prompt, params, n, "),
    ],
)
def test_generate_names_the_option_that_was_meant(
    model: llamacy.Model, option: str, message: str
) -> None:
    with pytest.raises(llamacy.UnknownOptionError) as info:
        model.generate("Once", **{option: 1})  # type: ignore[call-overload]
    assert message in str(info.value)


def test_the_same_name_means_what_the_call_has(model: llamacy.Model) -> None:
    with pytest.raises(llamacy.ArgumentError, match="did you mean prompt"):
        model.generate(prompts=["Once"])  # type: ignore[call-overload]
    with pytest.raises(llamacy.ArgumentError, match="did you mean messages"):
        model.chat(prompt="What is 12 + 30?")  # type: ignore[call-overload]
    with pytest.raises(llamacy.ArgumentError, match="give messages to model.chat"):
        model.generate(messages=[])  # type: ignore[call-overload]
    with pytest.raises(llamacy.ArgumentError, match="did you mean chat_format"):
        model.chat("Hello", chat_template="chatml")  # type: ignore[call-overload]
    with pytest.raises(llamacy.ArgumentError, match="did you mean source"):
        llamacy.load(model_path="demo")  # type: ignore[call-arg]
    with pytest.raises(llamacy.ArgumentError, match=r"to model\.generate or model\."):
        llamacy.load("demo", temp=1)  # type: ignore[call-arg]


def test_all_unknown_options_are_named_at_once(model: llamacy.Model) -> None:
    with pytest.raises(llamacy.ArgumentError) as info:
        model.generate("Once", temp=1, top_k=1, n_predict=1)  # type: ignore[call-overload]
    first, second = str(info.value).split("\n")
    assert first.startswith("temp: ")
    assert second.startswith("n_predict: ")


def test_the_error_can_be_caught_as_what_python_raises() -> None:
    assert issubclass(llamacy.UnknownOptionError, TypeError)
    assert issubclass(llamacy.UnknownOptionError, llamacy.ArgumentError)


def test_errors_inside_a_call_stay_as_they_are() -> None:
    @checks_options()
    def broken(width: int) -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug") as info:
        broken(width=1)
    assert not isinstance(info.value, llamacy.ArgumentError)
    with pytest.raises(TypeError, match="missing 1 required positional"):
        broken()  # type: ignore[call-arg]


def all_options() -> set[str]:
    """The names of all options of public calls."""
    found = {*SAMPLING, *PromptOptions.__annotations__}
    for call in public_calls().values():
        found |= {*inspect.signature(call).parameters}
    return found


def test_the_tables_name_options_that_exist() -> None:
    options = all_options()
    assert {*SYNONYMS} <= options
    assert {option for names in HOMES.values() for option in names.split()} <= options
    assert {*SAMPLING} <= {*HOMES["model.generate or model.chat"].split()}
    load = {*inspect.signature(llamacy.load).parameters} - {"source", "progress"}
    assert {*HOMES["llamacy.load"].split()} == load


def test_each_synonym_leads_to_its_option_and_each_advice_is_given() -> None:
    for option, names in SYNONYMS.items():
        for name in names.split():
            assert name == option or hint(name, [option]) == f"did you mean {option}?"
    advised = [name for names in ADVICE.values() for name in names.split()]
    assert len({*advised}) == len(advised)
    for advice, names in ADVICE.items():
        assert {hint(name, []) for name in names.split()} == {advice}


def test_what_is_like_nothing_gets_the_list_of_what_there_is() -> None:
    assert hint("qqq", ["n_ctx", "lora"]) == "wanted one of n_ctx, lora"
    assert hint("qqq", []) == "the call takes none"


@pytest.mark.parametrize(
    ("call", "name", "message"),
    [
        ("embed", "normalize_embeddings", "did you mean normalize?"),
        ("embed", "truncate_dim", "did you mean dimensions?"),
        ("embed", "convert_to_tensor", "leave it out: embeddings are an array of Nu"),
        ("embed", "batch_size", "give n_batch to llamacy.load"),
        ("rerank", "top_k", "did you mean top_n?"),
        ("generate", "embedding", "leave it out: any model embeds texts, by model.em"),
        ("generate", "pooling_type", "give pooling to model.embed"),
    ],
)
def test_names_of_sentence_transformers_are_known(
    model: llamacy.Model, call: str, name: str, message: str
) -> None:
    with pytest.raises(llamacy.UnknownOptionError) as caught:
        getattr(model, call)("text", **{name: 1})
    assert f"{name}: unknown option; {message}" in str(caught.value)
