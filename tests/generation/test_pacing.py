"""Long prompts among texts of others: who is read when, by a clock that costs tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.generation import scheduler as scheduling
from llamacy.generation.completions import completion
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.pacing import ALONE, BESIDE_SECONDS, LONG, MOST_SKIPPED
from llamacy.generation.parts import MAX_READ_BESIDE
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.scheduler import Scheduler
from llamacy.ops.batch import Batch, GoOn
from tests.support.scripted import ScriptedExecutor, Vocabulary, add, request

PROMPT = "p" * 4000
ANSWERS = {
    **{f"text {i}": Vocabulary.ids("z" * 5000) for i in range(3)},
    PROMPT: Vocabulary.ids("ok"),
}


class Timed(ScriptedExecutor):
    """Passes take 5 ms, and another for each row."""

    seconds = 0.0

    @staticmethod
    def cost(n_rows: int) -> float:
        return (5 + n_rows) / 1000

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        go_on: GoOn | None = None,
    ) -> NDArray[np.float32]:
        self.seconds += self.cost(len(batch.tokens))
        return super().forward(batch, logits, go_on)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Timed:
    timed = Timed(ANSWERS, n_batch=512)
    monkeypatch.setattr(scheduling, "perf_counter", lambda: timed.seconds)
    return timed


def test_texts_keep_half_of_their_speed_while_a_long_prompt_is_read(
    executor: Timed,
) -> None:
    texts = [request(f"text {i}", n_ctx=9000, max_tokens=5000) for i in range(3)]
    long = request(PROMPT, n_ctx=9000)
    scheduler = Scheduler(executor, PrefixCache(0))
    add(scheduler, *texts)
    scheduler.step()
    add(scheduler, long)
    began, n_before = executor.seconds, texts[0].goal.n_chosen
    while not long.is_settled:
        scheduler.step()
    seconds = executor.seconds - began
    assert not any(one.has_ended for one in texts)
    alone = (texts[0].goal.n_chosen - n_before) * executor.cost(3)
    assert 0.49 < alone / seconds < 0.6
    assert completion(long).text == "ok"
    assert max(executor.passes) == MAX_READ_BESIDE + 3


class Slowing(ScriptedExecutor):
    """Tokens of a prompt take the longer, the more were read before.

    Attributes
    ----------
    taken : list of float
        The seconds of each pass.
    """

    def __init__(self) -> None:
        super().__init__(ANSWERS, n_batch=512)
        self.taken: list[float] = []
        self._n_read = 0

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        go_on: GoOn | None = None,
    ) -> NDArray[np.float32]:
        n_prompt = len(batch.tokens) - len(set(batch.sequences))
        self._n_read += n_prompt
        self.taken.append(0.1 + n_prompt * self._n_read * 5e-6)
        return super().forward(batch, logits, go_on)


def test_a_prompt_that_becomes_slower_leaves_texts_their_time_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = Slowing()
    monkeypatch.setattr(scheduling, "perf_counter", lambda: sum(executor.taken))
    options: dict[str, Any] = {"max_tokens": 5000, "drafting": False}
    texts = [request(f"text {i}", n_ctx=9000, **options) for i in range(3)]
    long = request(PROMPT, n_ctx=9000)
    scheduler = Scheduler(executor, PrefixCache(0))
    add(scheduler, *texts)
    scheduler.step()
    add(scheduler, long)
    while not long.is_settled:
        scheduler.step()
    taken, reads = np.array(executor.taken), np.array(executor.passes) > 4
    assert max(taken) < 2 * BESIDE_SECONDS
    first = executor.passes.index(MAX_READ_BESIDE + len(texts))
    *_, tenth_last, _, _, _, _, _, _, _, _, last = np.flatnonzero(reads)
    for some in (slice(first, last), slice(tenth_last, last)):
        alone, beside = taken[some][~reads[some]], taken[some][reads[some]]
        assert sum(alone) >= ALONE * sum(beside)
    assert completion(long).text == "ok"


def test_a_prompt_is_read_at_full_speed_beside_texts_of_its_own_call(
    executor: Timed,
) -> None:
    text, long = (
        request("text 0", n_ctx=9000, max_tokens=5000),
        request(PROMPT, n_ctx=9000),
    )
    scheduler = Scheduler(executor, PrefixCache(0))
    mailbox = ThreadMailbox()  # type: ignore[var-annotated]
    for one in (text, long):
        one.submit(mailbox)
    scheduler.add([text, long])
    while not long.is_settled:
        scheduler.step()
    assert len(executor.passes) < len(PROMPT) / MAX_READ_BESIDE + 5


def test_short_prompts_come_before_a_long_one_which_is_read_all_the_same(
    executor: Timed,
) -> None:
    long = request(PROMPT, n_ctx=9000)
    scheduler = Scheduler(executor, PrefixCache(0))
    add(scheduler, long)
    scheduler.step()
    n_read = [long.n_read]
    for i in range(20):  # more of them than there is room for
        short = [request(f"{i} {j}" + "s" * (LONG - 9), max_tokens=1) for j in "abc"]
        add(scheduler, *short)
        scheduler.step()
        n_read.append(long.n_read)
        if i == 0:
            assert short[0].is_settled
    grown = np.diff(n_read) > 0
    assert not grown[:MOST_SKIPPED].any()
    assert grown[MOST_SKIPPED :: MOST_SKIPPED + 1].all()
    while not long.is_settled:
        scheduler.step()
    assert completion(long).text == "ok"
