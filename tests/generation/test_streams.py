"""Streams, for threads and for coroutines: taken slowly, closed early, forgotten."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter

import pytest
from scripted import ScriptedExecutor, Vocabulary, request
from waiting import wait_until

from llamacy.generation.gather import gather_async
from llamacy.generation.mailbox import RUN_AHEAD
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.generation.worker import Worker

LONG = "abcdefghij" * 50


@pytest.fixture
def executor() -> ScriptedExecutor:
    return ScriptedExecutor(
        {"say": Vocabulary.ids("hello"), "go": Vocabulary.ids(LONG)}
    )


def test_a_stream_runs_a_few_pieces_ahead(executor: ScriptedExecutor) -> None:
    stream = Stream(Worker(executor, 0), request("go"))
    wait_until(lambda: len(executor.passes) > 2)
    time.sleep(0.05)
    n_passes = len(executor.passes)
    assert n_passes <= RUN_AHEAD
    assert next(stream).text == "a"
    wait_until(lambda: len(executor.passes) > n_passes)
    assert "a" + "".join(piece.text for piece in stream) == LONG


def test_closing_a_stream_frees_its_sequence_at_once(
    executor: ScriptedExecutor,
) -> None:
    worker = Worker(executor, 0)
    stream = Stream(worker, request("go"))
    assert next(stream).text == "a"
    assert executor.n_open == 1
    stream.close()
    assert executor.n_open == 0
    assert list(stream) == []
    assert stream.completion.finish_reason == "cancelled"
    assert stream.completion.text == "a"
    assert stream.completion.usage.completion_tokens == 1
    stream.close()

    with Stream(worker, request("go")) as stream:
        next(stream)
    assert executor.n_open == 0

    stream = Stream(worker, request("go"))
    next(stream)
    del stream
    gc.collect()
    wait_until(lambda: executor.n_open == 0)


def test_a_stream_that_another_thread_closes_ends(executor: ScriptedExecutor) -> None:
    executor.script[tuple(Vocabulary.ids("go"))] = [299] * 10**6  # no text
    stream = Stream(Worker(executor, 0), request("go", n_ctx=10**7))
    timer = threading.Timer(0.05, stream.close)
    timer.start()
    assert list(stream) == []
    timer.join()
    assert executor.n_open == 0


def test_a_coroutine_takes_pieces_while_others_run(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def take() -> str:
        ticking = asyncio.create_task(tick())
        async with AsyncStream(worker, lambda: [request("go")]) as stream:
            text = "".join([piece.text async for piece in stream])
        ticking.cancel()
        assert stream.completion.text == text
        assert stream.completion.finish_reason == "stop"
        return text

    async def both() -> list[str]:
        return list(await asyncio.gather(take(), take()))

    assert asyncio.run(both()) == [LONG, LONG]
    assert ticks > 50
    assert executor.n_open == 0


def test_closing_an_async_stream_frees_its_sequence(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0)

    async def take() -> None:
        async with AsyncStream(worker, lambda: [request("go")]) as stream:
            assert stream.completion.text == ""
            assert (await anext(stream)).text == "a"
        assert executor.n_open == 0
        assert stream.completion.text == "a"
        assert [piece async for piece in stream] == []

    asyncio.run(take())


def test_tasks_share_an_async_stream(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0)

    async def take(stream: AsyncStream) -> list[str]:
        return [piece.text async for piece in stream]

    async def main() -> None:
        stream = AsyncStream(worker, lambda: [request("go")])
        texts = await asyncio.gather(take(stream), take(stream))
        assert Counter("".join(map("".join, texts))) == Counter(LONG)
        assert stream.completion.text == LONG

    asyncio.run(asyncio.wait_for(main(), 10))
    assert len(executor.sequences) == 1


def test_another_task_may_close_an_async_stream(executor: ScriptedExecutor) -> None:
    executor.script[tuple(Vocabulary.ids("go"))] = [50] * 10**6
    worker = Worker(executor, 0)

    async def take(stream: AsyncStream) -> int:
        return len([piece async for piece in stream])

    async def main() -> None:
        for _ in range(50):
            stream = AsyncStream(worker, lambda: [request("go", n_ctx=10**7)])
            takers = [asyncio.create_task(take(stream)) for _ in range(3)]
            await asyncio.sleep(0.002)
            await stream.aclose()
            n_taken = sum(await asyncio.gather(*takers))
            assert n_taken == len(stream.completion.tokens)

    asyncio.run(asyncio.wait_for(main(), 20))
    wait_until(lambda: executor.n_open == 0)


def test_cancelling_a_task_ends_its_text(executor: ScriptedExecutor) -> None:
    executor.script[tuple(Vocabulary.ids("go"))] = [50] * 10**6
    worker = Worker(executor, 0)
    one = request("go", n_ctx=10**7)

    async def cancel() -> None:
        task = asyncio.create_task(gather_async(worker, [one]))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    wait_until(lambda: one.is_settled)
    assert executor.n_open == 0


def test_errors_come_to_the_coroutine(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0)

    def refuse(ids: object, logits: object) -> None:
        raise KeyError("mine")

    async def take() -> None:
        bad = request("say", logits_processors=refuse)
        with pytest.raises(KeyError, match="mine"):
            await gather_async(worker, [bad])
        stream = AsyncStream(worker, lambda: [request("say", logits_processors=refuse)])
        with pytest.raises(KeyError, match="mine"):
            await anext(stream)

    asyncio.run(take())
