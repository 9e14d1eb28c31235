"""The arguments of llama-cpp-python's constructor, and their meaning here."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from llamacy.errors import ArgumentError

_logger = logging.getLogger("llamacy")

# Arguments about where to compute and how to keep the weights, which change no result;
# and those that belong to arguments refused below.
_INDIFFERENT = frozenset(
    """n_gpu_layers split_mode main_gpu tensor_split use_mmap use_mlock n_batch n_ubatch
    n_threads_batch logits_all offload_kqv flash_attn op_offload swa_full no_perf numa
    spm_infill verbose""".split()
)
_BY_FILE = "llamacy takes it from the file"
_NO_EMBEDDINGS = "llamacy makes no embeddings"
# Arguments that would change results: the value that asks for nothing, and why any
# other is refused.
_REFUSED: dict[str, tuple[object, str]] = {
    "attention_type": (-1, _BY_FILE),
    "chat_handler": (None, "llamacy has none; chat_format takes a template"),
    "draft_model": (None, "llamacy has no speculative decoding"),
    "embedding": (False, _NO_EMBEDDINGS),
    "kv_overrides": (None, _BY_FILE),
    "lora_base": (None, "llamacy adds adapters beside any weights"),
    "pooling_type": (-1, _NO_EMBEDDINGS),
    "rope_freq_base": (0.0, _BY_FILE),
    "rope_freq_scale": (0.0, _BY_FILE),
    "rope_scaling_type": (-1, _BY_FILE),
    "tokenizer": (None, _BY_FILE),
    "vocab_only": (False, "llamacy.load_tokenizer reads a vocabulary alone"),
    "yarn_attn_factor": (1.0, _BY_FILE),
    "yarn_beta_fast": (32.0, _BY_FILE),
    "yarn_beta_slow": (1.0, _BY_FILE),
    "yarn_ext_factor": (-1.0, _BY_FILE),
    "yarn_orig_ctx": (0, _BY_FILE),
}
# ggml's numbers of the types a KV cache may have.
_KV_TYPES = {0: "f32", 1: "f16", 8: "q8_0"}


def check_constructor(arguments: Mapping[str, object]) -> None:
    """Check the constructor's arguments that llamacy does not use.

    Raises
    ------
    ArgumentError
        An argument would change results.
    """
    for name, (harmless, why) in _REFUSED.items():
        given = arguments.get(name)
        if given is not None and given != harmless:
            raise ArgumentError(f"{name}: wanted {harmless}, found {given!r}: {why}")
    indifferent = sorted(arguments.keys() & _INDIFFERENT)
    if indifferent:
        _logger.info("no difference here: %s", ", ".join(indifferent))
    # llama-cpp-python ignores these too, but a name may be a slip of the hand.
    unknown = sorted(arguments.keys() - _INDIFFERENT - _REFUSED.keys())
    if unknown:
        _logger.warning("unknown, and ignored: %s", ", ".join(unknown))


def kv_type(type_k: int | None, type_v: int | None) -> str:
    """Return llamacy's name of the KV cache's type.

    Parameters
    ----------
    type_k, type_v : int or None
        ggml's numbers of the types of keys and values; None is F16.

    Raises
    ------
    ArgumentError
        Keys and values differ in type, or llamacy does not have it.
    """
    numbers = [1 if given is None else given for given in (type_k, type_v)]
    for name, number in zip(("type_k", "type_v"), numbers, strict=True):
        if number not in _KV_TYPES:
            known = ", ".join(f"{key} ({kind})" for key, kind in _KV_TYPES.items())
            raise ArgumentError(f"{name}: wanted one of {known}, found {number!r}")
    if numbers[0] != numbers[1]:
        raise ArgumentError(
            f"type_v: wanted {numbers[0]}, the type of the keys, found {numbers[1]}"
        )
    return _KV_TYPES[numbers[0]]


class LlamaRAMCache:
    """Accepted and not used: llamacy always finds the beginnings of prompts."""

    def __init__(self, *_: object, **__: object) -> None:
        pass


class LlamaDiskCache(LlamaRAMCache):
    """Accepted and not used, too."""


LlamaCache = LlamaRAMCache
