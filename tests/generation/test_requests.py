"""One request, from prompt to completion."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted import (
    EOG,
    N_VOCAB,
    ScriptedExecutor,
    Vocabulary,
    complete,
    request,
)

from llamacy.errors import ContextLengthError
from llamacy.generation.completions import completion
from llamacy.generation.context import Context
from llamacy.generation.gather import gather
from llamacy.generation.goals.complete import Complete
from llamacy.generation.request import Request
from llamacy.generation.streams import Stream
from llamacy.generation.worker import Worker
from llamacy.sampling import SamplingParams


def test_a_text_ends_at_the_end_of_text_token() -> None:
    executor = ScriptedExecutor({"say": Vocabulary.ids("hello")})
    (done,) = complete(executor, request("say"))
    assert done.text == str(done) == "hello"
    assert done.tokens == Vocabulary.ids("hello")
    assert done.finish_reason == "stop"
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (3, 5)
    assert done.usage.total_tokens == 8
    assert executor.passes == [3, 1, 1, 1, 1, 1]
    assert done.timings.n_generated == 5
    assert "hello" in repr(done)


@pytest.mark.parametrize("max_tokens", [0, 1, 4, 5])
def test_max_tokens_ends_a_text(max_tokens: int) -> None:
    executor = ScriptedExecutor({"say": Vocabulary.ids("hello")})
    (done,) = complete(executor, request("say", max_tokens=max_tokens))
    assert done.text == "hello"[:max_tokens]
    assert done.finish_reason == "length"
    # The last token is never read: nobody wants to know what follows it.
    assert sum(executor.passes) == (3 + max_tokens - 1 if max_tokens else 0)


def test_the_context_ends_a_text_and_refuses_a_longer_prompt() -> None:
    executor = ScriptedExecutor({"say": Vocabulary.ids("hello")})
    (done,) = complete(executor, request("say", n_ctx=5))
    assert (done.text, done.finish_reason) == ("he", "length")
    (done,) = complete(executor, request("say", n_ctx=3))
    assert (done.text, done.finish_reason) == ("", "length")
    with pytest.raises(ContextLengthError) as info:
        request("say", n_ctx=2)
    assert (info.value.n_tokens, info.value.n_ctx) == (3, 2)


def test_room_is_made_in_a_full_context() -> None:
    executor = ScriptedExecutor({"keep": Vocabulary.ids("a" * 99)})
    told: list[int] = []

    def make_room(generated: list[int]) -> list[int] | None:
        told.append(len(generated))
        if len(told) == 3:
            return None
        return Vocabulary.ids("keep") + generated[-9:]

    shifted = request("keep", n_ctx=30, make_room=make_room)
    (done,) = complete(executor, shifted)
    # 26 fill the context; after that 17 do
    assert told == [26, 43, 60]
    assert (done.text, done.finish_reason) == ("a" * 60, "length")
    again = [index for index, n_rows in enumerate(executor.passes) if n_rows > 1]
    # what begins alike is not read again, and the rest is read in one pass
    assert [executor.passes[index] for index in again] == [4]


def test_room_that_is_made_where_nothing_of_before_is_left() -> None:
    def make_room(generated: list[int]) -> list[int]:
        return Vocabulary.ids("keep") + generated[-9:]

    executor = ScriptedExecutor({"keep": Vocabulary.ids("a" * 40)}, 16, reach=1)
    shifted = request("keep", n_ctx=30, make_room=make_room, max_tokens=30)
    (done,) = complete(executor, shifted)
    assert done.text == "a" * 30
    assert executor.passes[:28] == [4, *[1] * 25, 4 + 9, 1]
    assert done.timings.n_prompt >= 4 + 4 + 8


def test_room_that_is_made_with_other_tokens() -> None:
    prompt, other = "x" * 20, "y" * 10
    executor = ScriptedExecutor(
        {prompt: Vocabulary.ids("a" * 40), other: Vocabulary.ids("ab" + "c" * 9)}
    )
    moved = request(
        prompt, n_ctx=25, make_room=lambda ids: Vocabulary.ids(other + "ab")
    )
    (done,) = complete(executor, moved)
    assert (done.text, done.finish_reason) == ("a" * 5 + "c" * 9, "stop")
    assert executor.passes == [8, 8, 4, 1, 1, 1, 1, 8, 4, *[1] * 9]
    assert done.timings.n_prompt == 20 + 11
    assert done.usage.prompt_tokens == 20
    assert done.timings.n_generated == 4 + 9


def test_an_error_while_room_is_made_ends_the_text() -> None:
    def make_room(generated: list[int]) -> list[int]:
        raise ValueError("no room")

    executor = ScriptedExecutor({"say": Vocabulary.ids("hello")})
    with pytest.raises(ValueError, match="no room"):
        complete(executor, request("say", n_ctx=5, make_room=make_room))
    assert executor.n_open == 0


def test_tokens_may_be_written_in_another_way() -> None:
    executor = ScriptedExecutor({"say": [*Vocabulary.ids("a"), 298, 1 + ord("b")]})
    written = {298: b"<b>", 1 + ord("b"): b"B"}
    (done,) = complete(executor, request("say", token_bytes_override=written))
    assert done.text == "a<b>B"


def test_a_long_prompt_is_read_in_batches() -> None:
    prompt = "x" * 21
    executor = ScriptedExecutor({prompt: Vocabulary.ids("ok")}, n_batch=8)
    (done,) = complete(executor, request(prompt))
    assert done.text == "ok"
    assert executor.passes == [8, 8, 5, 1, 1]
    assert done.timings.n_prompt == 21
    assert done.timings.prompt_tokens_per_second > 0


def test_characters_are_never_cut() -> None:
    text = "aé€😀z"
    executor = ScriptedExecutor({"say": Vocabulary.ids(text)})
    stream = Stream(Worker(executor, 0), request("say"))
    pieces = list(stream)
    assert [piece.text for piece in pieces] == list(text)
    assert [len(piece.tokens) for piece in pieces] == [1, 2, 3, 4, 1]
    assert stream.completion.text == text


def test_bytes_that_are_no_character_are_replaced() -> None:
    half = Vocabulary.ids("é")[:1]
    executor = ScriptedExecutor({"a": [*half, *Vocabulary.ids("b")], "b": half})
    texts = [done.text for done in complete(executor, request("a"), request("b"))]
    assert texts == ["\ufffdb", "\ufffd"]


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("\n\n", "one\ntwo"),
        (["xyz", "two"], "one\n"),
        ("o", ""),
        ("e\nt", "on"),
        ("four", "one\ntwo\n\nthree"),
        ("ee!", "one\ntwo\n\nthree"),
        ("\n\nthree", "one\ntwo"),
    ],
)
def test_stop_strings_end_a_text_and_do_not_leak(
    stop: str | list[str], text: str
) -> None:
    executor = ScriptedExecutor({"say": Vocabulary.ids("one\ntwo\n\nthree")})
    stream = Stream(Worker(executor, 0), request("say", stop=stop))
    assert "".join(piece.text for piece in stream) == text
    assert stream.completion.text == text
    assert stream.completion.finish_reason == "stop"
    assert executor.n_open == 0


def test_a_stop_string_within_one_token() -> None:
    vocabulary = Vocabulary({260: b"left STOP right"})
    executor = ScriptedExecutor({"say": [*Vocabulary.ids("so "), 260, 50]})
    (done,) = complete(executor, request("say", vocabulary, stop="STOP"))
    assert (done.text, done.finish_reason) == ("so left ", "stop")


def test_a_stop_string_and_max_tokens_at_once_is_a_stop() -> None:
    executor = ScriptedExecutor(
        {"say": [*Vocabulary.ids("ab!"), Vocabulary.ids("é")[0]]}
    )
    (done,) = complete(executor, request("say", max_tokens=3, stop="!"))
    assert (done.text, done.finish_reason) == ("ab", "stop")


def test_control_tokens_and_ids_past_the_vocabulary_have_no_text() -> None:
    executor = ScriptedExecutor({"say": [*Vocabulary.ids("a"), 270, N_VOCAB - 1, 99]})
    (done,) = complete(executor, request("say"))
    assert done.text == "ab"
    assert len(done.tokens) == 4


def test_without_a_tokenizer_there_are_tokens_but_no_text() -> None:
    executor = ScriptedExecutor({"say": [65, 66]})
    params = SamplingParams(temperature=0, max_tokens=2)
    context = Context(Vocabulary.ids("say"), 100)
    one = Request(Complete(context, params, None))
    stream = Stream(Worker(executor, 0), one)
    assert [piece.tokens for piece in stream] == [[65], [66]]
    assert stream.completion.text == ""


def test_a_token_cancels() -> None:
    token = threading.Event()
    executor = ScriptedExecutor({"say": Vocabulary.ids("endless " * 1000)})

    def stop_after_nine(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> None:
        if len(ids) == 3 + 9:
            token.set()

    params = SamplingParams(temperature=0, logits_processors=stop_after_nine)
    one = request("say", n_ctx=10**5, params=params, cancel=token)
    worker = Worker(executor, 0)
    gather(worker, [one])
    assert completion(one).text == "endless en"
    assert completion(one).finish_reason == "cancelled"
    late = request("say", n_ctx=10**5, params=params, cancel=token)
    gather(worker, [late])
    assert (completion(late).tokens, late.n_read) == ([], 0)
    assert executor.n_open == 0


def test_likelihoods_of_chosen_and_likeliest_tokens() -> None:
    executor = ScriptedExecutor({"say": Vocabulary.ids("yes")})
    (done,) = complete(executor, request("say", logprobs=2, prompt_logprobs=1))
    # rows are one-hot: e against 1 for all the others
    likely = 1 - np.log(np.e + N_VOCAB - 1)
    assert done.logprobs is not None
    assert [one.token for one in done.logprobs] == done.tokens
    for one in done.logprobs:
        assert one.logprob == pytest.approx(likely)
        assert one.top[0] == (one.token, one.logprob)
        assert len(one.top) == 2
    assert done.prompt_logprobs is not None
    first, *others = done.prompt_logprobs
    assert first is None
    assert [one and one.token for one in others] == Vocabulary.ids("ay")
    for other in others:  # before the prompt is whole, the script wants an end
        assert other is not None
        assert [token for token, _ in other.top] == [EOG]
        assert other.logprob == pytest.approx(likely - 1)


def test_a_prompt_can_be_scored_alone() -> None:
    executor = ScriptedExecutor({})
    (done,) = complete(executor, request("score", max_tokens=0, prompt_logprobs=0))
    assert sum(executor.passes) == 4
    assert done.tokens == []
    assert done.prompt_logprobs is not None
    assert len(done.prompt_logprobs) == 5
    (done,) = complete(executor, request("s", max_tokens=0, prompt_logprobs=0))
    assert done.prompt_logprobs == [None]


def test_samples_of_one_seed_differ() -> None:
    params = SamplingParams(seed=5, temperature=5.0, top_k=0, top_p=1, min_p=0)

    def sample(offset: int) -> list[int]:
        context = Context(Vocabulary.ids("x"), 20)
        one = Request(Complete(context, params, None, seed_offset=offset))
        gather(Worker(ScriptedExecutor({}), 0), [one])
        return one.goal.output.tokens

    assert sample(0) == sample(0)
    assert sample(0) != sample(1)
