"""Both forms of the gated delta rule are both forms that transformers has of it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.reference.chunks import delta_rule_chunks
from llamacy.ops.reference.recurrence import delta_rule_row

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is absent")

Array = NDArray[np.float32]

N_ROWS, N_KEY_HEAD, N_HEAD, KEY_DIM, VALUE_DIM = 150, 2, 4, 16, 24
MODELS = "transformers.models"
QWEN = f"{MODELS}.qwen3_5.modeling_qwen3_5"
KIMI = f"{MODELS}.kimi_linear.modeling_kimi_linear"
RULES = [
    (QWEN, "torch_recurrent_gated_delta_rule"),
    (QWEN, "torch_chunk_gated_delta_rule"),
    (KIMI, "recurrent_kimi_delta_attention"),
    (KIMI, "chunk_kimi_delta_attention"),
]


@pytest.mark.parametrize(("module", "name"), RULES)
def test_delta_rule(module: str, name: str) -> None:
    rng = np.random.default_rng(0)
    has_row_decays = module == KIMI
    n_key_head = N_HEAD if has_row_decays else N_KEY_HEAD

    def noise(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    q, k = (noise(N_ROWS, n_key_head, KEY_DIM) for _ in "qk")
    v, start = noise(N_ROWS, N_HEAD, VALUE_DIM), noise(N_HEAD, KEY_DIM, VALUE_DIM)
    n_decays = KEY_DIM if has_row_decays else 1
    decay = np.abs(noise(N_ROWS, N_HEAD, n_decays)) * np.float32(-0.25)
    beta = np.reciprocal(1 + np.exp(noise(N_ROWS, N_HEAD)))

    def tensor(x: Array) -> Any:
        return torch.from_numpy(x)[None]

    wanted = getattr(import_module(module), name)(
        tensor(q),
        tensor(k),
        tensor(v),
        g=tensor(decay if has_row_decays else decay[..., 0]),
        beta=tensor(beta),
        initial_state=tensor(start),
        output_final_state=True,
        use_qk_l2norm_in_kernel=True,
    )
    shared = np.arange(N_HEAD) // (N_HEAD // n_key_head)
    q, k = _normed(q)[:, shared] * np.float32(KEY_DIM**-0.5), _normed(k)[:, shared]
    matrices, rows = start, []
    for row in zip(q, k, v, decay, beta, strict=True):
        y, matrices = delta_rule_row(matrices, *row)
        rows.append(y)
    chunks = delta_rule_chunks(start, q, k, v, decay, beta)
    for found in ((np.array(rows), matrices), chunks):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b.numpy()[0], atol=2e-6, rtol=0)


def _normed(x: Array) -> Array:
    y: Array = x / np.sqrt(np.square(x).sum(axis=-1, keepdims=True) + np.float32(1e-6))
    return y
