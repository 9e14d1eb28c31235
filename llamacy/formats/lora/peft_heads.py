"""PEFT's pair of the matrix that makes all heads' keys and values of a latent.

Models have it in two, of a matrix a head, those for keys turned: so `B @ A` becomes, of
each head, `A.T @ B.T` of its rows for keys, and `B @ A` of those for values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from llamacy.config import AttentionConfig, LatentAttentionConfig
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.latent import OF_BOTH, PARTS
from llamacy.formats.lora import Pair


def split_pair(
    path: Path, name: str, pair: Pair, mixer: AttentionConfig
) -> dict[str, Pair]:
    """Return the pairs of single heads' matrices by their names.

    Parameters
    ----------
    path : Path
        The adapter, for errors.
    name : str
        The matrix, `"blk.0.attn_kv_b.weight"`.
    pair : Pair
        A (rank, n_latent) and B, whose rows come head by head.
    mixer : AttentionConfig
        The layer's attention, to latents.

    Raises
    ------
    FormatError
        B has another number of rows.
    UnsupportedError
        The pair has magnitudes of rows, which are columns in the model.
    """
    assert isinstance(mixer, LatentAttentionConfig)
    if pair.magnitude is not None:
        field = f"tensor {name}.lora_magnitude_vector"
        raise UnsupportedError(path, field, "none of keys and values", "one")
    n_head, n_k, n_v = mixer.n_head, mixer.plain_dim, mixer.out_dim
    n_rows, rank = pair.b.shape
    if n_rows != n_head * (n_k + n_v):
        wanted = f"{n_head * (n_k + n_v)} rows, like the model's matrix"
        raise FormatError(path, f"tensor {name}.lora_b: shape", wanted, pair.b.shape)
    rows = pair.b.reshape(n_head, n_k + n_v, rank)
    keys, values = rows[:, :n_k].swapaxes(1, 2), rows[:, n_k:]
    a = np.repeat(pair.a[None], n_head, axis=0)
    pairs = pair._replace(a=keys, b=a.swapaxes(1, 2)), pair._replace(a=a, b=values)
    names = (name.replace(OF_BOTH, part) for part in PARTS)
    return dict(zip(names, pairs, strict=True))
