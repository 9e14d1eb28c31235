"""Sessions: texts that grow, fork, go back, and end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.model.model import Model
from llamacy.ops.plan.plan import Plan
from tests.support.interrupts import Interrupt, needs_timers

PROMPT = "Once upon a time"
GREEDY: dict[str, Any] = {"temperature": 0}


@pytest.fixture(scope="module")
def path(shared: Path) -> Path:
    return shared / "models/stories260K-F32.gguf"


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[Model]:
    with llamacy.load(path, prompt_cache=0) as model:
        yield model


@pytest.fixture(scope="module")
def whole(model: Model) -> list[int]:
    """The token ids of the prompt and 60 tokens after it."""
    out = model.generate(PROMPT, max_tokens=60, **GREEDY)
    return [*model.tokenize(PROMPT), *out.tokens]


def n_pages(model: Model) -> int:
    assert isinstance(model.executor, Plan)
    return model.executor.n_pages_used


def test_a_text_generated_in_steps_is_the_one_generated_at_once(
    model: Model, whole: list[int]
) -> None:
    with model.session() as session:
        session.feed("Once upon")
        session.feed(" a time")
        assert session.text == PROMPT
        out = session.generate(max_tokens=10, **GREEDY)
        assert out.usage.cached_tokens == 4  # the last token is read again
        out = session.generate(max_tokens=20, **GREEDY)
        assert (out.usage.prompt_tokens, out.usage.completion_tokens) == (15, 20)
        with session.stream(max_tokens=30, **GREEDY) as stream:
            tokens = [token for piece in stream for token in piece.tokens]
        assert tokens == whole[35:]
        assert session.tokens == whole
        assert session.n_past == len(whole)
        assert "65 tokens" in repr(session)
    assert n_pages(model) == 0
    assert "closed" in repr(session)


def test_a_fork_is_independent_of_its_original(model: Model, whole: list[int]) -> None:
    with model.session() as session:
        session.feed(PROMPT)
        session.generate(max_tokens=30, **GREEDY)
        with session.fork() as twin:
            twin.generate(" But", max_tokens=10, **GREEDY)
            session.generate(max_tokens=30, **GREEDY)
            assert session.tokens == whole
            assert twin.tokens[:35] == whole[:35]
            assert twin.tokens[35:] != whole[35 : twin.n_past]
    assert n_pages(model) == 0


def test_a_session_can_be_rewound_and_continued(model: Model, whole: list[int]) -> None:
    with model.session() as session:
        session.generate(whole, max_tokens=5, **GREEDY)
        session.rewind(50)
        assert session.tokens == whole[:20]
        session.generate(max_tokens=45, **GREEDY)
        assert session.tokens == whole
        session.rewind(len(whole))
        assert session.tokens == []
        for n in (1, -1, 0.0, "1", None):
            with pytest.raises(llamacy.ArgumentError, match="^n_tokens: wanted"):
                session.rewind(n)  # type: ignore[arg-type]
        with pytest.raises(llamacy.ArgumentError, match="at least one token"):
            session.generate()


def test_a_session_forgets_pieces_not_taken_from_a_stream(
    model: Model, whole: list[int]
) -> None:
    with model.session() as session:
        stream = session.stream(PROMPT, **GREEDY)
        taken = [token for _ in range(3) for token in next(stream).tokens]
        with pytest.raises(llamacy.BusyError):
            session.generate()
        with pytest.raises(llamacy.BusyError):
            session.fork()
        stream.close()
        assert session.tokens == whole[: 5 + len(taken)]
        stream = session.stream(**GREEDY)
        next(stream)
        del stream
        session.generate(max_tokens=1, **GREEDY)
        assert session.tokens == whole[: session.n_past]


def test_a_failed_call_leaves_the_session_unchanged(
    model: Model, whole: list[int]
) -> None:
    def refuse(ids: Any, logits: Any) -> None:
        if len(ids) > 12:
            raise KeyError("mine")

    with model.session() as session:
        session.feed(PROMPT)
        for _ in range(2):
            with pytest.raises(KeyError, match="mine"):
                session.generate(" and", logits_processors=refuse)
        with pytest.raises(llamacy.ContextLengthError):
            session.feed([1] * 508)
        with pytest.raises(llamacy.ArgumentError):
            session.feed("")
        with pytest.raises(llamacy.ArgumentError):
            session.generate(temperature=-1)
        session.generate(max_tokens=60, **GREEDY)
        assert session.tokens == whole


def test_a_cancelled_feed_is_read_later(model: Model, whole: list[int]) -> None:
    token = threading.Event()
    token.set()
    with model.session() as session:
        session.feed(PROMPT, cancel=token)
        session.generate(max_tokens=60, **GREEDY)
        assert session.tokens == whole


def test_coroutines_of_a_session_give_the_same_text(
    model: Model, whole: list[int]
) -> None:
    async def run() -> None:
        with model.session() as session:
            await session.agenerate(PROMPT, max_tokens=20, **GREEDY)
            stream = session.astream(max_tokens=40, **GREEDY)
            tokens = [token async for piece in stream for token in piece.tokens]
            assert tokens == whole[25:]
            assert session.tokens == whole
            stream = session.astream(**GREEDY)
            await anext(stream)
            with pytest.raises(llamacy.BusyError):
                await session.agenerate()
            await stream.aclose()
            assert session.n_past > len(whole)

    asyncio.run(run())


def test_a_closed_session_raises_closed_error(path: Path) -> None:
    with llamacy.load(path) as model:
        session = model.session()
        stream = session.stream(PROMPT)
        next(stream)
        session.close()
        session.close()
        assert stream.completion.finish_reason == "cancelled"
        for call in (session.generate, session.fork, lambda: session.feed("x")):
            with pytest.raises(llamacy.ClosedError):
                call()
        left = model.session()
    with pytest.raises(llamacy.ClosedError):
        left.feed(PROMPT)


def test_prompt_logprobs_of_a_session_cover_only_new_tokens(
    model: Model, whole: list[int]
) -> None:
    wanted = model.score(whole).logprobs
    options: Any = {"max_tokens": 0, "prompt_logprobs": 0}
    with model.session() as session:
        for first, end, n_unknown in ((0, 20, 1), (20, 50, 20), (50, 51, 50)):
            out = session.generate(whole[first:end], **options)
            assert out.prompt_logprobs is not None
            found = [one and one.logprob for one in out.prompt_logprobs]
            assert found[:n_unknown] == [None] * n_unknown
            assert found[n_unknown:] == pytest.approx(wanted[n_unknown:end], abs=1e-4)
        assert session.tokens == whole[:51]
        assert session.generate(**options).tokens == []


@needs_timers
def test_ctrl_c_at_any_line_leaves_a_session_free(model: Model) -> None:
    files = ("session.py", "calls.py", "jobs.py")
    n_interrupted = 0
    for at in range(1, 400):
        interrupt = Interrupt(at, files)
        with model.session() as session:
            try:
                with interrupt.raised():
                    session.generate(PROMPT, max_tokens=1, **GREEDY)
            except KeyboardInterrupt:
                n_interrupted += 1
            session.generate(PROMPT, max_tokens=1, **GREEDY)
        if interrupt.is_after_end:
            break
    assert interrupt.is_after_end
    assert n_interrupted > 20
