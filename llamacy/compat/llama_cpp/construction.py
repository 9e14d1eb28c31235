"""The arguments of llama-cpp-python's constructor, and their meaning here."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llamacy.arguments import short
from llamacy.compat.llama_cpp.ignoring import tell
from llamacy.config.rope import RopeConfig
from llamacy.errors import ArgumentError
from llamacy.ops.batch import MAX_BATCH, N_BATCH

USED = frozenset(
    """model_path n_ctx n_threads n_ubatch seed last_n_tokens_size chat_format
    chat_handler type_k type_v lora_path lora_scale rope_freq_base rope_freq_scale
    verbose draft_model""".split()
)
"""Arguments that have an effect."""

IGNORED: dict[str, tuple[object, ...]] = {
    "flash_attn": (False,),
    "logits_all": (False, True),
    "lora_base": (None,),
    "main_gpu": (0,),
    "n_batch": (512,),
    "n_gpu_layers": (0,),
    "n_threads_batch": (None, 0),
    "no_perf": (False, True),
    "numa": (False, 0),
    "offload_kqv": (True,),
    "op_offload": (None,),
    "spm_infill": (False,),
    "split_mode": (1,),
    "swa_full": (None,),
    "tensor_split": (None,),
    "use_mlock": (False,),
    "use_mmap": (True,),
    # of older versions, which LangChain still sends
    "f16_kv": (True,),
    "n_parts": (-1,),
}
"""Arguments that change no result, and the values that no warning is worth."""

_BY_FILE = "llamacy takes it from the file"
REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "attention_type": ((-1, 0), _BY_FILE),
    "kv_overrides": ((None, {}), _BY_FILE),
    "rope_scaling_type": ((-1, None), _BY_FILE),
    "tokenizer": ((None,), _BY_FILE),
    "vocab_only": ((False,), "llamacy.load_tokenizer reads a vocabulary alone"),
    "yarn_attn_factor": ((1.0,), _BY_FILE),
    "yarn_beta_fast": ((32.0,), _BY_FILE),
    "yarn_beta_slow": ((1.0,), _BY_FILE),
    "yarn_ext_factor": ((-1.0,), _BY_FILE),
    "yarn_orig_ctx": ((0,), _BY_FILE),
}
"""Arguments that would change results: the values that ask for nothing, and why any
other is refused."""

_KV_TYPES = {0: "f32", 1: "f16", 8: "q8_0"}
"""ggml's numbers of the types a KV cache may have."""


@dataclass(frozen=True, slots=True)
class ContextParams:
    """Sizes of a Llama, under the names of llama.cpp's structure."""

    n_ctx: int
    n_batch: int
    n_ubatch: int
    n_threads: int
    n_threads_batch: int


def check_constructor(
    arguments: Mapping[str, object], *, verbose: bool, stacklevel: int
) -> None:
    """Check the constructor's arguments that llamacy does not use.

    Parameters
    ----------
    arguments : mapping
        Arguments by name.
    verbose : bool
        Whether to warn of ignored ones.
    stacklevel : int
        Frames between this function and the constructor's caller.

    Raises
    ------
    ArgumentError
        An argument would change results.
    """
    for name, (harmless, why) in REFUSED.items():
        given = arguments.get(name, harmless[0])
        if given not in harmless:
            raise ArgumentError(
                f"{name}: wanted {harmless[0]}, found {short(given)}: {why}"
            )
    unused = [
        name
        for name, harmless in IGNORED.items()
        if arguments.get(name, harmless[0]) not in harmless
    ]
    why = "llamacy computes on the CPU in its own way"
    tell(unused, why, verbose=verbose, stacklevel=stacklevel + 1)
    unknown = list(_unknown(arguments))
    why = "llama-cpp-python does not know them either"
    tell(unknown, why, verbose=verbose, stacklevel=stacklevel + 1)


def _unknown(arguments: Mapping[str, object]) -> Iterator[str]:
    """Yield unknown names, with what may have been meant."""
    known = USED | IGNORED.keys() | REFUSED.keys()
    for name in sorted(arguments.keys() - known):
        close = difflib.get_close_matches(name, known, 1, 0.75)
        yield f"{name} (did you mean {close[0]}?)" if close else name


def check_rope(
    freq_base: float,
    freq_scale: float,
    own: RopeConfig,
    *,
    verbose: bool,
    stacklevel: int,
) -> None:
    """Check that the RoPE asked for is the file's own.

    0 asks for nothing. 10000.0 and 1.0 are the defaults of libraries, LangChain's among
    them, that send a value with every model; most models have another base, and would
    write nonsense with this one. They are ignored.

    Raises
    ------
    ArgumentError
        Another value than the file's.
    """
    foreign = []
    for name, given, usual, wanted in (
        ("rope_freq_base", freq_base, 10000.0, own.freq_base),
        ("rope_freq_scale", freq_scale, 1.0, 1 / own.factor),
    ):
        if not given or math.isclose(given, wanted, rel_tol=1e-6):
            continue
        if given != usual:
            raise ArgumentError(
                f"{name}: wanted 0.0, or {wanted:g} as in the file, "
                f"found {short(given)}: "
                f"{_BY_FILE}"
            )
        foreign.append(name)
    tell(foreign, _BY_FILE, verbose=verbose, stacklevel=stacklevel + 1)


def rows_of_a_pass(n_ubatch: int) -> int:
    """Return llamacy's `n_batch` for llama.cpp's physical batch size; 0 is its own.

    llama.cpp's `n_batch` only bounds one call of its decoder, and has no counterpart:
    LangChain's 8 would make prompts slow, and change nothing else.
    """
    return min(n_ubatch, MAX_BATCH) if n_ubatch > 0 else N_BATCH


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
            raise ArgumentError(f"{name}: wanted one of {known}, found {short(number)}")
    if numbers[0] != numbers[1]:
        raise ArgumentError(
            f"type_v: wanted {numbers[0]}, the type of the keys, found {numbers[1]}"
        )
    return _KV_TYPES[numbers[0]]
