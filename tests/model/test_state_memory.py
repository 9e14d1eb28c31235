"""Memory of texts as the system counts it, beside what `inspect` computes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan
from tests.support import random_model
from tests.support.families import DELTA_RULE, KIMI, LATENT, LFM2, SCAN
from tests.support.model_shapes import model_shapes

ROLLUP = Path("/proc/self/smaps_rollup")
N_BYTES = 64 * 2**20
"""As much is allocated: large pages of 2 MiB round it up."""


def latents_of(n: int) -> dict[str, Any]:
    """Return the keys of latents of a size, beside 8 dimensions that are rotated."""
    sizes = {"kv_lora_rank": n, "key_length": n + 8, "value_length": n}
    return {f"attention__{key}": value for key, value in sizes.items()}


WIDE: dict[str, Any] = {"ssm__state_size": 64, "ssm__time_step_rank": 16}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "delta rule": ("qwen35", DELTA_RULE | WIDE | {"ssm__inner_size": 1024}),
    "convolution": ("lfm2", LFM2 | {"shortconv__l_cache": 65}),
    "Mamba": (
        "mamba",
        {"block_count": 3, "attention__head_count": 0, "feed_forward_length": 0}
        | {"ssm__conv_kernel": 4, "ssm__inner_size": 512}
        | WIDE,
    ),
    "Mamba-2": (
        "mamba2",
        SCAN
        | {"block_count": 3, "attention__head_count": 0, "feed_forward_length": 0}
        | {"ssm__inner_size": 1024}
        | WIDE,
    ),
    "latent": ("deepseek2", LATENT | latents_of(512)),
    "delta rule by channel, latent": (
        "kimi-linear",
        KIMI | latents_of(256) | {"kda__head_dim": 64},
    ),
}


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    for line in ROLLUP.read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no Rss in {ROLLUP}")


@pytest.mark.skipif(not ROLLUP.exists(), reason="counted by Linux")
@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_texts_is_what_inspect_says(
    kind: str,
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> None:
    """Of texts that have all their snapshots, and of the pages of their tokens."""
    family, keys = KINDS[kind]
    metadata = llama_metadata(family, **{"context_length": 2**16} | keys)
    metadata |= random_model.vocabulary_metadata()
    shapes = model_shapes(write_gguf, tmp_path, metadata)
    tensors = random_tensors(shapes.items())
    path = write_gguf(tmp_path / "model.gguf", metadata, tensors, "F32")
    info = llamacy.inspect(path)
    assert bool(info.state_bytes) == (kind != "latent")
    with llamacy.load(path, n_threads=1) as model:
        plan = model.executor
        assert isinstance(plan, Plan)
        n_tokens = 40 if info.state_bytes else 2000
        texts = []
        for _ in range(1 + -(-N_BYTES // info.kv_bytes(n_tokens))):
            text = plan.new_sequence()
            if info.state_bytes:
                text.mark(range(1, n_tokens))
                plan.forward(Batch.of([5] * n_tokens, text, "none"))
                assert len(text.snapshots) == text.most_snapshots
            else:
                text.reserve(n_tokens)
            texts.append(text)
            if len(texts) == 1:  # the buffers of passes are there
                gc.collect()
                before = resident()
        found = resident() - before
        wanted = (len(texts) - 1) * info.kv_bytes(n_tokens)
        assert found == pytest.approx(wanted, rel=0.05)
        if info.state_bytes:
            states = plan._pool.states
            assert states is not None
            n_used = states.n_used
            text.try_rows(16)
            plan.forward(Batch.of([5] * 16, text, "none"))
            n_bytes = (states.n_used - n_used) * states.block_bytes
            assert 0 < n_bytes <= info.draft_bytes + states.block_bytes
        for text in texts:
            text.close()
