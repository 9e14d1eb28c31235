"""Which rows go into a pass: how they are shared out, and where their limits are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from llamacy.errors import ModelOutputError
from llamacy.generation.context import Context
from llamacy.generation.drafting.row_costs import RowCosts
from llamacy.generation.goals.logits import Logits
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.parts import (
    LOGITS_BYTES,
    MAX_READ_BESIDE,
    Limits,
    choose_parts,
)
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.rows import Rows
from llamacy.generation.scheduler import N_ACTIVE
from llamacy.generation.stages import Stage
from llamacy.ops.state.layout import TRIED_BYTES
from tests.support.drafted import FreeRows
from tests.support.scripted import ScriptedExecutor, Vocabulary, request

EXECUTOR = ScriptedExecutor({}, n_batch=512)
LIMITS = Limits(n_batch=512, n_decode=16, n_checked=16, n_drafted=15, n_scored=99)


def reading(one: AnyRequest) -> AnyRequest:
    """Make `one` begin to read."""
    one.submit(ThreadMailbox())
    one.start(EXECUTOR.new_sequence())
    return one


def growing(prompt: str) -> AnyRequest:
    """Return a request that has read its prompt and chosen a token."""
    one = reading(request(prompt))
    sequence = EXECUTOR.sequences[-1]
    sequence.held = Vocabulary.ids(prompt)
    one.context.ids.append(50)
    one.stage = Stage.GROWING
    return one


class Hopeful(Logits):
    """Drafts as much as it may, with given chances; notes how many rows it is given."""

    def __init__(self, *chances: float, n_tokens: int = 2) -> None:
        context = Context([1] * n_tokens, 30)
        super().__init__(context, lambda token, logits: None)
        self.n_asked = 0
        self.n_given = 0
        self._chances = chances

    def begin_draft(self, most: int) -> None:
        self.n_asked = most

    def chances(self) -> Sequence[float]:
        return self._chances[: self.n_asked]

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        self.n_given = n_rows
        return super().next_rows(n_rows, n_scored)


@pytest.mark.parametrize(
    ("n_growing", "n_drafted", "wanted"),
    [
        (1, 15, [10]),
        (2, 15, [8, 8]),
        (5, 15, [4, 3, 3, 3, 3]),
        (15, 15, [2, *[1] * 14]),
        (20, 15, [1] * 16),
        (2, 3, [3, 2]),
        (2, 0, [1, 1]),
    ],
)
def test_rows_that_texts_leave_free_are_those_of_the_likeliest_drafts(
    n_growing: int, n_drafted: int, wanted: list[int]
) -> None:
    requests: list[AnyRequest] = []
    goals = []
    for n in range(n_growing):
        goals.append(Hopeful(*(0.9 - 0.1 * at - 0.03 * n for at in range(9))))
        one = reading(Request(goals[-1]))
        one.stage = Stage.GROWING
        requests.append(one)
    limits = replace(LIMITS, n_drafted=n_drafted)
    parts = choose_parts(requests, limits, FreeRows())
    assert len(parts) == min(n_growing, 16)
    assert all(part.is_decode for part in parts)
    assert [goal.n_given for goal in goals[:16]] == wanted
    assert {goal.n_asked for goal in goals} == {min(16 - len(parts), n_drafted)}


def test_a_text_is_drafted_in_the_pass_that_reads_its_forced_tokens() -> None:
    def forced(n_forced: int) -> tuple[AnyRequest, Hopeful]:
        goal = Hopeful(0.9, 0.8, n_tokens=n_forced)
        goal.is_decoding = True
        return reading(Request(goal)), goal

    one, goal = forced(5)
    other = growing("the")
    long, long_goal = forced(20)  # too many to leave room for others
    parts = choose_parts([long, one, other], LIMITS, FreeRows())
    assert [part.request for part in parts] == [other, one, long]
    assert [part.is_decode for part in parts] == [True] * 3
    assert (goal.n_given, goal.n_asked) == (7, 10)
    assert long_goal.n_asked == 0
    # rows before a draft count among those that a state must be kept after
    one, goal = forced(3)
    choose_parts([one], replace(LIMITS, n_drafted=3), FreeRows())
    assert (goal.n_given, goal.n_asked) == (4, 1)


@pytest.mark.parametrize("stage", [Stage.READING, Stage.GROWING])
def test_a_text_whose_rows_fail_ends_alone(stage: Stage) -> None:
    class Broken(Hopeful):
        def next_rows(self, n_rows: int, n_scored: int) -> Rows:
            raise ModelOutputError("broken")

    broken, other = reading(Request(Broken(0.9))), growing("the")
    broken.stage = stage
    parts = choose_parts([broken, other], LIMITS, FreeRows())
    assert [part.request for part in parts] == [other]
    assert broken.has_failed
    with pytest.raises(ModelOutputError, match="broken"):
        broken.raise_error()


def test_prompts_fill_the_pass_in_their_order() -> None:
    requests = [reading(request(letter * 300)) for letter in "abc"]
    parts = choose_parts(requests, LIMITS, RowCosts())
    assert [len(part.rows.tokens) for part in parts] == [300, 212]
    assert [part.rows.wanted for part in parts] == ["last", "none"]
    assert [part.rows.n_wanted for part in parts] == [1, 0]
    assert not any(part.is_decode for part in parts)


def test_beside_a_text_that_grows_less_is_read() -> None:
    requests = [reading(request("a" * 300)), growing("bcd")]
    decode, prefill = choose_parts(requests, LIMITS, RowCosts())
    assert (len(decode.rows.tokens), decode.is_decode) == (1, True)
    assert len(prefill.rows.tokens) == MAX_READ_BESIDE


def test_rows_of_which_all_logits_are_wanted_are_limited_together() -> None:
    scored = [reading(request(one * 40, prompt_logprobs=0)) for one in "ab"]
    plain = reading(request("c" * 40))
    limits = replace(LIMITS, n_scored=50)
    parts = choose_parts([*scored, plain], limits, RowCosts())
    assert [part.rows.n_wanted for part in parts] == [40, 10, 1]


def test_requests_that_wait_are_parked_or_have_ended_have_no_rows() -> None:
    requests = [reading(request("abc")) for _ in range(3)]
    stages = (Stage.WAITING, Stage.PARKED, Stage.ENDED)
    for one, stage in zip(requests, stages, strict=True):
        one.stage = stage
    assert choose_parts(requests, Limits.of(EXECUTOR, N_ACTIVE), RowCosts()) == []


def test_a_narrow_executor_limits_all_rows() -> None:
    limits = Limits.of(ScriptedExecutor({}, n_batch=3), N_ACTIVE)
    assert (limits.n_batch, limits.n_decode, limits.n_checked) == (3, 3, 3)


@pytest.mark.parametrize(
    ("max_active", "n_growing", "wanted"),
    [(40, 50, [1] * 40), (40, 15, [2, *[1] * 14]), (1, 1, [10])],
)
def test_more_texts_than_are_checked_with_drafts_grow_without_them(
    max_active: int, n_growing: int, wanted: list[int]
) -> None:
    goals = [Hopeful(*[0.9] * 9) for _ in range(n_growing)]
    requests = [reading(Request(goal)) for goal in goals]
    for one in requests:
        one.stage = Stage.GROWING
    parts = choose_parts(requests, Limits.of(EXECUTOR, max_active), FreeRows())
    assert len(parts) == len(wanted)
    assert [goal.n_given for goal in goals[: len(wanted)]] == wanted


def test_large_recurrent_states_leave_room_for_fewer_drafted_rows() -> None:
    class Recurrent(ScriptedExecutor):
        text_bytes = TRIED_BYTES // 3 - 1

    assert Limits.of(Recurrent({}), N_ACTIVE).n_drafted == 3
    assert Limits.of(EXECUTOR, N_ACTIVE).n_drafted > 15


def test_logits_of_scored_rows_fit_into_memory() -> None:
    limits = Limits.of(EXECUTOR, N_ACTIVE)
    assert limits.n_scored == LOGITS_BYTES // (4 * EXECUTOR.n_vocab)
