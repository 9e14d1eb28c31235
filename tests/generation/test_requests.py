"""Requests, from prompt to completion, alone and together."""

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
    add,
    complete,
    request,
)

from llamacy.errors import ContextLengthError, OutOfMemoryError
from llamacy.generation.completions import completion
from llamacy.generation.context import Context
from llamacy.generation.gather import gather
from llamacy.generation.goals.complete import Complete
from llamacy.generation.parts import MAX_READ_BESIDE
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.request import Request
from llamacy.generation.scheduler import MAX_ACTIVE, Scheduler
from llamacy.generation.streams import Stream
from llamacy.generation.worker import Worker
from llamacy.ops.batch import Batch
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


def test_prompts_are_decoded_together_as_alone() -> None:
    script = {
        f"{number:02}{'?' * (number % 7)}": Vocabulary.ids(
            f"answer {number}" * (number % 3)
        )
        for number in range(2 * MAX_ACTIVE + 3)
    }
    alone = [
        complete(ScriptedExecutor(script), request(prompt))[0] for prompt in script
    ]
    executor = ScriptedExecutor(script, n_batch=32)
    together = complete(executor, *map(request, script))
    assert [done.text for done in together] == [done.text for done in alone]
    assert [done.tokens for done in together] == [done.tokens for done in alone]
    assert len(executor.passes) < sum(len(done.tokens) for done in alone) / 4
    assert max(executor.passes) > 16


def test_no_more_prompts_at_once_than_rows() -> None:
    executor = ScriptedExecutor({"a": Vocabulary.ids("xyz")}, n_batch=2)
    assert [done.text for done in complete(executor, *[request("a")] * 1)] == ["xyz"]
    done = complete(executor, *(request("a") for _ in range(5)))
    assert [one.text for one in done] == ["xyz"] * 5


def test_a_failing_pass_frees_all_sequences() -> None:
    class Failing(ScriptedExecutor):
        def forward(
            self, batch: Batch, logits: NDArray[np.float32] | None = None
        ) -> NDArray[np.float32]:
            if len(self.passes) == 2:
                raise MemoryError("no more pages")
            return super().forward(batch, logits)

    executor = Failing({"a": Vocabulary.ids("xyz"), "b": Vocabulary.ids("xyz")})
    with pytest.raises(MemoryError):
        complete(executor, request("a"), request("b"))
    assert len(executor.sequences) == 2
    assert all(sequence.closed for sequence in executor.sequences)


def test_what_prompts_have_in_common_is_read_once() -> None:
    prompt = "x" * 100
    executor = ScriptedExecutor({prompt: Vocabulary.ids("answer")}, n_batch=64)
    done = complete(executor, *(request(prompt) for _ in range(40)))
    assert {one.text for one in done} == {"answer"}
    n_read = sum(one.timings.n_prompt for one in done)
    assert n_read == 100 + 39  # each but the first reads the last token again
    assert {one.usage.cached_tokens for one in done} == {0, 99}


def test_prompts_share_what_they_begin_with() -> None:
    script = {"y" * 100 + tail: Vocabulary.ids(tail * 3) for tail in "abcdef"}
    executor = ScriptedExecutor(script, n_batch=50)
    done = complete(executor, *map(request, script))
    assert [one.text for one in done] == [tail * 3 for tail in "abcdef"]
    assert sum(one.timings.n_prompt for one in done) == 101 + 5


def test_a_prompt_does_not_wait_for_what_is_gone() -> None:
    """Of a text that has read on, and cannot go back to what both begin with."""
    common, rest = "x" * 40, "y" * 160
    for reach, n_rows in ((10**9, 1), (64, 41)):
        executor = ScriptedExecutor({}, n_batch=130, reach=reach)
        scheduler = Scheduler(executor, PrefixCache(0))
        long, late = request(common + rest), request(common + "z")
        add(scheduler, long)
        scheduler.step()
        add(scheduler, late)
        scheduler.step()
        assert executor.passes == [130, 70 + n_rows]


def test_a_new_prompt_reads_only_what_is_new() -> None:
    first = "a story of some length, told twice over. "
    script = {first + "It ends. Or?": [1 + ord("!")], first: Vocabulary.ids("It ends.")}
    executor = ScriptedExecutor(script, n_batch=64)
    worker = Worker(executor, n_cache_pages=8)
    once, twice = request(first), request(first + "It ends. Or?")
    gather(worker, [once])
    gather(worker, [twice])
    assert completion(twice).text == "!"
    # the end-of-text token is in the cache's text too, and not in the new prompt
    assert completion(twice).usage.cached_tokens == len(first) + len("It ends.")
    assert completion(twice).timings.n_prompt == len(" Or?")
    worker.close()
    assert executor.n_open == 0


def test_a_text_goes_on_while_a_long_prompt_is_read() -> None:
    script = {"short": Vocabulary.ids("z" * 20), "l" * 900: Vocabulary.ids("ok")}
    executor = ScriptedExecutor(script, n_batch=512)
    short, long = request("short"), request("l" * 900)
    scheduler = Scheduler(executor, PrefixCache(0))
    add(scheduler, short)
    scheduler.step()
    add(scheduler, long)
    while not (short.is_settled and long.is_settled):
        n_before = len(short.goal.output.tokens)
        scheduler.step()
        assert short.is_settled or len(short.goal.output.tokens) == n_before + 1
    assert max(executor.passes[1:8]) == MAX_READ_BESIDE + 1
    assert completion(long).text == "ok"


@pytest.mark.parametrize("n_batch", [3, 64])
def test_more_texts_than_grow_at_once_all_come_to_their_end(n_batch: int) -> None:
    script = {f"{i:02}": Vocabulary.ids(f"{i:02}" * 3) for i in range(3 * MAX_ACTIVE)}
    executor = ScriptedExecutor(script, n_batch=64)
    executor.n_batch = n_batch
    worker = Worker(executor, 0)
    streams = [Stream(worker, request(prompt)) for prompt in script]
    # each is taken a piece of in turn: those not looked at must not hold others up
    texts = ["" for _ in streams]
    for _ in range(6):
        for i, stream in enumerate(streams):
            texts[i] += next(stream).text
    assert texts == [prompt * 3 for prompt in script]
    assert [list(stream) for stream in streams] == [[]] * len(streams)


def test_the_memory_of_past_texts_is_given_up_where_it_is_short() -> None:
    class Short(ScriptedExecutor):
        def forward(
            self, batch: Batch, logits: NDArray[np.float32] | None = None
        ) -> NDArray[np.float32]:
            if self.n_open > 1:
                raise OutOfMemoryError("no more pages")
            return super().forward(batch, logits)

    executor = Short({"a" * 50: Vocabulary.ids("xyz"), "b" * 50: Vocabulary.ids("uvw")})
    worker = Worker(executor, n_cache_pages=100)
    texts = []
    for letter in "ab":
        one = request(letter * 50)
        gather(worker, [one])
        texts.append(completion(one).text)
    assert texts == ["xyz", "uvw"]
    pair = [request("a" * 50), request("b" * 50)]
    with pytest.raises(OutOfMemoryError):
        gather(worker, pair)
    worker.close()
    assert executor.n_open == 0


def test_an_error_of_one_leaves_the_others() -> None:
    def refuse(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> None:
        raise KeyError("my own")

    executor = ScriptedExecutor({"say": Vocabulary.ids("hello")})
    worker = Worker(executor, 0)
    good = Stream(worker, request("say"))
    bad = request("say", logits_processors=refuse)
    with pytest.raises(KeyError, match="my own"):
        gather(worker, [bad])
    assert "".join(piece.text for piece in good) == "hello"
    assert executor.n_open == 0


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


def test_progress_is_told_and_may_end_it() -> None:
    prompt = "p" * 40
    executor = ScriptedExecutor({prompt: Vocabulary.ids("ok")}, n_batch=8)
    worker, shares = Worker(executor, 0), list[float]()
    gather(worker, [request(prompt)], shares.append)
    assert shares == sorted(set(shares))
    assert set(shares) <= {0.2, 0.4, 0.6, 0.8, 1.0}
    assert shares[-1] == 1.0

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    one = request(prompt, max_tokens=900)
    with pytest.raises(KeyboardInterrupt):
        gather(worker, [one], interrupt)
    assert one.is_settled
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
