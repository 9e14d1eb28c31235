"""KL divergence against its definition, and against llama.cpp's figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.model.model import Model
from llamacy.quality.logits_file import LogitsFile
from tests.support import random_model
from tests.support.levels import rows_alone

N_CTX = 20
RECORDED = Path(__file__).parent / "llama-perplexity.logits"


def log_softmax(model: Model, ids: list[int]) -> NDArray[np.float64]:
    """Return the log-probabilities that count, of all chunks: (n_scored, n_vocab)."""
    rows = []
    for first in range(0, len(ids) - N_CTX + 1, N_CTX):
        logits = model.logits([1, *ids[first + 1 : first + N_CTX]]).astype(np.float64)
        logits = logits[N_CTX // 2 : -1]
        rows.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def saved(
    babble: Model, babble_ids: list[int], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("saved") / "babble.logits"
    llamacy.perplexity(babble, babble_ids, n_ctx=N_CTX, save_logits=path)
    return path


def test_a_model_does_not_differ_from_itself(babble: Model, saved: Path) -> None:
    done = llamacy.kl_divergence(babble, saved)
    assert abs(done.kld.mean.value) < 1e-5  # rounding to 16 bits
    assert done.same_top.value == 1.0
    assert abs(done.ratio.value - 1) < 1e-4
    assert done.correlation == pytest.approx(1)
    assert done.rms_p_diff.value < 1e-4


def test_all_statistics_match_their_definitions(
    babble: Model, babble_ids: list[int], saved: Path, tmp_path: Path
) -> None:
    random_model.write(str(tmp_path / "other.gguf"), seed=1)
    shares: list[float] = []
    n_read: list[int] = []
    with (
        rows_alone(),
        llamacy.load(tmp_path / "other.gguf", n_threads=1, kv_type="f32") as other,
    ):
        done = llamacy.kl_divergence(
            other,
            saved,
            progress=shares.append,
            on_chunk=lambda so_far: n_read.append(so_far.n_chunks),
        )
        q = log_softmax(other, babble_ids)
    p = log_softmax(babble, babble_ids)
    ids = np.reshape(babble_ids[: 6 * N_CTX], (6, N_CTX))[:, N_CTX // 2 + 1 :].ravel()
    rows = np.arange(len(ids))
    kld = (np.exp(p) * (p - q)).sum(axis=1)
    assert done.kld.mean.value == pytest.approx(kld.mean(), rel=1e-3)
    assert done.kld.mean.error == pytest.approx(
        kld.std() / math.sqrt(len(kld) - 1), rel=1e-3
    )
    assert done.kld.median == pytest.approx(np.median(kld), rel=1e-3)
    for percent, value in done.kld.percentiles.items():
        assert value == pytest.approx(np.percentile(kld, percent), rel=1e-3)
    p_diff = np.exp(q[rows, ids]) - np.exp(p[rows, ids])
    assert done.p_diff.maximum == pytest.approx(p_diff.max(), rel=1e-3)
    assert done.rms_p_diff.value == pytest.approx(
        math.sqrt((p_diff**2).mean()), rel=1e-3
    )
    same = p.argmax(axis=1) == q.argmax(axis=1)
    assert done.same_top.value == pytest.approx(same.mean())
    ours, base = -q[rows, ids], -p[rows, ids]
    assert done.perplexity.value == pytest.approx(math.exp(ours.mean()), rel=1e-3)
    assert done.base_perplexity.value == pytest.approx(math.exp(base.mean()), rel=1e-3)
    assert done.correlation == pytest.approx(np.corrcoef(ours, base)[0, 1], rel=1e-2)
    ratio_error = (ours - base).std() / math.sqrt(len(ids) - 1)
    assert done.log_ratio.error == pytest.approx(ratio_error, rel=1e-2)
    assert n_read == [1, 2, 3, 4, 5, 6]
    assert shares[-1] == 1.0


def test_n_chunks_limits_the_chunks_read(babble: Model, saved: Path) -> None:
    assert llamacy.kl_divergence(babble, saved, n_chunks=2).n_chunks == 2
    assert llamacy.kl_divergence(babble, saved, n_chunks=99).n_chunks == 6


def test_a_file_of_another_vocabulary_is_refused(stories: Path, saved: Path) -> None:
    with llamacy.load(stories) as model:
        with pytest.raises(llamacy.FormatError, match="n_vocab: wanted 512"):
            llamacy.kl_divergence(model, saved)


def test_chunks_too_long_for_the_context_are_refused(
    babble_model: Path, saved: Path
) -> None:
    with llamacy.load(babble_model, n_ctx=N_CTX - 1) as model:
        with pytest.raises(llamacy.ContextLengthError):
            llamacy.kl_divergence(model, saved)


def test_a_file_written_by_llama_perplexity_is_read(stories: Path) -> None:
    """Its options were `-c 8 --chunks 2 --kl-divergence-base`, with the same model."""
    file = LogitsFile(RECORDED)
    assert (file.ids.shape, file.n_vocab) == ((2, 8), 512)
    assert file.ids[0, 0] == 1
    with llamacy.load(stories, n_threads=1) as model:
        done = llamacy.kl_divergence(model, RECORDED)
    assert done.base_perplexity.value == pytest.approx(1.6732, abs=1e-4)
    assert done.perplexity.value == pytest.approx(1.6732, rel=1e-3)
    assert abs(done.kld.mean.value) < 1e-4


@pytest.mark.parametrize("measure", [llamacy.perplexity, llamacy.kl_divergence])
def test_an_argument_that_is_not_a_model_is_refused(
    measure: Callable[..., object],
) -> None:
    with pytest.raises(llamacy.ArgumentError, match="wanted a Model, found int"):
        measure(5, "a text")
