"""Tokens that are sampled have the model's distribution, whoever drafts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.generation.drafting.draft_model import DraftModel
from llamacy.generation.drafting.drafter import TextDrafter
from llamacy.generation.drafting.mtp_head import MtpHead
from llamacy.generation.drafting.worth import Worth
from tests.support import mtp_model
from tests.support.drafted import rows_cost_nothing

N_BINS = 20
MOST = 43.8  # 19 degrees of freedom: p > 0.001
PROMPT = "bada kidu " * 6
OPTIONS: dict[str, Any] = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}


class Watched:
    """Notes the probabilities that each token of a text is chosen by."""

    def __init__(self) -> None:
        self.probabilities: list[NDArray[np.float64]] = []

    def __call__(self, ids: Any, logits: NDArray[np.float32]) -> None:
        shares = np.exp(logits - logits.max(), dtype=np.float64)
        self.probabilities.append(shares / shares.sum())


def places(
    tokens: list[int], watched: Watched, rng: np.random.Generator
) -> list[float]:
    """Return where each token lies among all, the likeliest first: from 0 to 1.

    If each was drawn by its probability, all places are equally likely.
    """
    found = []
    for token, shares in zip(tokens, watched.probabilities, strict=True):
        share = shares[token]
        before = shares[shares > share].sum()
        alike = (shares == share).sum()  # those in no order count as one
        found.append(before + rng.random() * share * alike)
    return found


def chi_square(found: list[float]) -> float:
    counts, _ = np.histogram(found, N_BINS, (0, 1))
    expected = len(found) / N_BINS
    return float(((counts - expected) ** 2 / expected).sum())


def sample(
    model: llamacy.Model, n_texts: int, **options: Any
) -> tuple[list[float], list[Any]]:
    """Sample texts; return the places of their tokens, and the texts."""
    rng = np.random.default_rng(1)
    found, texts = list[float](), []
    for seed in range(n_texts):
        watched = Watched()
        out = model.generate(
            PROMPT, seed=seed, logits_processors=watched, **OPTIONS, **options
        )
        ended = [2] if out.finish_reason == "stop" else []
        found += places(out.tokens + ended, watched, rng)
        texts.append(out)
    return found, texts


@pytest.fixture
def path(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    """A model whose head is right more often than not."""
    args = (write_gguf, llama_metadata, random_tensors)
    return mtp_model.write(tmp_path / "model.gguf", *args, habit=0.1)


@pytest.mark.parametrize("drafter", ["MTP head", "draft model", "lookup"])
def test_sampled_tokens_have_the_distribution_of_the_model(
    path: Path, drafter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worth, "of_another", lambda self, drafter, rate=None: 2.0)
    options: Any = {"draft": path} if drafter == "draft model" else {}
    with llamacy.load(path, n_ctx=300, n_threads=1, **options) as model:
        rows_cost_nothing(model.engine.worker)
        if drafter == "lookup":
            model.engine.make_drafter = TextDrafter
            model.engine.worker._loop._scheduler._proposer = None
        else:
            kind = MtpHead if drafter == "MTP head" else DraftModel
            assert isinstance(model.engine._proposer, kind)
        found, texts = sample(model, 5, max_tokens=150)
        n_accepted = sum(text.usage.accepted_tokens for text in texts)
        assert n_accepted > 10
        assert n_accepted < sum(text.usage.drafted_tokens for text in texts)
        assert chi_square(found) < MOST
        again, plain = sample(model, 1, max_tokens=150, drafting=False)
        assert plain[0].tokens == texts[0].tokens
        assert found[: len(again)] == again
