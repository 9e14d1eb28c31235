"""Decoding against an executor that is told what to say: no arithmetic here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llamacy.errors import ContextLengthError
from llamacy.generation import MAX_TOGETHER, Request, Stream, Text, decode
from llamacy.ops.batch import Batch
from llamacy.results import Completion
from llamacy.sampling import SamplingParams

EOG = 0
N_VOCAB = 300


class Vocabulary:
    """Token 1 + b is the byte b; 257 and on are the words given."""

    n_vocab = N_VOCAB - 1  # one less than the model has, as padded models do
    eog_ids = frozenset([EOG])

    def __init__(self, words: Mapping[int, bytes] | None = None) -> None:
        self.words = dict(words or {})

    def token_bytes(self, token: int) -> bytes:
        assert token < self.n_vocab
        return self.words.get(token, bytes([token - 1]) if 1 <= token <= 256 else b"")

    @staticmethod
    def ids(text: str) -> list[int]:
        return [1 + byte for byte in text.encode()]


class FakeSequence:
    def __init__(self, owner: FakeExecutor) -> None:
        self.owner, self.held, self.closed = owner, list[int](), False

    @property
    def n_past(self) -> int:
        return len(self.held)

    def fork(self) -> FakeSequence:
        raise NotImplementedError

    def truncate(self, n: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


class FakeExecutor:
    """After the prompt of `script`'s key comes its value, token by token."""

    def __init__(self, script: Mapping[str, list[int]], n_batch: int = 8) -> None:
        self.script = {tuple(Vocabulary.ids(key)): ids for key, ids in script.items()}
        self.n_batch = n_batch
        self.sequences: list[FakeSequence] = []
        self.passes: list[int] = []

    def new_sequence(self) -> FakeSequence:
        assert sum(not one.closed for one in self.sequences) < MAX_TOGETHER
        self.sequences.append(FakeSequence(self))
        return self.sequences[-1]

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        assert 0 < len(batch.tokens) <= self.n_batch
        self.passes.append(len(batch.tokens))
        after: list[int] = []
        for token, position, sequence in zip(
            batch.tokens, batch.positions, batch.sequences, strict=True
        ):
            assert isinstance(sequence, FakeSequence)
            assert not sequence.closed
            assert position == len(sequence.held)
            sequence.held.append(int(token))
            after.append(self._next(sequence.held))
        rows: NDArray[np.float32] = np.eye(N_VOCAB, dtype=np.float32)
        logits: NDArray[np.float32] = rows[np.array(after)[batch.wanted]]
        return logits

    def _next(self, held: list[int]) -> int:
        for prompt, answer in self.script.items():
            if tuple(held[: len(prompt)]) == prompt:
                return [*answer, EOG][min(len(held) - len(prompt), len(answer))]
        return EOG


def request(
    prompt: str,
    vocabulary: Vocabulary | None = None,
    n_ctx: int = 100,
    **options: object,
) -> Request:
    params = SamplingParams(temperature=0, **options)  # type: ignore[arg-type]
    return Request(Vocabulary.ids(prompt), params, n_ctx, vocabulary or Vocabulary())  # type: ignore[arg-type]


def complete(executor: FakeExecutor, *requests: Request) -> list[Completion]:
    for _ in decode(executor, requests):
        pass
    assert all(sequence.closed for sequence in executor.sequences)
    return [one.completion() for one in requests]


def test_a_text_ends_at_the_end_of_text_token() -> None:
    executor = FakeExecutor({"say": Vocabulary.ids("hello")})
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
    executor = FakeExecutor({"say": Vocabulary.ids("hello")})
    (done,) = complete(executor, request("say", max_tokens=max_tokens))
    assert done.text == "hello"[:max_tokens]
    assert done.finish_reason == "length"
    # The last token is never read: nobody wants to know what follows it.
    assert sum(executor.passes) == (3 + max_tokens - 1 if max_tokens else 0)


def test_the_context_ends_a_text_and_refuses_a_longer_prompt() -> None:
    executor = FakeExecutor({"say": Vocabulary.ids("hello")})
    (done,) = complete(executor, request("say", n_ctx=5))
    assert (done.text, done.finish_reason) == ("he", "length")
    (done,) = complete(executor, request("say", n_ctx=3))
    assert (done.text, done.finish_reason) == ("", "length")
    with pytest.raises(ContextLengthError) as info:
        request("say", n_ctx=2)
    assert (info.value.n_tokens, info.value.n_ctx) == (3, 2)


def test_a_long_prompt_is_read_in_batches() -> None:
    prompt = "x" * 21
    executor = FakeExecutor({prompt: Vocabulary.ids("ok")}, n_batch=8)
    (done,) = complete(executor, request(prompt))
    assert done.text == "ok"
    assert executor.passes == [8, 8, 5, 1, 1]
    assert done.timings.n_prompt == 21
    assert done.timings.prompt_tokens_per_second > 0


def test_characters_are_never_cut() -> None:
    text = "aé€😀z"
    executor = FakeExecutor({"say": Vocabulary.ids(text)})
    stream = Stream(executor, request("say"))
    pieces = list(stream)
    assert [piece.text for piece in pieces] == list(text)
    assert [len(piece.tokens) for piece in pieces] == [1, 2, 3, 4, 1]
    assert stream.completion.text == text


def test_bytes_that_are_no_character_are_replaced() -> None:
    half = Vocabulary.ids("é")[:1]
    executor = FakeExecutor({"a": [*half, *Vocabulary.ids("b")], "b": half})
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
    executor = FakeExecutor({"say": Vocabulary.ids("one\ntwo\n\nthree")})
    stream = Stream(executor, request("say", stop=stop))
    assert "".join(piece.text for piece in stream) == text
    assert stream.completion.text == text
    assert stream.completion.finish_reason == "stop"
    assert executor.sequences[0].closed


def test_a_stop_string_within_one_token() -> None:
    vocabulary = Vocabulary({260: b"left STOP right"})
    executor = FakeExecutor({"say": [*Vocabulary.ids("so "), 260, 50]})
    (done,) = complete(executor, request("say", vocabulary, stop="STOP"))
    assert (done.text, done.finish_reason) == ("so left ", "stop")


def test_a_stop_string_and_max_tokens_at_once_is_a_stop() -> None:
    executor = FakeExecutor({"say": [*Vocabulary.ids("ab!"), Vocabulary.ids("é")[0]]})
    (done,) = complete(executor, request("say", max_tokens=3, stop="!"))
    assert (done.text, done.finish_reason) == ("ab", "stop")


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab€", max_size=30),
    st.lists(st.text("ab€", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 90), max_size=12),
)
def test_where_tokens_are_cut_does_not_matter(
    text: str, stop: list[str], cuts: list[int]
) -> None:
    data = text.encode()
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assembled = Text(stop)
    shown = [
        assembled.push(data[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    result = "".join([*shown, assembled.flush()])
    ends = [(text.find(one) + len(one), text.find(one)) for one in stop if one in text]
    assert result == (text[: min(ends)[1]] if ends else text)
    assert assembled.stopped == bool(ends)
    assert not any(one in result for one in stop)


def test_control_tokens_and_ids_past_the_vocabulary_have_no_text() -> None:
    executor = FakeExecutor({"say": [*Vocabulary.ids("a"), 270, N_VOCAB - 1, 99]})
    (done,) = complete(executor, request("say"))
    assert done.text == "ab"
    assert len(done.tokens) == 4


def test_without_a_tokenizer_there_are_tokens_but_no_text() -> None:
    executor = FakeExecutor({"say": [65, 66]})
    params = SamplingParams(temperature=0, max_tokens=2)
    stream = Stream(executor, Request(Vocabulary.ids("say"), params, 100, None))
    assert [piece.tokens for piece in stream] == [[65], [66]]
    assert stream.completion.text == ""


def test_prompts_are_decoded_together_as_alone() -> None:
    script = {
        f"{number:02}{'?' * (number % 7)}": Vocabulary.ids(
            f"answer {number}" * (number % 3)
        )
        for number in range(2 * MAX_TOGETHER + 3)
    }
    alone = [complete(FakeExecutor(script), request(prompt))[0] for prompt in script]
    executor = FakeExecutor(script, n_batch=32)
    together = complete(executor, *map(request, script))
    assert [done.text for done in together] == [done.text for done in alone]
    assert [done.tokens for done in together] == [done.tokens for done in alone]
    assert len(executor.passes) < sum(len(done.tokens) for done in alone) / 4
    assert max(executor.passes) > 16


def test_no_more_prompts_at_once_than_rows() -> None:
    executor = FakeExecutor({"a": Vocabulary.ids("xyz")}, n_batch=2)
    assert [done.text for done in complete(executor, *[request("a")] * 1)] == ["xyz"]
    done = complete(executor, *(request("a") for _ in range(5)))
    assert [one.text for one in done] == ["xyz"] * 5


def test_closing_a_stream_frees_its_sequence_at_once() -> None:
    executor = FakeExecutor({"say": Vocabulary.ids("hello")})
    stream = Stream(executor, request("say"))
    assert not executor.sequences
    assert next(stream).text == "h"
    assert not executor.sequences[0].closed
    stream.close()
    assert executor.sequences[0].closed
    assert list(stream) == []
    assert stream.completion.finish_reason == "cancelled"
    assert stream.completion.text == "h"

    with Stream(executor, request("say")) as stream:
        next(stream)
    assert executor.sequences[1].closed

    stream = Stream(executor, request("say"))
    next(stream)
    del stream
    assert executor.sequences[2].closed


def test_a_failing_pass_frees_all_sequences() -> None:
    class Failing(FakeExecutor):
        def forward(self, batch: Batch) -> NDArray[np.float32]:
            if len(self.passes) == 2:
                raise MemoryError("no more pages")
            return super().forward(batch)

    executor = Failing({"a": Vocabulary.ids("xyz"), "b": Vocabulary.ids("xyz")})
    with pytest.raises(MemoryError):
        complete(executor, request("a"), request("b"))
    assert len(executor.sequences) == 2
    assert all(sequence.closed for sequence in executor.sequences)
