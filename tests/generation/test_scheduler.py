"""Requests that run together: places, shared passes and prefixes, and their ends."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import OutOfMemoryError
from llamacy.generation.completions import completion
from llamacy.generation.context import Context
from llamacy.generation.gather import gather
from llamacy.generation.goals.read import Read
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.parts import MAX_READ_BESIDE
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.reading import Reading
from llamacy.generation.request import AnyRequest, Leftover, Request
from llamacy.generation.scheduler import N_ACTIVE, Scheduler
from llamacy.generation.stages import Stage
from llamacy.generation.streams import Stream
from llamacy.generation.worker import Worker
from llamacy.ops.batch import Batch, GoOn
from llamacy.ops.rope import LongTexts
from tests.support.scripted import (
    ScriptedExecutor,
    ScriptedSequence,
    Vocabulary,
    add,
    complete,
    request,
)


def test_prompts_are_decoded_together_as_alone() -> None:
    script = {
        f"{number:02}{'?' * (number % 7)}": Vocabulary.ids(
            f"answer {number}" * (number % 3)
        )
        for number in range(2 * N_ACTIVE + 3)
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
            self,
            batch: Batch,
            logits: NDArray[np.float32] | None = None,
            go_on: GoOn | None = None,
        ) -> NDArray[np.float32]:
            if len(self.passes) == 2:
                raise MemoryError("no more pages")
            return super().forward(batch, logits, go_on)

    executor = Failing({"a": Vocabulary.ids("xyz"), "b": Vocabulary.ids("xyz")})
    with pytest.raises(MemoryError):
        complete(executor, request("a"), request("b"))
    assert len(executor.sequences) == 2
    assert all(sequence.closed for sequence in executor.sequences)


def test_a_request_that_cannot_be_given_a_place_ends() -> None:
    class Failing(ScriptedSequence):
        def truncate(self, n: int) -> None:
            raise MemoryError("no more pages")

    executor = ScriptedExecutor({"ab": Vocabulary.ids("xyz")})
    sequence = Failing(executor)
    sequence.held, sequence.n_long = Vocabulary.ids("a"), 1  # to be read again
    long_texts = LongTexts(1000)
    one = Request(
        Read(Context(Vocabulary.ids("ab"), 50, sequence, Reading(), long_texts))
    )
    worker = Worker(executor, 0)
    with pytest.raises(MemoryError):
        gather(worker, [one])
    assert complete(executor, request("ab"))[0].text == "xyz"
    worker.close()


def test_what_prompts_have_in_common_is_read_once() -> None:
    prompt = "x" * 100
    executor = ScriptedExecutor({prompt: Vocabulary.ids("answer")}, n_batch=64)
    done = complete(executor, *(request(prompt) for _ in range(32)))
    assert {one.text for one in done} == {"answer"}
    n_read = sum(one.timings.n_prompt for one in done)
    assert n_read == 100 + 31  # each but the first reads the last token again
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
    worker = Worker(executor, cache_bytes=8)
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
    script = {f"{i:02}": Vocabulary.ids(f"{i:02}" * 3) for i in range(3 * N_ACTIVE)}
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
            self,
            batch: Batch,
            logits: NDArray[np.float32] | None = None,
            go_on: GoOn | None = None,
        ) -> NDArray[np.float32]:
            if self.n_open > 1:
                raise OutOfMemoryError("no more pages")
            return super().forward(batch, logits, go_on)

    executor = Short({"a" * 50: Vocabulary.ids("xyz"), "b" * 50: Vocabulary.ids("uvw")})
    worker = Worker(executor, cache_bytes=100)
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


def test_a_cancelled_request_leaves_the_queue_before_it_gets_a_place() -> None:
    executor = ScriptedExecutor({"go": Vocabulary.ids("a" * 50)}, n_batch=1)
    scheduler = Scheduler(executor, PrefixCache(0))
    running, waiting, unwanted = (request("go") for _ in range(3))
    add(scheduler, running, waiting, unwanted)
    scheduler.step()
    unwanted.withdraw()
    scheduler.step()
    assert unwanted.is_settled
    assert running.stage is Stage.GROWING
    assert waiting.stage is Stage.WAITING


def test_a_parked_prompt_holds_nobody_up_that_begins_alike() -> None:
    prompt = "x" * 200
    executor = ScriptedExecutor({prompt: Vocabulary.ids("ok")}, n_batch=8)
    scheduler = Scheduler(executor, PrefixCache(0))
    slow = request(prompt)
    mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox(n_ahead=5)
    slow.submit(mailbox)
    scheduler.add([slow])
    while not mailbox.is_full:
        scheduler.step()
    scheduler.step()
    assert slow.stage is Stage.PARKED
    other = request(prompt)
    add(scheduler, other)
    for _ in range(30):
        scheduler.step()
    assert completion(other).text == "ok"
    assert completion(other).usage.cached_tokens == 5 * 8


def test_a_request_waits_while_another_reads_what_both_begin_with() -> None:
    prompt = "x" * 100
    executor = ScriptedExecutor({prompt: Vocabulary.ids("ok")}, n_batch=30)
    scheduler = Scheduler(executor, PrefixCache(0))
    first, second = request(prompt), request(prompt + "y")
    add(scheduler, first, second)
    stages = []
    for _ in range(4):
        scheduler.step()
        stages.append((first.stage, second.stage))
    assert stages[:2] == [(Stage.READING, Stage.WAITING)] * 2
    assert stages[2] == (Stage.READING, Stage.READING)
    assert executor.passes == [30, 30, 30, 10 + 11]


def test_unfinished_requests_are_those_that_have_or_want_a_place() -> None:
    executor = ScriptedExecutor({"go": Vocabulary.ids("a" * 50)})
    scheduler = Scheduler(executor, PrefixCache(0))
    requests = [request("go", max_tokens=1) for _ in range(N_ACTIVE)]
    assert scheduler.max_active == executor.n_batch == 8
    add(scheduler, *requests)
    assert scheduler.n_unfinished == N_ACTIVE
    while not scheduler.is_idle:
        scheduler.step()
    assert scheduler.n_unfinished == 0
    assert all(one.is_settled for one in requests)


@pytest.mark.parametrize("leftover", Leftover)
def test_the_sequence_is_cached_kept_or_closed(leftover: Leftover) -> None:
    prompt = "x" * 50
    executor, cache = ScriptedExecutor({}), PrefixCache(100)
    scheduler = Scheduler(executor, cache)
    one = Request(Read(Context(Vocabulary.ids(prompt), 100)), leftover=leftover)
    add(scheduler, one)
    while not scheduler.is_idle:
        scheduler.step()
    sequence = executor.sequences[0]
    found, _ = cache.find(Vocabulary.ids(prompt))
    assert found is (sequence if leftover is Leftover.CACHED else None)
    assert sequence.closed is (leftover is Leftover.CLOSED)
