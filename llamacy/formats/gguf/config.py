"""Hyperparameters from the metadata of a GGUF file.

Keys are those of the GGUF specification, prefixed with the architecture's name;
defaults are llama.cpp's. Whether the architecture is one llamacy can run is not
decided here. Limits lie far beyond any real model: they keep absurd numbers from
becoming absurd allocations further up.
"""

from __future__ import annotations

from typing import Final

from llamacy.arguments import MAX_CTX
from llamacy.config import ExpertConfig, ModelConfig, RopeConfig
from llamacy.formats.gguf.keys import MAX_SCALE, MIN_SCALE, Keys
from llamacy.formats.model_file import ModelFile

MAX_LAYERS: Final = 1 << 12
MAX_EMBD: Final = 1 << 20
MAX_HEADS: Final = 1 << 16
MAX_HEAD_DIM: Final = 1 << 16
MAX_FF: Final = 1 << 24
MAX_EXPERTS: Final = 1 << 9  # llama.cpp's own
MAX_VOCAB: Final = 1 << 24
MAX_FREQ_BASE: Final = 1e15

_SCALINGS: Final = ("none", "linear", "yarn", "longrope")


def read_architecture(file: ModelFile) -> str:
    """Read the name of a model's family, which other keys begin with.

    Raises
    ------
    FormatError : the file does not say.
    """
    return Keys(file, "").text("general.architecture")


def read_config(file: ModelFile) -> ModelConfig:
    """Read and check a model's hyperparameters.

    Parameters
    ----------
    file : open, or closed already: only its metadata are needed.

    Raises
    ------
    FormatError : a key is missing, of another type, out of range, or does not go
        with another; it names the key.
    UnsupportedError : layers that differ from one another, keys and values of
        different lengths, or a kind of RoPE scaling not known here.
    """
    architecture = read_architecture(file)
    keys = Keys(file, architecture)
    n_layer = keys.integer(".block_count", 1, MAX_LAYERS)
    n_embd = keys.integer(".embedding_length", 1, MAX_EMBD)
    n_head = keys.per_layer(".attention.head_count", n_layer, MAX_HEADS)
    n_head_kv = keys.per_layer(
        ".attention.head_count_kv", n_layer, MAX_HEADS, default=n_head
    )
    if n_head % n_head_kv:
        keys.fail(".attention.head_count_kv", f"a divisor of {n_head}", n_head_kv)
    head_dim = _head_dim(keys, n_embd, n_head)
    n_ctx_train = keys.integer(".context_length", 1, MAX_CTX)
    return ModelConfig(
        architecture=architecture,
        name=keys.text("general.name", default=""),
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_dim=head_dim,
        n_ff=keys.per_layer(".feed_forward_length", n_layer, MAX_FF),
        n_vocab=_n_vocab(keys),
        n_ctx_train=n_ctx_train,
        norm_eps=keys.real(".attention.layer_norm_rms_epsilon", most=1.0),
        rope=_rope(keys, head_dim, n_ctx_train),
        window=keys.integer(".attention.sliding_window", 0, MAX_CTX, default=0) or None,
        windowed_layers=_windowed_layers(keys, n_layer),
        attention_scale=keys.constant(".attention.scale"),
        attention_softcap=keys.constant(".attn_logit_softcapping"),
        logit_softcap=keys.constant(".final_logit_softcapping"),
        embedding_scale=keys.constant(".embedding_scale") or 1.0,
        residual_scale=keys.constant(".residual_scale") or 1.0,
        logit_scale=keys.constant(".logit_scale") or 1.0,
        experts=_experts(keys),
    )


def _head_dim(keys: Keys, n_embd: int, n_head: int) -> int:
    key = ".attention.key_length"
    if key not in keys and n_embd % n_head:
        keys.fail(".attention.head_count", f"a divisor of {n_embd}", n_head)
    head_dim = keys.integer(key, 1, MAX_HEAD_DIM, default=n_embd // n_head)
    key = ".attention.value_length"
    value_dim = keys.integer(key, 1, MAX_HEAD_DIM, default=n_embd // n_head)
    if value_dim != head_dim:
        keys.refuse(key, f"{head_dim}, the length of keys", value_dim)
    return head_dim


def _windowed_layers(keys: Keys, n_layer: int) -> tuple[bool, ...] | None:
    """Read which layers have a window: each by itself, or all but every n-th."""
    key = ".attention.sliding_window_pattern"
    if key not in keys:
        return None
    if (flags := keys.flags(key, n_layer)) is not None:
        return flags
    period = keys.integer(key, 0, MAX_LAYERS)
    return tuple(not period or i % period < period - 1 for i in range(n_layer))


def _experts(keys: Keys) -> ExpertConfig | None:
    n_expert = keys.integer(".expert_count", 0, MAX_EXPERTS, default=0)
    if n_expert == 0:
        return None
    key = ".expert_weights_scale"
    scale = keys.real(key, most=MAX_SCALE, default=1.0, is_zero_allowed=True)
    if scale not in (0, 1):  # either means none
        keys.refuse(key, "1", scale)
    shared, norm = ".expert_shared_feed_forward_length", ".expert_weights_norm"
    return ExpertConfig(
        n_expert=n_expert,
        n_used=keys.integer(".expert_used_count", 1, n_expert),
        n_ff=keys.integer(".expert_feed_forward_length", 0, MAX_FF, default=0),
        n_ff_shared=keys.integer(shared, 0, MAX_FF, default=0),
        is_normalized=keys.flag(norm, False) if norm in keys else None,
    )


def _n_vocab(keys: Keys) -> int:
    """Count the vocabulary; in files without one, take what the key says."""
    tokens = keys.metadata.get("tokenizer.ggml.tokens")
    if tokens is None:
        return keys.integer(".vocab_size", 1, MAX_VOCAB)
    if not isinstance(tokens, list) or not 1 <= len(tokens) <= MAX_VOCAB:
        wanted = f"1 to {MAX_VOCAB} strings"
        keys.fail("tokenizer.ggml.tokens", wanted, tokens)
    return len(tokens)


def _rope(keys: Keys, head_dim: int, n_ctx_train: int) -> RopeConfig:
    n_dims = keys.integer(".rope.dimension_count", 2, head_dim, default=head_dim)
    if n_dims % 2:
        keys.fail(".rope.dimension_count", "an even number", n_dims)
    freq_base = _freq_base(keys, ".rope.freq_base")
    scaling = keys.text(".rope.scaling.type", default="linear")
    if scaling not in _SCALINGS:
        keys.refuse(".rope.scaling.type", f"one of {', '.join(_SCALINGS)}", scaling)
    factor = _rope_factor(keys)
    if scaling == "none" or (scaling == "linear" and factor == 1):
        scaling, factor = "none", 1.0
    ext_factor = 0.0
    if scaling == "yarn":
        if factor < 1:
            keys.fail(".rope.scaling.factor", "at least 1 for YaRN", factor)
        ext_factor = keys.share(".rope.scaling.yarn_ext_factor", default=1.0)
    attn_factor = keys.scale(".rope.scaling.attn_factor")
    if ext_factor == 0:  # llama.cpp replaces this one where YaRN extrapolates
        attn_factor *= keys.scale(".rope.scaling.yarn_attn_factor")
    key = ".rope.scaling.original_context_length"
    local = ".rope.freq_base_swa"
    return RopeConfig(
        n_dims=n_dims,
        freq_base=freq_base,
        scaling=scaling,
        factor=factor,
        n_ctx_orig=keys.integer(key, 0, MAX_CTX, default=0) or n_ctx_train,
        attn_factor=attn_factor,
        ext_factor=ext_factor,
        beta_fast=keys.scale(".rope.scaling.yarn_beta_fast", default=32.0),
        beta_slow=keys.scale(".rope.scaling.yarn_beta_slow"),
        local_freq_base=_freq_base(keys, local) if local in keys else None,
        is_finetuned=keys.flag(".rope.scaling.finetuned", True),
    )


def _freq_base(keys: Keys, key: str) -> float:
    freq_base = keys.real(key, most=MAX_FREQ_BASE, default=10000.0)
    if freq_base <= 1:
        keys.fail(key, "more than 1", freq_base)
    return freq_base


def _rope_factor(keys: Keys) -> float:
    """Read the newer key, or else the older one; 0 means that there is no scaling."""
    for key in (".rope.scaling.factor", ".rope.scale_linear"):
        if key in keys:
            found = keys.real(
                key, most=MAX_SCALE, least=MIN_SCALE, is_zero_allowed=True
            )
            return found or 1.0
    return 1.0
