"""Async streams raise at their start what streams raise when they are made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import llamacy
from llamacy.generation.scheduler import N_ACTIVE
from llamacy.model.model import Model
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with llamacy.load("demo", n_ctx=64, n_threads=1) as model:
        yield model


async def start(stream: Any) -> None:
    await stream.start()


async def enter(stream: Any) -> None:
    async with stream:
        pass


BAD: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "empty prompt": (lambda m: m.stream([]), lambda m: m.astream([])),
    "bad id": (lambda m: m.stream([-1]), lambda m: m.astream([-1])),
    "no prompt": (lambda m: m.stream(None), lambda m: m.astream(None)),
    "too long": (lambda m: m.stream([5] * 65), lambda m: m.astream([5] * 65)),
    "bad token": (
        lambda m: m.stream("a", cancel=5),
        lambda m: m.astream("a", cancel=5),
    ),
    "bad message": (
        lambda m: m.stream_chat([{"role": 1}]),
        lambda m: m.astream_chat([{"role": 1}]),
    ),
    "long message": (
        lambda m: m.stream_chat("word " * 200),
        lambda m: m.astream_chat("word " * 200),
    ),
    "bad session prompt": (
        lambda m: m.session().stream([-1]),
        lambda m: m.session().astream([-1]),
    ),
    "empty session": (
        lambda m: m.session().stream(),
        lambda m: m.session().astream(),
    ),
}


@pytest.mark.parametrize("begin", [start, enter])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_prompt_raises_at_the_start(model: Model, bad: str, begin: Any) -> None:
    make, amake = BAD[bad]
    with pytest.raises(llamacy.LlamacyError) as wanted:
        make(model)
    with pytest.raises(type(wanted.value)) as found:
        asyncio.run(begin(amake(model)))
    assert str(found.value) == str(wanted.value)


@pytest.mark.parametrize("call", ["astream", "astream_chat"])
def test_a_closed_model_raises_at_the_call(call: str) -> None:
    with llamacy.load("demo", n_threads=1) as model:
        pass
    with pytest.raises(llamacy.ClosedError):
        getattr(model, call)("Once")


@pytest.mark.parametrize("begin", [start, enter])
@pytest.mark.parametrize("call", ["astream", "astream_chat"])
def test_a_model_that_is_closed_meanwhile_raises_at_the_start(
    call: str, begin: Any
) -> None:
    with llamacy.load("demo", n_threads=1) as model:
        stream = getattr(model, call)("Once")
    with pytest.raises(llamacy.ClosedError):
        asyncio.run(begin(stream))


def test_a_bad_option_raises_at_the_call(model: Model) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^top_k: wanted"):
        model.astream("Once", top_k="many")  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="^progress: wanted"):
        model.astream("Once", progress=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("begin", [start, enter])
def test_a_full_queue_raises_at_the_start(begin: Any) -> None:
    entered, opened = threading.Event(), threading.Event()

    def wait(ids: object, logits: object) -> None:
        entered.set()
        assert opened.wait(10)

    with (
        llamacy.load("demo", n_threads=1, max_waiting=0) as model,
        ThreadPoolExecutor(1) as pool,
    ):
        busy = pool.submit(
            model.generate, "Once", n=N_ACTIVE, max_tokens=1, logits_processors=wait
        )
        try:
            assert entered.wait(10)
            assert model.engine.load().n_active == N_ACTIVE
            for make in (model.stream, model.stream_chat, model.generate):
                with pytest.raises(llamacy.BusyError, match="at most 0 requests"):
                    make("Once")
            for amake in (model.astream, model.astream_chat):
                with pytest.raises(llamacy.BusyError, match="at most 0 requests"):
                    asyncio.run(begin(amake("Once")))
            with model.session() as session:
                with pytest.raises(llamacy.BusyError, match="at most 0 requests"):
                    session.generate("Once")
                opened.set()
                assert len(busy.result(10)) == N_ACTIVE
                # it was not submitted, so that the session is as it was
                wait_until(lambda: model.engine.load().n_active == 0)
                assert session.n_past == 0
                assert session.generate("Once", max_tokens=2).tokens
        finally:
            opened.set()


def test_a_started_stream_gives_the_text_of_one_that_is_not(model: Model) -> None:
    async def read(stream: AsyncIterator[llamacy.Piece], starts: int) -> str:
        for _ in range(starts):
            await start(stream)
        return "".join([piece.text async for piece in stream])

    async def main() -> list[str]:
        options: Any = {"max_tokens": 8, "temperature": 0}
        return [
            await read(model.astream("Once", **options), starts) for starts in (0, 1, 2)
        ]

    texts = asyncio.run(main())
    assert texts[0]
    assert texts == [texts[0]] * 3


def test_a_closed_stream_does_not_start(model: Model) -> None:
    async def main() -> None:
        stream = model.astream("Once", max_tokens=4)
        await stream.aclose()
        await stream.start()
        assert [piece async for piece in stream] == []
        assert stream.completion.usage.prompt_tokens == 0

    asyncio.run(main())
