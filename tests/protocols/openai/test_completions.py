"""Completions as OpenAI's completion API gives them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from llamacy.protocols.openai.common import Head
from llamacy.protocols.openai.completions import CompletionResponse
from llamacy.results import (
    Completion,
    FinishReason,
    Piece,
    Timings,
    TokenLogprob,
    Usage,
)

HEAD = Head("cmpl-1", 1_800_000_000, "tiny")
BYTES = {0: b"", 1: b"Once", 2: b" upon", 3: b" a", 4: b" a"}
BYTES |= {5: b"\xe7\x8c", 6: b"\xab", 7: b"\xff"}  # half of a character, the rest, none
NO_TIMINGS = Timings(0, 0.0, 0, 0.0, 0.0)
COMPLETION = Completion(" upon a", [2, 3], "length", Usage(1, 2), NO_TIMINGS)
UPON = TokenLogprob(2, -0.5, ((2, -0.5), (1, -1.5)))
A = TokenLogprob(3, -2.0, ((4, -0.25), (3, -2.0)))


def response(echo: bool = False) -> CompletionResponse:
    return CompletionResponse(HEAD, BYTES.__getitem__, "Once", echo)


def test_a_head_has_an_id_of_its_own_and_the_time() -> None:
    head = Head.new("cmpl", "tiny")
    assert re.fullmatch(r"cmpl-[0-9a-f-]{36}", head.id)
    assert head.id != Head.new("cmpl", "tiny").id
    assert head.created > 1_700_000_000
    assert head.model == "tiny"


def test_a_whole_completion() -> None:
    assert response().whole(COMPLETION, [1]) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1_800_000_000,
        "model": "tiny",
        "choices": [
            {
                "text": " upon a",
                "index": 0,
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


def test_logprobs_have_offsets_from_the_beginning_of_the_prompt() -> None:
    whole = response().whole(replace(COMPLETION, logprobs=[UPON, A]), [1])
    assert whole["choices"][0]["logprobs"] == {
        "tokens": [" upon", " a"],
        "text_offset": [4, 9],
        "token_logprobs": [-0.5, -2.0],
        # two tokens have the text " a": the one that was chosen counts
        "top_logprobs": [{" upon": -0.5, "Once": -1.5}, {" a": -2.0}],
    }


def test_offsets_count_characters_when_they_are_whole() -> None:
    scored = [TokenLogprob(i, -1.0, ()) for i in (5, 6, 3, 7, 3, 3)]
    text = "\u732b a\ufffd a a"
    completion = replace(COMPLETION, text=text, logprobs=scored)
    logprobs = response(echo=True).whole(completion, [])["choices"][0]["logprobs"]
    assert logprobs is not None
    assert logprobs["tokens"] == ["", "", " a", "", " a", " a"]
    assert logprobs["text_offset"] == [0, 0, 1, 3, 4, 6]
    assert [text[i : i + 2] for i in (1, 4, 6)] == [" a"] * 3


def test_an_echo_comes_before_the_text_and_its_logprobs() -> None:
    scored = replace(COMPLETION, logprobs=[A], prompt_logprobs=[None, None, UPON])
    choice = response(echo=True).whole(scored, [1, 2])["choices"][0]
    assert choice["text"] == "Once upon a"
    assert choice["logprobs"] is not None
    assert choice["logprobs"]["tokens"] == ["Once", " upon", " a"]
    assert choice["logprobs"]["text_offset"] == [0, 4, 9]
    assert choice["logprobs"]["token_logprobs"] == [None, -0.5, -2.0]
    assert choice["logprobs"]["top_logprobs"][0] is None


def test_chunks_share_the_head_and_count_offsets_on() -> None:
    made = response()
    first = made.chunk(Piece(" upon", [2], [UPON]))
    second = made.chunk(Piece(" a", [3], [A]))
    assert first is not None
    assert second is not None
    assert first["id"] == second["id"] == "cmpl-1"
    assert "usage" not in first
    assert first["choices"][0]["finish_reason"] is None
    assert second["choices"][0]["logprobs"] is not None
    assert second["choices"][0]["logprobs"]["text_offset"] == [9]


def test_a_piece_of_nothing_has_no_chunk() -> None:
    assert response().chunk(Piece("", [0])) is None
    assert response().chunk(Piece("", [0], [UPON])) is not None


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [("stop", "stop"), ("length", "length"), ("cancelled", "stop")],
)
def test_the_last_chunk_says_why_the_text_ended(
    reason: FinishReason, wanted: str
) -> None:
    choice = response().last_chunk(reason)["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("", wanted)
