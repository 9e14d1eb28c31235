"""Hyperparameters from the metadata of a GGUF file.

Keys are those of the GGUF specification, prefixed with the architecture's name;
defaults are llama.cpp's. Whether llamacy can run the architecture is not decided here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llamacy.arguments import MAX_CTX
from llamacy.config import (
    FamilyRules,
    ModelConfig,
    RopeConfig,
    family_rules,
)
from llamacy.formats.gguf.embedding import read_embedding
from llamacy.formats.gguf.experts import read_experts
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.known_keys import check_keys
from llamacy.formats.gguf.latent import read_latent
from llamacy.formats.gguf.layers import (
    read_layers,
    read_sizes,
    read_windows,
)
from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_LAYERS,
    MAX_VOCAB,
)
from llamacy.formats.gguf.rope import read_rope
from llamacy.formats.model_file import ModelFile

_N_TYPES: Final = "tokenizer.ggml.token_type_count"
_MAX_TYPES: Final = 1 << 10


def read_architecture(file: ModelFile) -> str:
    """Read the name of a model's family, which other keys begin with.

    Raises
    ------
    FormatError
        The file does not say.
    """
    return Keys(file, "").text("general.architecture")


def read_config(file: ModelFile) -> ModelConfig:
    """Read and check a model's hyperparameters.

    Parameters
    ----------
    file : ModelFile
        Open, or closed already: its metadata are needed, and its tensors' names.

    Returns
    -------
    ModelConfig
        The file's configuration. Its layers have sizes, windows and rotations;
        `llamacy.architectures` adds what else a family knows about them.

    Raises
    ------
    FormatError
        A key is missing, of another type, out of range, or does not go with another;
        the error names the key.
    UnsupportedError
        A layer without attention or without a feed-forward network, experts that are
        scaled, an unknown kind of RoPE scaling, or another key that changes the model.
    """
    architecture = read_architecture(file)
    keys, rules = Keys(file, architecture), family_rules(architecture)
    n_layer = _n_layer(keys)
    n_embd = keys.integer(".embedding_length", 1, MAX_EMBD)
    window, windowed_layers, windows = read_windows(keys, n_layer, rules)
    latent = read_latent(keys, rules)
    sizes = read_sizes(keys, n_embd, rules, windows, latent)
    head_dim = max(each.head_dim for each in sizes)
    n_ctx_train = keys.integer(".context_length", 1, MAX_CTX)
    config = ModelConfig(
        architecture=architecture,
        name=keys.text("general.name", default=""),
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=max(each.n_head for each in sizes),
        n_head_kv=max(each.n_head_kv for each in sizes),
        head_dim=head_dim,
        n_ff=max(each.n_ff for each in sizes),
        n_vocab=_n_vocab(keys),
        n_ctx_train=n_ctx_train,
        norm_eps=_norm_eps(keys, rules),
        rope=read_rope(keys, rules, head_dim, n_ctx_train)
        if head_dim
        else RopeConfig(n_dims=0),
        window=window,
        windowed_layers=windowed_layers,
        attention_scale=keys.constant(".attention.scale"),
        attention_softcap=keys.constant(".attn_logit_softcapping"),
        logit_softcap=keys.constant(".final_logit_softcapping"),
        embedding_scale=keys.constant(".embedding_scale") or rules.embedding_scale,
        residual_scale=keys.constant(".residual_scale")
        or rules.residual_scale(n_layer),
        logit_scale=keys.constant(".logit_scale") or rules.logit_scale(n_embd),
        n_embd_per_layer=_n_embd_per_layer(keys, rules),
        has_layer_norm=_has_layer_norm(keys, rules),
        has_learned_positions=rules.has_learned_positions,
        n_token_types=keys.integer(_N_TYPES, 0, _MAX_TYPES, default=0),
        is_causal=keys.flag(".attention.causal", rules.is_causal),
        has_parallel_residual=keys.flag(".use_parallel_residual", False),
        hidden_activation=_hidden_activation(keys, rules),
        experts=read_experts(keys, rules, n_layer),
        embedding=read_embedding(keys, rules, n_embd),
        has_mtp=_has_mtp(file, keys, n_layer),
    )
    check_keys(keys, architecture)
    layers = read_layers(keys, config, rules, sizes, windows, latent)
    return replace(config, layers=layers)


def _hidden_activation(keys: Keys, rules: FamilyRules) -> str:
    """Read the activation of networks, in families whose files name it."""
    key = ".hidden_activation"
    found = keys.text(key, default="")
    if not rules.activations:
        return found
    if found not in rules.activations:
        keys.refuse(key, f"one of {', '.join(filter(None, rules.activations))}", found)
    return rules.activations[found]


def _has_layer_norm(keys: Keys, rules: FamilyRules) -> bool:
    """Whether norms are layer norms; if models have either, the RMS norm's key says."""
    key = ".attention.layer_norm_rms_epsilon"
    if key[1:] not in rules.keys:
        return rules.has_layer_norm
    return keys.real(key, most=1.0, default=0.0, is_zero_allowed=True) == 0


def _n_layer(keys: Keys) -> int:
    """Count the layers without those that only predict further tokens at once."""
    n_all = keys.integer(".block_count", 1, MAX_LAYERS)
    keys.n_more_layers = keys.integer(".nextn_predict_layers", 0, n_all - 1, default=0)
    return n_all - keys.n_more_layers


def _has_mtp(file: ModelFile, keys: Keys, n_layer: int) -> bool:
    """Whether a single layer predicts further tokens, and the file has it."""
    projection = f"blk.{n_layer}.nextn.eh_proj.weight"
    return keys.n_more_layers == 1 and projection in file.tensors


def _norm_eps(keys: Keys, rules: FamilyRules) -> float:
    """Read what norms add; Nemotron-H's files have it for RMS norms by either key."""
    kind = "layer_norm_rms"
    is_by_other = rules.scan == "alone" and f".attention.{kind}_epsilon" not in keys
    if _has_layer_norm(keys, rules) or is_by_other:
        kind = "layer_norm"
    return keys.real(f".attention.{kind}_epsilon", most=1.0)


def _n_embd_per_layer(keys: Keys, rules: FamilyRules) -> int:
    key = "embedding_length_per_layer_input"
    if key not in rules.keys:
        return 0
    return keys.integer(f".{key}", 0, MAX_EMBD, default=0)


def _n_vocab(keys: Keys) -> int:
    """Count the vocabulary; in files without one, take what the key says."""
    tokens = keys.metadata.get("tokenizer.ggml.tokens")
    if tokens is None:
        return keys.integer(".vocab_size", 1, MAX_VOCAB)
    if not isinstance(tokens, list) or not 1 <= len(tokens) <= MAX_VOCAB:
        wanted = f"1 to {MAX_VOCAB} strings"
        keys.fail("tokenizer.ggml.tokens", wanted, tokens)
    return len(tokens)
