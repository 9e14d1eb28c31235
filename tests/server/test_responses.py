"""Responses of JSON."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("llamacy.server", exc_type=ImportError)

from llamacy.results import Completion, Timings, TokenLogprob, Usage
from llamacy.server.responses import MANY, dumped, dumped_in_parts, made

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": [], "b": [1, "ü", None], "c": {"d": [1]}, 'e"': 1.5},
        [{"a": [1]}],
        "x",
        None,
        {"half": ["\ud800"]},
    ],
)
def test_parts_are_the_whole(value: object) -> None:
    assert dumped_in_parts(value) == dumped(value)


def test_large_responses_are_made_on_another_thread() -> None:
    def completion(n_tokens: int) -> Completion:
        likely = [TokenLogprob(1, -1.0, ((1, -1.0),))] * n_tokens
        usage, timings = Usage(1, 1, 0), Timings(1, 1.0, 1, 1.0, 1.0)
        return Completion("", [], "stop", usage, timings, likely)

    async def main() -> list[bool]:
        texts = [completion(3), completion(MANY)]
        threads = [await made(threading.current_thread, [text]) for text in texts]
        return [thread is threading.main_thread() for thread in threads]

    assert asyncio.run(main()) == [True, False]
