"""Adapters of a model in use: texts read with different adapters never mix."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.model.describing import facts
from llamacy.model.model import Model

Floats = NDArray[np.float32]

TOKENS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7]
LONG = list(range(3, 50)) + list(range(3, 40))  # long enough for the prefix cache
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 12}


def largest_difference(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_adapters_are_set_by_load_and_by_set_adapters(
    base: Path, model: Model, lora: Path
) -> None:
    without = model.logits(TOKENS)
    assert model.adapters == ()
    with llamacy.load(base, n_threads=1, lora=(lora, 0.5)) as other:
        assert other.adapters == ((str(lora), 0.5),)
        wanted = other.logits(TOKENS)
    assert largest_difference(wanted, without) > 0.02
    model.set_adapters([(lora, 0.5)])
    np.testing.assert_array_equal(model.logits(TOKENS), wanted)
    model.set_adapters(None)
    assert model.adapters == ()
    np.testing.assert_array_equal(model.logits(TOKENS), without)


def test_a_notebook_names_all_adapters(model: Model, lora: Path) -> None:
    assert "adapters" not in facts(model)
    model.set_adapters([(lora, 0.5), (lora, 2.0)])
    assert facts(model)["adapters"] == f"{lora} × 0.5, {lora} × 2"


def test_the_prefix_cache_forgets_texts_read_with_other_adapters(
    model: Model, lora: Path
) -> None:
    def text() -> tuple[list[int], int]:
        out = model.generate(LONG, **GREEDY)
        return out.tokens, out.usage.cached_tokens

    without = text()
    assert text()[1] > 32
    model.set_adapters(lora)
    adapted = text()
    assert (adapted[1], adapted[0] == without[0]) == (0, False)
    assert text()[1] > 32
    model.set_adapters((lora, 2.0))
    assert text()[1] == 0
    model.set_adapters(None)
    assert text() == without


def test_a_session_is_read_again_with_new_adapters(
    base: Path, model: Model, lora: Path
) -> None:
    with llamacy.load(base, n_threads=1, lora=lora) as other:
        wanted = other.generate(LONG, **GREEDY).tokens
    with model.session() as session, model.session() as second:
        session.feed(LONG[:40])
        second.feed(LONG)
        model.set_adapters(lora)
        out = session.generate(LONG[40:], **GREEDY)
        assert (out.tokens, out.usage.cached_tokens) == (wanted, 0)
        twin = second.fork()
        model.set_adapters(None)
        model.set_adapters(lora)
        assert twin.generate(**GREEDY).tokens == wanted
        assert twin.generate(max_tokens=1).usage.cached_tokens > len(LONG)
        # tokens read with the current adapters are not read again
        out = session.generate(max_tokens=1)
        assert out.usage.cached_tokens > len(LONG)


def test_a_saved_session_loads_only_with_the_same_adapters(
    model: Model, lora: Path, tmp_path: Path
) -> None:
    model.set_adapters(lora)
    with model.session() as session:
        session.feed(LONG)
        session.save(tmp_path / "s")
    with model.load_session(tmp_path / "s") as session:
        wanted = session.generate(**GREEDY).tokens
    assert wanted == model.generate(LONG, **GREEDY).tokens
    for others in (None, (lora, 0.5)):
        model.set_adapters(others)
        with pytest.raises(llamacy.FormatError, match="header model"):
            model.load_session(tmp_path / "s")


@pytest.mark.parametrize("n_read", [0, len(LONG)])
def test_a_session_saved_after_a_change_of_adapters_is_read_with_the_new_ones(
    model: Model, lora: Path, tmp_path: Path, n_read: int
) -> None:
    """Its rows are not in the file, which loads where it was saved."""
    with model.session() as session:
        if n_read:
            session.feed(LONG[:n_read])
        model.set_adapters(lora)
        session.save(tmp_path / "s")
        with model.load_session(tmp_path / "s") as loaded:
            assert loaded.tokens == LONG[:n_read]
            out = loaded.generate(LONG[n_read:] or None, **GREEDY)
        assert out.usage.cached_tokens == 0
        assert session.generate(LONG[n_read:] or None, **GREEDY).tokens == out.tokens


def test_adapters_cannot_change_while_texts_are_generated(
    model: Model, lora: Path
) -> None:
    stream = model.stream(LONG, temperature=0, max_tokens=20)
    before = next(iter(stream))
    with pytest.raises(llamacy.BusyError):
        model.set_adapters(lora)
    assert model.adapters == ()
    rest = [before.text, *(piece.text for piece in stream)]
    assert len(rest) > 1
    model.set_adapters(lora)
    assert len(model.adapters) == 1
    with model.stream(LONG, max_tokens=20) as stream:
        next(iter(stream))
    model.set_adapters(None)


def test_each_text_is_generated_with_one_set_of_adapters(
    base: Path, lora: Path
) -> None:
    with llamacy.load(base, n_threads=1, prompt_cache=0) as model:

        def text() -> list[int]:
            tokens: list[int] = model.generate(LONG[:20], **GREEDY).tokens
            return tokens

        without = text()
        model.set_adapters(lora)
        adapted = text()
        assert without != adapted
        done = threading.Event()
        found: list[list[int]] = []

        def generate() -> None:
            while not done.is_set():
                found.append(text())

        thread = threading.Thread(target=generate)
        thread.start()
        n_switched = 0
        while n_switched < 6 and thread.is_alive():
            try:
                model.set_adapters(None if n_switched % 2 == 0 else lora)
                n_switched += 1
            except llamacy.BusyError:
                time.sleep(0.001)
        done.set()
        thread.join()
    assert all(one in (without, adapted) for one in found)


def test_adapters_of_a_closed_model_cannot_change(model: Model, lora: Path) -> None:
    model.close()
    with pytest.raises(llamacy.ClosedError):
        model.set_adapters(lora)
