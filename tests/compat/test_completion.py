"""Completions are those of llama-cpp-python 0.3.36 for the same calls."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest

import llamacy
from llamacy.compat.llama_cpp import (
    CreateCompletionResponse,
    Llama,
    LlamaGrammar,
    LogitsProcessorList,
    MinTokensLogitsProcessor,
    StoppingCriteriaList,
)

PROMPT = "Once upon a time"


def text(response: CreateCompletionResponse) -> str:
    return response["choices"][0]["text"]


def test_a_completion_has_the_fields_of_llama_cpp_python(
    stories: Llama, stories_path: str
) -> None:
    response = stories(PROMPT, max_tokens=8, temperature=0.0)
    assert re.fullmatch(r"cmpl-[0-9a-f-]{36}", response["id"])
    assert response["created"] > 1_700_000_000
    assert {**response, "id": "", "created": 0} == {
        "id": "",
        "object": "text_completion",
        "created": 0,
        "model": stories_path,
        "choices": [
            {
                "text": ", there was a little girl",
                "index": 0,
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13},
    }


def test_a_prompt_may_be_a_text_or_ids(stories: Llama) -> None:
    def complete(prompt: str | list[int], **options: Any) -> CreateCompletionResponse:
        response = stories.create_completion(prompt, None, 3, 0.0, **options)
        return cast(CreateCompletionResponse, response)

    assert text(complete([1, 403, 407])) == " a time,"
    assert text(complete("")) == " Once upon a"
    assert text(complete(PROMPT, echo=True)) == "Once upon a time, there was"
    assert text(complete([1, 403, 407], echo=True)) == "Once upon a time,"
    # Control tokens are parsed, and the beginning-of-text token is there once.
    assert stories("Once</s>", max_tokens=1)["usage"]["prompt_tokens"] == 3
    assert stories("<s>Once", max_tokens=1)["usage"]["prompt_tokens"] == 2
    assert complete(PROMPT, model="mine")["model"] == "mine"


@pytest.mark.parametrize("max_tokens", [None, 0, -1])
def test_a_completion_without_a_limit_fills_the_context(
    stories_path: str, max_tokens: int | None
) -> None:
    with Llama(stories_path, n_ctx=64) as llm:
        response = llm(PROMPT, max_tokens=max_tokens, temperature=0.0)
    assert response["usage"]["total_tokens"] == 64
    assert response["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stop", ["girl", ["girl", "zebra"]])
def test_a_stop_string_ends_a_completion(stories: Llama, stop: str | list[str]) -> None:
    response = stories(PROMPT, max_tokens=20, temperature=0.0, stop=stop)
    assert text(response) == ", there was a little "
    assert response["choices"][0]["finish_reason"] == "stop"
    assert response["usage"]["completion_tokens"] == 8


def test_logprobs_have_the_fields_of_llama_cpp_python(stories: Llama) -> None:
    response = stories(PROMPT, max_tokens=3, temperature=0.0, logprobs=2)
    logprobs = response["choices"][0]["logprobs"]
    assert logprobs is not None
    assert logprobs["tokens"] == [",", " there", " was"]
    assert logprobs["text_offset"] == [16, 17, 23]
    assert logprobs["token_logprobs"] == pytest.approx(
        [-0.031753752, -0.068416335, -0.015981084], rel=1e-3
    )
    tops = [list(top) for top in logprobs["top_logprobs"] if top]
    assert tops == [[",", " there"], [" there", " in"], [" was", " we"]]
    assert logprobs["top_logprobs"][1] == pytest.approx(
        {" there": -0.068416335, " in": -2.9792726}, rel=1e-3
    )
    json.dumps(response)


def test_logprobs_with_echo_begin_with_the_prompt(stories: Llama) -> None:
    response = stories(PROMPT, max_tokens=1, temperature=0.0, logprobs=1, echo=True)
    logprobs = response["choices"][0]["logprobs"]
    assert logprobs is not None
    assert logprobs["tokens"] == [" Once", " upon", " a", " time", ","]
    assert logprobs["text_offset"] == [0, 5, 10, 12, 17]
    assert logprobs["token_logprobs"][0] is None
    assert logprobs["top_logprobs"][0] is None
    assert logprobs["token_logprobs"][1:] == pytest.approx(
        [-0.017522998, -0.012109102, -0.00072179013, -0.031753752], rel=2e-3
    )


def test_zero_alternatives_still_include_the_token_itself(stories: Llama) -> None:
    response = stories(PROMPT, max_tokens=2, temperature=0.0, logprobs=0)
    logprobs = response["choices"][0]["logprobs"]
    assert logprobs is not None
    assert [list(top or ()) for top in logprobs["top_logprobs"]] == [[","], [" there"]]


def test_a_stream_adds_up_to_the_completion(stories: Llama) -> None:
    whole = stories(PROMPT, max_tokens=20, temperature=0.0)
    chunks = list(stories(PROMPT, max_tokens=20, temperature=0.0, stream=True))
    assert len({chunk["id"] for chunk in chunks} - {whole["id"]}) == 1
    assert "".join(map(text, chunks)) == text(whole)
    *before, last = [chunk["choices"][0] for chunk in chunks]
    assert {choice["finish_reason"] for choice in before} == {None}
    assert (last["text"], last["finish_reason"]) == ("", "length")
    for chunk in chunks:
        assert set(chunk) == set(whole) - {"usage"}
        assert set(chunk["choices"][0]) == set(whole["choices"][0])


def test_a_stream_leaves_out_the_prompt_with_logprobs_and_echo(stories: Llama) -> None:
    options: dict[str, Any] = {"max_tokens": 3, "temperature": 0.0, "logprobs": 2}
    stream = stories(PROMPT, stream=True, echo=True, **options)
    whole = stories(PROMPT, echo=True, **options)
    parts = [chunk["choices"][0]["logprobs"] for chunk in stream]
    assert parts[-1] is None
    wanted = whole["choices"][0]["logprobs"]
    assert wanted is not None
    for name, values in cast(dict[str, list[Any]], wanted).items():
        found = [v for part in parts if part for v in cast(dict[str, Any], part)[name]]
        # a stream contains neither the prompt nor its logprobs
        if name != "text_offset":
            assert found == values[4:]


def test_a_stream_checks_its_arguments_at_once(stories: Llama) -> None:
    with pytest.raises(llamacy.ContextLengthError):
        stories("a " * 600, stream=True)
    with pytest.raises(TypeError, match="nonsense"):
        stories(PROMPT, nonsense=1)  # type: ignore[call-overload]


def test_logit_bias_and_processors_change_the_text(stories: Llama) -> None:
    def complete(**options: Any) -> str:
        return text(stories(PROMPT, max_tokens=4, temperature=0.0, **options))

    assert complete(logit_bias={261: 100.0}) == " a a a a"
    assert complete(logit_bias={"261": 100.0}) == " a a a a"
    seen = []

    def favour_a(ids: Any, scores: Any) -> Any:
        seen.append((ids.tolist(), ids.dtype.name, scores.dtype.name, scores.shape))
        scores[261] = 100
        return scores

    assert complete(logits_processor=favour_a) == " a a a a"
    assert complete(logits_processor=LogitsProcessorList([favour_a])) == " a a a a"
    assert complete(logits_processor=[favour_a]) == " a a a a"
    assert seen[0] == ([1, 403, 407, 261, 378], "int32", "float32", (512,))
    assert seen[3] == seen[0][:0] + ([*seen[0][0], 261, 261, 261], *seen[0][1:])


def test_a_text_can_be_kept_from_ending_too_early(stories: Llama) -> None:
    def end(ids: Any, scores: Any) -> Any:
        scores[2] = 100
        return scores

    keep = MinTokensLogitsProcessor(3, stories.token_eos())
    response = stories(PROMPT, temperature=0.0, logits_processor=[end, keep])
    assert response["usage"]["completion_tokens"] == 3
    assert text(response) == ", there was"


def test_stopping_criteria_end_a_completion(stories: Llama) -> None:
    def complete(longest: int) -> CreateCompletionResponse:
        criteria = StoppingCriteriaList([lambda ids, logits: len(ids) > longest])
        return stories(
            PROMPT, max_tokens=14, temperature=0.0, stopping_criteria=criteria
        )

    response = complete(7)
    assert text(response) == ", there was"
    assert response["choices"][0]["finish_reason"] == "stop"
    assert response["usage"]["completion_tokens"] == 3
    assert complete(0)["usage"]["completion_tokens"] == 0


def test_the_same_seed_draws_the_same_text(babble: Llama, babble_model: Any) -> None:
    def drawn(llm: Llama, **options: Any) -> list[str]:
        return [text(llm("ba", max_tokens=40, **options)) for _ in range(3)]

    assert len(set(drawn(babble, seed=7))) == 1
    assert len(set(drawn(babble))) == 3
    with Llama(str(babble_model), n_ctx=0, seed=5) as llm:
        first = drawn(llm)
        assert len(set(first)) == 3
        llm.set_seed(5)
        assert drawn(llm) == first


def test_a_negative_temperature_draws_from_all_tokens(babble: Llama) -> None:
    options: dict[str, Any] = {"max_tokens": 30, "seed": 3}
    below = text(babble("ba", temperature=-1.0, **options))
    options |= {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
    assert text(babble("ba", temperature=1.0, **options)) == below


@pytest.mark.parametrize(
    ("name", "value"),
    [("logprobs", -1), ("top_k", "many")],
)
def test_invalid_arguments_are_named(babble: Llama, name: str, value: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match=name):
        babble("ba", max_tokens=1, **{name: value})


def test_arguments_for_missing_features_are_refused(babble: Llama) -> None:
    with pytest.raises(llamacy.UnsupportedCallError, match="^suffix: wanted None"):
        babble("ba", max_tokens=1, suffix="end")


@pytest.mark.parametrize("streams", [False, True])
def test_a_text_follows_a_grammar(babble: Llama, streams: bool) -> None:
    pytest.importorskip("llguidance")
    schema = LlamaGrammar.from_json_schema('{"enum": ["one", "two"]}')
    cases: list[tuple[Any, tuple[str, ...]]] = [
        (LlamaGrammar.from_string('root ::= "yes" | "no"'), ("yes", "no")),
        ('root ::= "a"', ("a",)),
        (schema, ('"one"', '"two"')),
    ]
    call: Any = babble
    for grammar, texts in cases:
        made = call("ba", max_tokens=20, grammar=grammar, stream=streams)
        chunks = list(made) if streams else [made]
        assert "".join(chunk["choices"][0]["text"] for chunk in chunks) in texts
    with pytest.raises(llamacy.ConstraintError, match="^grammar: wanted GBNF"):
        babble("ba", grammar=LlamaGrammar.from_string("root ::= b"))
    with pytest.raises(llamacy.ArgumentError, match="^grammar: wanted a LlamaGrammar"):
        babble("ba", grammar=3)
    for text in ("{", "[" * 100_000):
        with pytest.raises(llamacy.ArgumentError, match="^json_schema: wanted JSON"):
            LlamaGrammar.from_json_schema(text)


def test_all_arguments_of_llama_cpp_python_are_known(babble: Llama) -> None:
    response = babble.create_completion(
        "ba",
        suffix=None,
        max_tokens=4,
        temperature=0.8,
        top_p=0.95,
        min_p=0.05,
        typical_p=0.9,
        logprobs=None,
        echo=False,
        stop=[],
        frequency_penalty=0.1,
        presence_penalty=0.1,
        repeat_penalty=1.1,
        top_k=-1,
        stream=False,
        seed=-1,
        tfs_z=1.0,
        mirostat_mode=2,
        mirostat_tau=5.0,
        mirostat_eta=0.1,
        model=None,
        stopping_criteria=None,
        logits_processor=None,
        grammar=None,
        logit_bias=None,
    )
    assert response["usage"]["completion_tokens"] <= 4


@pytest.mark.parametrize("prompt", [[], ["bada"], None])
def test_a_prompt_is_a_text_or_ids(babble: Llama, prompt: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^prompt: wanted"):
        babble.create_completion(prompt)
