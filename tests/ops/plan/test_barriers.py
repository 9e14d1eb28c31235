"""Which buffers are written in place or used again, and where threads meet.

The fixtures check for every graph that two steps one of which writes what the other
touches have a barrier between them, and that no product overwrites its factor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from llamacy.config import RopeConfig
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.rope import Rope

if TYPE_CHECKING:
    from tests.ops.conftest import Executors, Note, Notebook

NotesOf = Callable[..., list["Note"]]


def test_a_transformer(
    transformer: Callable[..., Executors], lowered: Callable[..., Notebook]
) -> None:
    """Threads meet before 10 of a layer's 12 steps."""
    both = transformer("Q8_0")
    notes = lowered(both.forward, both.config, pack_weights(both.tensors)).notes
    waits = [note.waits for note in notes if note.op == "linear store"]
    assert waits == [True, False, False] * 2 + [True]
    assert sum(note.waits for note in notes) == 2 * 10 + 3
    # buffers are few: most of them are used again in the second layer
    assert len({one for note in notes for one in note.writes}) < 20


def test_a_residual_that_is_read_again_is_not_added_into(notes_of: NotesOf) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        h = ops.rms_norm(x, weights["norm"], 1)
        y = ops.add(x, ops.linear(h, weights["w1"]))
        return ops.linear(ops.add(x, ops.linear(y, weights["w2"])), weights["w3"])

    ops = [note.op for note in notes_of(forward)]
    assert [op for op in ops if op.startswith("linear") or op == "add"] == [
        *("linear store", "add", "linear add", "linear store")
    ]


@pytest.mark.parametrize("type_name", ["F32", "Q8_0"])
def test_a_residual_is_not_added_into_while_it_is_read(
    notes_of: NotesOf, type_name: str
) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        return ops.linear(ops.add(x, ops.linear(x, weights["w1"])), weights["w2"])

    notes_of(forward, type_name)


def test_layers_without_attention_take_turns_with_two_buffers(
    notes_of: NotesOf,
) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        for _ in range(5):
            x = ops.linear(x, weights["w1"])
        return x

    notes = notes_of(forward, "F32")
    assert all(note.waits for note in notes[1:])
    assert len({one for note in notes[:-1] for one in note.writes}) == 2


def test_layers_of_one_input_do_not_wait_for_each_other(notes_of: NotesOf) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        a, b = (ops.linear(x, weights[name]) for name in ("w1", "w2"))
        return ops.add(a, ops.rms_norm(b, weights["norm"], 1))

    waits = [note.waits for note in notes_of(forward, "F32")]
    assert waits == [False, True, False, True, True, True]  # a and b: one barrier


def test_a_rotation_waits_for_its_table(notes_of: NotesOf) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        h = ops.rms_norm(x, weights["norm"], 1)
        return ops.add(h, ops.rope(x, Rope.from_config(RopeConfig(n_dims=16), 16)))

    waits = {note.op: note.waits for note in notes_of(forward, "F32")}
    assert not waits["rope_table"] and waits["copy+rotate"]
