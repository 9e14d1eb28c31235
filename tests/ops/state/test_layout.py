"""Where the states of layers are in a page, and what a text of them takes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from llamacy.ops.state.kv_pages import KV_TYPES, PAGE, layer_bytes
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.specs import ALIGNMENT, KeyValues, Recurrence, StateSpec
from llamacy.ops.state.windows import most_pages
from tests.support.states import key_values


@pytest.mark.parametrize(("kv_type", "nbytes"), [("f32", 4), ("f16", 2), ("q8_0", 1)])
def test_a_layer_takes_its_elements_and_their_scales(kv_type: str, nbytes: int) -> None:
    head_dim, n_head_kv = 64, 3
    scales = 2 * 4 if kv_type == "q8_0" else 0  # a float for each 32 dimensions
    want = 2 * 32 * n_head_kv * (head_dim * nbytes + scales)
    assert layer_bytes(kv_type, n_head_kv, head_dim, head_dim) == want
    assert KeyValues(0, n_head_kv, head_dim, head_dim).page_bytes(kv_type) == want


@dataclass(frozen=True)
class FixedState:
    """A state of one size, whatever the length of the text."""

    layer: int
    text_bytes: int = 100
    window: int | None = None

    def page_bytes(self, kv_type: str) -> int:
        return 0

    def work(
        self, kv_type: str, n_head: int, first: int, n_rows: int
    ) -> tuple[int, int]:
        return self.text_bytes, 0


@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_layers_follow_each_other_whatever_their_sizes(kv_type: str) -> None:
    sizes = [(2, 16), (1, 80), (5, 24)]
    specs = [
        key_values(layer, n_head_kv=n_head_kv, head_dim=head_dim)
        for layer, (n_head_kv, head_dim) in enumerate(sizes)
    ]
    layout = StateLayout(reversed(specs), kv_type)
    assert layout.specs == tuple(specs)
    end = 0
    for spec in specs:
        slot = layout.slot(spec)
        assert (slot.spec, slot.offset, slot.offset % ALIGNMENT) == (spec, end, 0)
        end += spec.page_bytes(kv_type)
    assert layout.page_bytes == end


def test_alike_layers_are_multiples_apart() -> None:
    specs = list(map(key_values, range(4)))
    layout = StateLayout(specs, "f16")
    size = key_values(0).page_bytes("f16")
    assert [layout.slot(each).offset for each in specs] == [
        *(0, size, 2 * size, 3 * size)
    ]


def test_a_layer_keeps_one_thing_of_a_kind() -> None:
    spec = key_values(3)
    assert StateLayout([spec, spec], "f16").page_bytes == spec.page_bytes("f16")
    with pytest.raises(ValueError, match="specs: wanted one of layer 3"):
        StateLayout([spec, key_values(3, window=5)], "f16")
    beside = Recurrence(3, n_channels=5, n_columns=2, n_head=2, key_dim=4, value_dim=3)
    layout = StateLayout([spec, beside, spec, beside], "f16")
    assert layout.specs == (spec, beside)
    assert layout.page_bytes == spec.page_bytes("f16")
    assert layout.text_bytes == 64 + 128  # of 40 and 96
    assert (layout.slot(spec).offset, layout.slot(beside).offset) == (0, 0)
    with pytest.raises(ValueError, match="specs: wanted one of layer 3"):
        StateLayout([beside, Recurrence(3, n_channels=5, n_columns=3)], "f16")


@pytest.mark.parametrize(
    ("windows", "want"),
    [([], None), ([8, 100], 100), ([8, None], None), ([None], None), ([5], 5)],
)
def test_the_widest_window_counts(windows: list[int | None], want: int | None) -> None:
    specs: list[StateSpec] = [
        key_values(layer, window) for layer, window in enumerate(windows)
    ]
    assert StateLayout(specs, "f16").window == want
    # a layer that keeps no tokens needs no pages, and no window
    assert StateLayout([*specs, FixedState(9)], "f16").window == want


def test_states_beside_the_pages_are_counted_once_a_text() -> None:
    pages = StateLayout([key_values(0, 40)], "f16")
    both = StateLayout([key_values(0, 40), FixedState(1), FixedState(2)], "f16")
    assert both.page_bytes == pages.page_bytes
    for n_tokens in (1, PAGE, 5000):
        n_pages = most_pages(n_tokens, PAGE, 40, 64)
        assert pages.most_bytes(n_tokens, 64) == n_pages * pages.page_bytes
        assert both.most_bytes(n_tokens, 64) == n_pages * pages.page_bytes + (
            (1 + both.n_snapshots) * both.text_bytes
        )


@pytest.mark.parametrize(
    ("text_bytes", "most"), [(64, 32), (2**23, 32), (2**26, 4), (2**30, 2)]
)
def test_snapshots_are_as_many_as_memory_is_meant_for(
    text_bytes: int, most: int
) -> None:
    layout = StateLayout([FixedState(0, text_bytes), key_values(1)], "f16")
    assert (layout.text_bytes, layout.n_snapshots) == (text_bytes, most)
    assert StateLayout([key_values(1)], "f16").n_snapshots == 0
