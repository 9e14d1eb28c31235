"""The adapters that texts are read with, and rows that two texts have alike."""

from __future__ import annotations

import pytest

from llamacy.generation.context import Context
from llamacy.generation.reading import Reading, n_alike
from llamacy.ops.state.sequence import NEVER
from tests.support.scripted import ScriptedExecutor, ScriptedSequence

ACTIVATED = Reading("", "one", (7, 9))


@pytest.mark.parametrize(
    ("ids", "start"),
    [
        ([7, 9], 0),
        ([7, 9, 7, 9, 3], 2),
        ([7, 7, 9], 1),
        ([7, 9, 7], 0),
        ([9, 7], NEVER),
        ([7], NEVER),
    ],
)
def test_a_prompt_is_adapted_from_its_last_invocation(
    ids: list[int], start: int
) -> None:
    assert ACTIVATED.adapted_from(ids) == start
    assert Reading("all").adapted_from(ids) == NEVER


def test_rows_are_alike_up_to_where_only_one_text_is_adapted() -> None:
    assert [n_alike(3, 5), n_alike(NEVER, 5), n_alike(5, 5)] == [3, 5, NEVER]
    assert n_alike(NEVER, NEVER) == NEVER


def held(ids: list[int], reading: Reading) -> tuple[Context, ScriptedSequence]:
    """Return a context whose prompt was read with adapters."""
    sequence = ScriptedExecutor({}).new_sequence()
    context = Context(ids, 64)
    context.read_with(reading)
    context.start(sequence)
    sequence.held = list(ids)
    return context, sequence


@pytest.mark.parametrize(
    ("before", "after", "n_kept"),
    [
        (ACTIVATED, ACTIVATED, 6),
        (ACTIVATED, Reading(), 2),
        (Reading(), ACTIVATED, 2),
        (ACTIVATED, ACTIVATED._replace(activated="another"), 2),
        (ACTIVATED, ACTIVATED._replace(invocation=(3, 4), activated="another"), 0),
        (ACTIVATED, Reading("all"), 0),
        (Reading("all"), ACTIVATED, 0),
        (Reading("all"), Reading("all"), 6),
    ],
)
def test_a_sequence_keeps_the_rows_that_other_adapters_leave_alike(
    before: Reading, after: Reading, n_kept: int
) -> None:
    ids = [3, 4, 7, 9, 5, 6]
    _, sequence = held(ids, before)
    context = Context(ids, 64, sequence, before)
    context.read_with(after)
    assert context.n_past == n_kept
    assert sequence.adapted_from == after.adapted_from(ids)


@pytest.mark.parametrize(
    ("ids", "start", "n_kept"),
    [
        ([3, 4, 7, 9, 5, 8], 2, 5),
        ([3, 4, 7, 9, 7, 9, 1], 4, 2),  # the model has written the invocation
        ([3, 4, 5, 6], 0, 0),  # it is among the tokens left out
    ],
)
def test_room_is_made_with_the_rows_that_stay_alike(
    ids: list[int], start: int, n_kept: int
) -> None:
    context, sequence = held([3, 4, 7, 9, 5, 6], ACTIVATED)
    context.replace(ids)
    assert (sequence.adapted_from, context.n_past) == (start, n_kept)
