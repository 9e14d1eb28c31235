"""The table of memory that models need, in the README and on a page of the site."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import memory_table
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {shape.name: shape for shape in memory_table.SHAPES}

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="holes in files take space on NTFS"
)


def test_pages_have_the_table_that_llamacy_computes() -> None:
    table = memory_table.table()
    for name in memory_table.PAGES:
        page = (ROOT / name).read_text(encoding="utf-8")
        assert memory_table.with_table(page, table, name) == page


@pytest.mark.parametrize(
    ("name", "n_params"),
    [("Llama 3.2 1B", 1_235_814_400), ("Llama 3.1 8B", 8_030_261_248)],
)
def test_shapes_have_as_many_weights_as_the_published_models(
    name: str, n_params: int
) -> None:
    sizes = memory_table.tensors(SHAPES[name]).values()
    assert sum(map(math.prod, sizes)) == n_params


def test_kv_cache_is_two_float16_per_layer_head_and_dimension() -> None:
    """The formula on the site gives the figure in the table."""
    _, (*_, kv, _) = memory_table.row(SHAPES["Llama 3.2 1B"])
    assert kv * 2**30 == memory_table.N_CTX * 4 * 16 * 8 * 64


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"a\.md: wanted the lines <!-- memory:begin"):
        memory_table.with_table("no markers", "", "a.md")
