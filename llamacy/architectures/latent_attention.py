"""Multi-head latent attention (DeepSeek-AI 2024, arXiv:2405.04434).

A row has one key for all heads: a latent, and dimensions that are rotated. A head's own
key and value are products of its matrices with the latent. Those products are absorbed:
the score of a query q with the key `W c` of a latent c is that of `W^T q` with c, and
the sum of values `V c` is V times that of the latents. So the heads attend to latents.
"""

from __future__ import annotations

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, required
from llamacy.config import LatentAttentionConfig, LayerConfig, ModelConfig
from llamacy.ops.state.specs import KeyValues


def latent_attention_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's matrices and norms.

    Matrices of single heads are in one tensor: those that queries are multiplied by,
    (n_head, n_latent, plain_dim), and those for results, (n_head, out_dim, n_latent).
    """
    mixer, n_embd = latent_mixer(layer), config.n_embd
    n_head, n_latent, n_q_latent = mixer.n_head, mixer.value_dim, mixer.n_q_latent
    n_q = n_head * (mixer.plain_dim + mixer.head_dim - n_latent)
    queries = {"attn_q.weight": required(n_q, n_embd)}
    if n_q_latent:
        queries = {
            "attn_q_a.weight": required(n_q_latent, n_embd),
            "attn_q_a_norm.weight": required(n_q_latent),
            "attn_q_b.weight": required(n_q, n_q_latent),
        }
    return {
        **queries,
        "attn_kv_a_mqa.weight": required(mixer.head_dim, n_embd),
        "attn_kv_a_norm.weight": required(n_latent),
        "attn_k_b.weight": required(n_head, n_latent, mixer.plain_dim),
        "attn_v_b.weight": required(n_head, mixer.out_dim, n_latent),
        "attn_output.weight": required(n_embd, n_head * mixer.out_dim),
    }


def latent_attention(block: Block, x: Value, gate: Value | None = None) -> Value:
    """Attend to latents: (M, n_embd) to (M, n_embd).

    A gate, (M, n_head), multiplies the results of each head.
    """
    ops, mixer = block.ops, latent_mixer(block.config)
    n_latent, n_rotated = mixer.value_dim, mixer.head_dim - mixer.value_dim
    both = block.linear(x, "attn_kv_a_mqa")
    latent = block.norm(ops.columns(both, 0, n_latent), "attn_kv_a_norm")
    rotated = ops.columns(both, n_latent, n_rotated)
    if mixer.rope is not None:
        rotated = ops.rope(rotated, block.model.rope(mixer.rope.of_keys, n_rotated))
    attended = ops.latent_attention(
        _queries(block, x),
        ops.join(latent, rotated),
        state=KeyValues(
            block.number, 1, mixer.head_dim, n_latent, mixer.window, is_latent=True
        ),
        scale=mixer.scale,
    )
    own = ops.head_linear(attended, block.weight("attn_v_b.weight"))
    gated = own if gate is None else ops.head_gate(own, gate)
    return block.linear(gated, "attn_output")


def latent_mixer(layer: LayerConfig) -> LatentAttentionConfig:
    """Return the mixer of a layer with latent attention."""
    assert isinstance(layer.mixer, LatentAttentionConfig)
    return layer.mixer


def _queries(block: Block, x: Value) -> Value:
    """Return queries of latents: (M, n_head * head_dim)."""
    ops, mixer = block.ops, latent_mixer(block.config)
    plain_dim, n_rotated = mixer.plain_dim, mixer.head_dim - mixer.value_dim
    if mixer.n_q_latent:
        x = block.norm(block.linear(x, "attn_q_a"), "attn_q_a_norm")
    q = block.linear(x, "attn_q_b" if mixer.n_q_latent else "attn_q")
    plain, rotated = (
        ops.columns(q, first, n, of=plain_dim + n_rotated)
        for first, n in ((0, plain_dim), (plain_dim, n_rotated))
    )
    if mixer.rope is not None:
        rotated = ops.rope(rotated, block.model.rope(mixer.rope, n_rotated))
        if mixer.rope.query_growth:
            plain = ops.rope(plain, block.model.growth(mixer.rope, plain_dim))
    absorbed = ops.head_linear(plain, block.weight("attn_k_b.weight"))
    return ops.join(absorbed, rotated, n_head=mixer.n_head)
