"""Pages of float16 and of bfloat16 become each other's, as sessions need."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llamacy.errors import FormatError
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.sessions.file import Origin, load, save
from tests.support.attention_cache import Cache

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps

N_PAST = 75  # two pages and a part


def caches(steps: Steps) -> tuple[Cache, Cache]:
    """Make one of each type, for heads whose pages have the same size."""
    if not steps.has_bf16:
        pytest.skip("no pages in bfloat16 here")
    halves, shorts = (
        Cache(steps, f"{kind} rounded", 64, 4, value_dim=32) for kind in ("f16", "bf16")
    )
    return halves, shorts


def filled(cache: Cache, rows: tuple[Array, Array, Array]) -> PagedSequence:
    sequence = PagedSequence(cache.pool)
    cache.attend([(sequence, *(x[:N_PAST] for x in rows))], appends_only=True)
    return sequence


def origin(cache: Cache) -> Origin:
    return Origin("model", "f16", PAGE, cache.pool.page_bytes)


def test_a_session_goes_on_with_pages_of_the_other_type(
    steps: Steps, tmp_path: Path
) -> None:
    """To bfloat16 as if its attention had read the float16; and back, exactly."""
    both = caches(steps)
    # so that both types round the last row once
    q, k, v = (x.astype(np.float16) for x in both[0].rows(N_PAST + 1))
    rows = q.astype(np.float32), k.astype(np.float32), v.astype(np.float32)
    first = filled(both[0], rows)
    for number, cache in enumerate([both[1], both[0]]):
        file, source = tmp_path / f"{number}", both[number]
        save(file, origin(source), [1] * N_PAST, first)
        second = PagedSequence(cache.pool)
        assert load(file, origin(cache), 2, 100, second) == [1] * N_PAST
        last = [(sequence, *(x[-1:] for x in rows)) for sequence in (first, second)]
        (want,), (got,) = source.attend(last[:1]), cache.attend(last[1:])
        np.testing.assert_array_equal(got, want)
        second.truncate(N_PAST)
        first = second


@pytest.mark.parametrize("bits", [0x7F800000, 0xFFFFFFFF], ids=["infinity", "NaN"])
def test_a_value_that_is_not_finite_takes_its_key_along(
    steps: Steps, tmp_path: Path, bits: int
) -> None:
    halves, shorts = caches(steps)
    q, k, v = halves.rows(N_PAST + 1)
    v.view(np.uint32)[40, 3] = bits
    save(tmp_path / "x", origin(halves), [1] * N_PAST, filled(halves, (q, k, v)))
    sequence = PagedSequence(shorts.pool)
    load(tmp_path / "x", origin(shorts), 2, 100, sequence)
    (got,) = shorts.attend([(sequence, q[-1:], k[-1:], v[-1:])])
    heads = got.reshape(2, -1)
    assert np.isnan(heads[0]).all()
    assert np.isfinite(heads[1]).all()


def lie(file: Path, page_type: object) -> None:
    """Let a session's header name another type of its pages."""
    with zipfile.ZipFile(file) as archive:
        parts = {each.filename: archive.read(each) for each in archive.infolist()}
    header = json.loads(parts.pop("header.json")) | {"page_type": page_type}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("name", ["f8", "q8_0", 16, None, ["f16"]])
def test_a_type_that_nobody_knows_is_refused(
    steps: Steps, tmp_path: Path, name: object
) -> None:
    halves, shorts = caches(steps)
    file = tmp_path / "x"
    save(file, origin(shorts), [1] * N_PAST, filled(shorts, shorts.rows(N_PAST)))
    lie(file, name)
    message = re.escape(f"page_type: wanted bf16 or f16, found {name!r}")
    for cache in (halves, shorts):
        with pytest.raises(FormatError, match=message):
            load(file, origin(cache), 2, 100, PagedSequence(cache.pool))


def test_pages_of_a_type_that_the_model_cannot_have_are_refused(
    steps: Steps, tmp_path: Path
) -> None:
    cache = Cache(steps, "f16", 24, 4)  # heads that pages in bfloat16 have no place for
    file = tmp_path / "x"
    save(file, origin(cache), [1] * N_PAST, filled(cache, cache.rows(N_PAST)))
    lie(file, "bf16")
    with pytest.raises(FormatError, match="page_type: wanted f16, found 'bf16'"):
        load(file, origin(cache), 2, 100, PagedSequence(cache.pool))


def test_numbers_beyond_float16_are_refused(steps: Steps, tmp_path: Path) -> None:
    """They would become infinite, and the model's outputs NaN."""
    halves, shorts = caches(steps)
    rows = shorts.rows(N_PAST)
    rows[1][40, 3] = -1e5
    save(tmp_path / "x", origin(shorts), [1] * N_PAST, filled(shorts, rows))
    with pytest.raises(FormatError, match="beyond float16: -9"):
        load(tmp_path / "x", origin(halves), 2, 100, PagedSequence(halves.pool))
