"""Perplexity against arithmetic on `model.logits`, and against llama.cpp's figures."""

from __future__ import annotations

import errno
import math
from pathlib import Path

import numpy as np
import pytest

import llamacy
from llamacy.model.model import Model
from llamacy.quality.logits_file import LogitsFile

TEXT = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside "
    "in the park. One day, she saw a big, red ball. She wanted to play with it, but it "
    "was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and "
    "did not know what to do. She said, \"I want to play with your ball, but I can't "
    'find it."'
)


def likelihoods(model: Model, ids: list[int], n_ctx: int) -> list[list[float]]:
    """Return the negative log-likelihoods that count, chunk by chunk."""
    chunks = []
    for first in range(0, len(ids) - n_ctx + 1, n_ctx):
        chunk = ids[first : first + n_ctx]
        logits = model.logits([1, *chunk[1:]]).astype(np.float64)
        chunks.append(
            [
                float(np.log(np.exp(logits[i]).sum()) - logits[i, chunk[i + 1]])
                for i in range(n_ctx // 2, n_ctx - 1)
            ]
        )
    return chunks


@pytest.mark.parametrize("n_ctx", [3, 20, 21, 133])
def test_perplexity_matches_arithmetic_on_all_logits(
    babble: Model, babble_ids: list[int], n_ctx: int
) -> None:
    nll = likelihoods(babble, babble_ids, n_ctx)
    done = llamacy.perplexity(babble, babble_ids, n_ctx=n_ctx, n_batch=3 * n_ctx)
    assert (done.n_chunks, done.n_ctx) == (133 // n_ctx, n_ctx)
    assert done.n_scored == len(nll) * (n_ctx - 1 - n_ctx // 2)
    running = [math.exp(np.mean(nll[: i + 1])) for i in range(len(nll))]
    assert done.running == pytest.approx(running, rel=1e-5)
    assert done.value == done.running[-1]
    error = np.std(nll) / math.sqrt(done.n_scored - 1) * done.value
    assert done.error == pytest.approx(error, rel=1e-4)


def test_n_batch_does_not_change_the_result(
    babble: Model, babble_ids: list[int]
) -> None:
    values = {
        llamacy.perplexity(babble, babble_ids, n_ctx=20, n_batch=n).value
        for n in (1, 40, 2048)
    }
    assert max(values) - min(values) < 1e-4


def test_a_text_gives_the_same_result_as_its_tokens(babble: Model) -> None:
    text = "babu deki lonu " * 8
    ids = babble.tokenize(text)
    assert ids[0] == babble.tokenizer.bos_id
    one, other = (llamacy.perplexity(babble, each, n_ctx=16) for each in (text, ids))
    assert one.running == other.running


def test_callbacks_get_the_progress_and_the_results_so_far(
    babble: Model, babble_ids: list[int]
) -> None:
    shares: list[float] = []
    so_far: list[llamacy.Perplexity] = []
    done = llamacy.perplexity(
        babble,
        babble_ids,
        n_ctx=20,
        n_chunks=4,
        n_batch=40,
        on_chunk=so_far.append,
        progress=shares.append,
    )
    assert [result.n_chunks for result in so_far] == [1, 2, 3, 4]
    assert so_far[-1] == done
    assert tuple(result.value for result in so_far) == done.running
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_chunks_neither_use_nor_fill_the_prefix_cache(
    babble_model: Path, babble_ids: list[int]
) -> None:
    n_ctx = 64
    with llamacy.load(babble_model, n_threads=1) as model:
        fresh = llamacy.perplexity(model, babble_ids, n_ctx=n_ctx)
        assert model.executor.n_pages_used == 0
        cached = [1, *babble_ids[1:n_ctx]]
        model.generate(cached, max_tokens=1)
        n_pages = model.executor.n_pages_used
        assert n_pages > 0
        again = llamacy.perplexity(model, babble_ids, n_ctx=n_ctx)
        assert again.running == fresh.running
        assert model.executor.n_pages_used == n_pages
        other = [1, *babble_ids[n_ctx + 1 : 2 * n_ctx]]
        assert model.generate(other, max_tokens=1).usage.cached_tokens == 0
        assert model.generate(cached, max_tokens=1).usage.cached_tokens > 0


def test_bad_arguments_raise_and_leave_no_file(
    babble: Model, babble_ids: list[int], tmp_path: Path
) -> None:
    with pytest.raises(
        llamacy.ArgumentError, match="one chunk of 134 tokens, found 133"
    ):
        llamacy.perplexity(babble, babble_ids, n_ctx=134)
    with pytest.raises(llamacy.ArgumentError, match="n_ctx: wanted an integer from 3"):
        llamacy.perplexity(babble, babble_ids, n_ctx=2)
    with pytest.raises(llamacy.ArgumentError, match="n_chunks"):
        llamacy.perplexity(babble, babble_ids, n_ctx=20, n_chunks=0)
    with pytest.raises(llamacy.ArgumentError, match="n_batch"):
        llamacy.perplexity(babble, babble_ids, n_ctx=20, n_batch=0)
    with pytest.raises(llamacy.ContextLengthError):
        llamacy.perplexity(babble, babble_ids * 4, n_ctx=300)
    with pytest.raises(llamacy.ModelFileError) as info:
        llamacy.perplexity(babble, babble_ids, n_ctx=20, save_logits=tmp_path)
    assert info.value.errno == errno.EISDIR
    with pytest.raises(llamacy.ModelFileError) as info:
        llamacy.perplexity(
            babble, babble_ids, n_ctx=20, save_logits=tmp_path / "none" / "file"
        )
    assert info.value.errno == errno.ENOENT
    assert list(tmp_path.iterdir()) == []


def test_a_failing_callback_leaves_no_file_and_a_model_that_works(
    babble: Model, babble_ids: list[int], tmp_path: Path
) -> None:
    target = tmp_path / "saved.logits"
    target.write_text("what was there")
    seen: list[list[Path]] = []

    def fail(so_far: llamacy.Perplexity) -> None:
        seen.append(list(tmp_path.iterdir()))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        llamacy.perplexity(
            babble, babble_ids, n_ctx=20, save_logits=target, on_chunk=fail
        )
    assert [len(files) for files in seen] == [2]  # the target and the draft
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "what was there"
    llamacy.perplexity(babble, babble_ids, n_ctx=20, save_logits=target)
    assert LogitsFile(target).ids.shape == (6, 20)


def test_a_closed_model_is_refused(babble_model: Path, babble_ids: list[int]) -> None:
    model = llamacy.load(babble_model)
    model.close()
    with pytest.raises(llamacy.ClosedError):
        llamacy.perplexity(model, babble_ids, n_ctx=20)


def test_the_figures_are_those_of_llama_perplexity(stories: Path) -> None:
    """Recorded from `llama-perplexity -c 32` with the same model and text."""
    running = [1.3043, 1.8967, 2.2738, 2.3419, 2.0452, 2.0275, 2.0619, 2.1791]
    with llamacy.load(stories, n_threads=1) as model:
        done = llamacy.perplexity(model, f"{TEXT}\n{TEXT}", n_ctx=32)
    assert done.running == pytest.approx(running, rel=1e-3)
    assert done.error == pytest.approx(0.17701, rel=1e-3)
