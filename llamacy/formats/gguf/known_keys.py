"""A family's keys in a GGUF file: each is read, harmless, or refused by its name.

llama.cpp passes over keys that it does not read. A key that would change what is
computed is refused here, and one that nobody knows is named in a warning in the log.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import numpy as np

from llamacy.config import family_rules
from llamacy.formats.gguf.embedding import EMBEDDING_KEYS
from llamacy.formats.gguf.keys import Keys
from llamacy.printable import shown

USED: Final = frozenset(
    "vocab_size context_length embedding_length block_count nextn_predict_layers "
    "feed_forward_length "
    "expert_count expert_used_count expert_weights_scale expert_weights_norm "
    "expert_feed_forward_length expert_shared_feed_forward_length "
    "attention.head_count attention.head_count_kv attention.key_length "
    "attention.value_length attention.key_length_swa attention.value_length_swa "
    "attention.layer_norm_rms_epsilon attention.scale attention.sliding_window "
    "attention.sliding_window_pattern attention.causal attn_logit_softcapping "
    "final_logit_softcapping "
    "embedding_scale residual_scale logit_scale rope.dimension_count "
    "rope.dimension_count_swa rope.freq_base rope.freq_base_swa rope.scale_linear "
    "rope.scaling.type rope.scaling.factor rope.scaling.original_context_length "
    "rope.scaling.attn_factor rope.scaling.finetuned rope.scaling.yarn_ext_factor "
    "rope.scaling.yarn_attn_factor rope.scaling.yarn_beta_fast "
    "rope.scaling.yarn_beta_slow rope.scaling.dynamic_factor".split()
)
"""Keys that are read, without the family's name before them."""

HARMLESS: Final = frozenset(
    # about rows of weights, and norms of other kinds
    "tensor_data_layout attention.layer_norm_epsilon "
    # of images and sounds, whose tokens are not there
    "rope.dimension_sections n_deepstack_layers deepstack_mapping "
    # of drafting, and of other programs
    "decoder_start_token_id target_layers target_hidden_size".split()
)
"""Keys that change nothing about the logits of a text."""

NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "attention.max_alibi_bias": (0,),
    "attention.clamp_kqv": (0,),
    "attention.output_scale": (0, 1),
    "attention.value_scale": (0, 1),
    "attention.temperature_scale": (0,),
    "attention.temperature_length": (0,),
    "attention.q_lora_rank": (0,),
    "attention.kv_lora_rank": (0,),
    "attention.shared_kv_layers": (0,),
    "attention.relative_buckets_count": (0,),
    "attention.rope_pattern": (),
    "attention.recurrent_layers": (),
    "activation_sparsity_scale": (),
    "embedding_length_per_layer_input": (0,),
    "embedding_length_out": (0,),
    "expert_gating_func": (0, 1),
    "expert_group_count": (0, 1),
    "expert_group_used_count": (0, 1),
    "expert_shared_count": (0,),
    "expert_latent_length": (0,),
    "experts_per_group": (0,),
    "hidden_activation": (),
    "interleave_moe_layer_step": (0, 1),
    "moe_every_n_layers": (0, 1),
    "moe_latent_size": (0,),
    "kda.gate_lower_bound": (),
    "kda.head_dim": (0,),
    "kda.safe_gate": (False,),
    "leading_dense_block_count": (0,),
    "full_attention_interval": (0, 1),
    "num_loops": (0, 1),
    "rope.scaling.alpha": (0, 1),
    "rope.scaling.yarn_log_multiplier": (0,),
    "swiglu_clamp_exp": (0,),
    "swiglu_clamp_shexp": (0,),
    "token_shift_count": (0,),
    "use_parallel_residual": (False,),
    "ssm.conv_kernel": (0,),
    "ssm.state_size": (0,),
    "ssm.dt_b_c_rms": (False,),
    "wkv.head_size": (0,),
}
"""Keys that change the model, with the values that do not."""

ROTATED: Final = "prism.hadamard."
"""The beginning of keys of any family that say that weights are rotated (Bonsai 2)."""

_TYPES: Final = ("model", "")
_SHARED: Final = ("general.", "tokenizer.", "split.", "quantize.")
_N_NAMED: Final = 8  # keys named in the log

_logger = logging.getLogger("llamacy")


def check_keys(keys: Keys, architecture: str) -> None:
    """Look for keys that nobody reads.

    Parameters
    ----------
    keys : Keys
        The file's metadata.
    architecture : str
        The family.

    Raises
    ------
    UnsupportedError
        A key changes the model in a way that llamacy does not know, or the file is not
        that of a model.
    """
    kind = keys.text("general.type", default="model")
    if kind not in _TYPES:
        keys.refuse("general.type", "model", kind)
    prefix, rules = f"{architecture}.", family_rules(architecture)
    unknown, strange = [], []
    for key, value in keys.metadata.items():
        if not key.startswith(prefix):
            if key.startswith(ROTATED):
                keys.refuse(key, "no such key: weights that are not rotated", value)
            if not key.startswith(_SHARED) and key not in rules.constants:
                strange.append(key)
            continue
        own = key.removeprefix(prefix)
        if own in rules.keys:
            continue
        neutral = NEUTRAL.get(own)
        if neutral is not None:
            if not _is_one_of(value, neutral):
                wanted = f"{neutral[0]}" if neutral else "no such key"
                keys.refuse(key, wanted, value)
        elif own not in USED | HARMLESS | EMBEDDING_KEYS:
            unknown.append(key)
    if unknown:
        _logger.warning(
            "%s: %s passed over: keys that llamacy does not know",
            keys.path,
            _named(unknown),
        )
    if strange:
        _logger.info(
            "%s: %s passed over: keys of no family", keys.path, _named(strange)
        )


def _is_one_of(value: Any, neutral: tuple[Any, ...]) -> bool:
    if isinstance(value, np.ndarray):
        return all(each in neutral for each in value[:4096].tolist())
    return value in neutral


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    return ", ".join(map(shown, names[:_N_NAMED])) + more
