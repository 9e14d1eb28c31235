"""How many texts are generated together by default."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llamacy.config import ModelConfig, RopeConfig
from llamacy.config.experts import ExpertConfig
from llamacy.model.active_texts import choose_active

DENSE = ModelConfig(
    "llama",
    "",
    n_layer=2,
    n_embd=64,
    n_head=4,
    n_head_kv=4,
    head_dim=16,
    n_ff=64,
    n_vocab=99,
    n_ctx_train=64,
    norm_eps=1e-5,
    rope=RopeConfig(n_dims=16),
)
GIB = 2**30


@pytest.mark.parametrize(
    ("n_threads", "wanted"), [(1, 16), (4, 16), (6, 24), (8, 32), (16, 64), (96, 64)]
)
def test_more_threads_take_more_texts(n_threads: int, wanted: int) -> None:
    assert choose_active(DENSE, n_threads, GIB, None) == wanted


def test_a_mixture_of_experts_takes_more_texts() -> None:
    for n_expert, wanted in ((8, 32), (128, 64)):
        experts = ExpertConfig(n_expert=n_expert, n_used=4)
        assert choose_active(replace(DENSE, experts=experts), 2, GIB, None) == wanted


@pytest.mark.parametrize(("available", "wanted"), [(0, 16), (50, 25), (1000, 64)])
def test_texts_above_16_have_memory(available: int, wanted: int) -> None:
    assert choose_active(DENSE, 32, GIB, available * GIB) == wanted
