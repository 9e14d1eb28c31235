"""A LLaMA in PyTorch, whose parameters have GGUF's names.

Grouped-query attention, SwiGLU, and one matrix as both embedding and output matrix.
RoPE rotates the two halves of a head against each other, which is faster here than
ggml's neighbouring pairs; `exporting` reorders the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Distances, in tokens, at which the first layer's heads initially look back.
LOOK_BACK = (1,)


@dataclass(frozen=True)
class Shape:
    """Hyperparameters; row lengths are multiples of 256, which the K types need."""

    n_vocab: int
    bos_id: int = 1
    n_layer: int = 6
    n_embd: int = 256
    n_head: int = 4
    n_head_kv: int = 2
    n_ff: int = 512
    n_ctx: int = 512
    rope_freq_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        """Size of a head."""
        return self.n_embd // self.n_head


class Block(nn.Module):  # type: ignore[misc]
    """A layer: attention and a gated feed-forward network, each behind a norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        n_embd, n_kv = shape.n_embd, shape.n_head_kv * shape.head_dim
        self.head_dim = shape.head_dim
        self.attn_norm = nn.RMSNorm(n_embd, shape.norm_eps)
        self.attn_q = nn.Linear(n_embd, n_embd, bias=False)
        self.attn_k = nn.Linear(n_embd, n_kv, bias=False)
        self.attn_v = nn.Linear(n_embd, n_kv, bias=False)
        self.attn_output = nn.Linear(n_embd, n_embd, bias=False)
        self.ffn_norm = nn.RMSNorm(n_embd, shape.norm_eps)
        self.ffn_gate = nn.Linear(n_embd, shape.n_ff, bias=False)
        self.ffn_up = nn.Linear(n_embd, shape.n_ff, bias=False)
        self.ffn_down = nn.Linear(shape.n_ff, n_embd, bias=False)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, time, n_embd); mask: (batch, 1, time, time), added to scores."""
        x = x + self._attention(self.attn_norm(x), rotation, mask)
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))

    def _attention(self, x: Tensor, rotation: Tensor, mask: Tensor) -> Tensor:
        def heads(rows: Tensor) -> Tensor:  # (batch, head, time, head_dim)
            return rows.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

        q = rotate(heads(self.attn_q(x)), rotation)
        k = rotate(heads(self.attn_k(x)), rotation)
        v = heads(self.attn_v(x))
        n_shared = q.shape[1] // k.shape[1]
        k, v = (each.repeat_interleave(n_shared, 1) for each in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype))
        return self.attn_output(y.transpose(1, 2).flatten(-2))


class Network(nn.Module):  # type: ignore[misc]
    """The whole model: token ids in, logits out."""

    rotation: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.n_vocab, shape.n_embd)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.n_layer))
        self.output_norm = nn.RMSNorm(shape.n_embd, shape.norm_eps)
        self.register_buffer("rotation", rotation(shape), persistent=False)
        self._initialize()

    def _initialize(self) -> None:
        # Large, so that the layers' additions do not drown the token's identity, which
        # copying needs; the last norm compensates, so that logits stay small.
        nn.init.normal_(self.token_embd.weight)
        nn.init.constant_(self.output_norm.weight, self.shape.n_embd**-0.5)
        for name, weight in self.blk.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                nn.init.zeros_(weight)  # each layer begins as the identity
        with torch.no_grad():
            for head_kv, distance in enumerate(LOOK_BACK):
                self._look_back(head_kv, distance)

    def _look_back(self, head_kv: int, distance: int) -> None:
        """Initialise a head of the first layer to attend `distance` tokens back.

        To continue a phrase seen before, a network must know the words before each
        word. Learning to look there takes a network this small longer than all else.
        """
        shape, block = self.shape, self.blk[0]
        self.token_embd.weight[:, 0] = 2.0  # the same for all tokens: no content
        frequencies = shape.rope_freq_base ** -_exponents(shape)
        strength = torch.where(frequencies > 0.08, 3.0, 0.0)  # slow ones: no position
        turned = -distance * frequencies
        k = block.attn_k.weight.unflatten(0, (shape.n_head_kv, -1))[head_kv]
        q = block.attn_q.weight.unflatten(0, (shape.n_head_kv, -1, shape.head_dim))
        k.mul_(0.3)[:, 0] = torch.cat((strength, torch.zeros_like(strength)))
        q[head_kv].mul_(0.3)[..., 0] = torch.cat(
            (strength * turned.cos(), strength * turned.sin())
        )

    def forward(self, ids: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Return the logits of every position, or of those that are `wanted`.

        Parameters
        ----------
        ids : int64, (batch, time)
            Documents one after another; each begins with `bos_id` and attends to
            itself alone.
        wanted : bool, (batch, time), optional
            Positions whose logits to compute.

        Returns
        -------
        float, (batch, time, n_vocab) or (n_wanted, n_vocab)
            Logits.
        """
        x = self.token_embd(ids)
        mask = causal_mask(ids == self.shape.bos_id)
        for block in self.blk:
            x = block(x, self.rotation[: ids.shape[1]], mask)
        if wanted is not None:
            x = x[wanted]
        return F.linear(self.output_norm(x), self.token_embd.weight)


def causal_mask(begins: Tensor) -> Tensor:
    """Return the mask that lets tokens attend to earlier ones of their document.

    `begins`, bool (batch, time), says where documents begin. The mask, (batch, 1, time,
    time), is 0 where a token may attend, and -inf elsewhere.
    """
    document = begins.cumsum(1)
    same = (document[:, :, None] == document[:, None, :]).tril()
    return torch.zeros(same.shape).masked_fill(~same, float("-inf")).unsqueeze(1)


def rotation(shape: Shape) -> Tensor:
    """Return cosines and sines of each position's angles: (n_ctx, head_dim / 2, 2)."""
    frequencies = shape.rope_freq_base ** -_exponents(shape)
    angles = torch.outer(torch.arange(shape.n_ctx), frequencies)
    return torch.stack((angles.cos(), angles.sin()), -1)


def _exponents(shape: Shape) -> Tensor:
    return torch.arange(0, shape.head_dim, 2) / shape.head_dim


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate the halves of x (..., time, head_dim) by their position's angles."""
    cos, sin = rotation.to(x.dtype).unbind(-1)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
