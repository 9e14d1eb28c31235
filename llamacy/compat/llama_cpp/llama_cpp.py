"""llama-cpp-python's low-level module: `llama_cpp.llama_cpp`.

Constants that are arguments of `Llama`, and the few functions of llama.cpp's C API that
scripts call beside `Llama`. Any other function of that API can be imported, and raises
UnsupportedCallError when it is called: llamacy's objects are not llama.cpp's.

Source of the numbers: ggml.h and llama.h of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import Array, c_char
from typing import NoReturn

from llamacy.errors import UnsupportedCallError
from llamacy.tokenizers.base import Tokenizer

GGML_TYPE_F32 = 0
GGML_TYPE_F16 = 1
GGML_TYPE_Q4_0 = 2
GGML_TYPE_Q4_1 = 3
GGML_TYPE_Q5_0 = 6
GGML_TYPE_Q5_1 = 7
GGML_TYPE_Q8_0 = 8
GGML_TYPE_IQ4_NL = 20
GGML_NUMA_STRATEGY_DISABLED = 0
GGML_NUMA_STRATEGY_DISTRIBUTE = 1
GGML_NUMA_STRATEGY_ISOLATE = 2
GGML_NUMA_STRATEGY_NUMACTL = 3
GGML_NUMA_STRATEGY_MIRROR = 4
LLAMA_DEFAULT_SEED = 0xFFFFFFFF
LLAMA_TOKEN_NULL = -1
LLAMA_MAX_DEVICES = 1
LLAMA_SPLIT_MODE_NONE = 0
LLAMA_SPLIT_MODE_LAYER = 1
LLAMA_SPLIT_MODE_ROW = 2
LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED = -1
LLAMA_ROPE_SCALING_TYPE_NONE = 0
LLAMA_ROPE_SCALING_TYPE_LINEAR = 1
LLAMA_ROPE_SCALING_TYPE_YARN = 2
LLAMA_ROPE_SCALING_TYPE_LONGROPE = 3
LLAMA_POOLING_TYPE_UNSPECIFIED = -1
LLAMA_POOLING_TYPE_NONE = 0
LLAMA_POOLING_TYPE_MEAN = 1
LLAMA_POOLING_TYPE_CLS = 2
LLAMA_POOLING_TYPE_LAST = 3
LLAMA_POOLING_TYPE_RANK = 4
LLAMA_ATTENTION_TYPE_UNSPECIFIED = -1
LLAMA_ATTENTION_TYPE_CAUSAL = 0
LLAMA_ATTENTION_TYPE_NON_CAUSAL = 1

_PREFIXES = ("llama_", "ggml_")


def llama_backend_init() -> None:
    """Do nothing: there is nothing to begin."""


def llama_backend_free() -> None:
    """Do nothing: `Llama.close` frees all memory."""


def llama_max_devices() -> int:
    """Return the number of devices to compute on: 1, the CPU."""
    return LLAMA_MAX_DEVICES


def llama_supports_mmap() -> bool:
    """Return False: weights are packed into memory of their own."""
    return False


def llama_supports_mlock() -> bool:
    """Return False: memory is not locked."""
    return False


def llama_supports_gpu_offload() -> bool:
    """Return False: llamacy computes on the CPU."""
    return False


def llama_model_get_vocab(model: Tokenizer) -> Tokenizer:
    """Return the vocabulary of `Llama.model`."""
    return model


def llama_token_to_piece(
    vocab: Tokenizer,
    token: int,
    buf: Array[c_char] | bytes,
    length: int,
    lstrip: int,
    special: bool,
    /,
) -> int:
    """Write the bytes of a token.

    Parameters
    ----------
    vocab : Tokenizer
        Of `llama_model_get_vocab`.
    token : int
        The token.
    buf : ctypes array of c_char
        Where to write, at least `length` bytes long.
    length : int
        Most bytes to write.
    lstrip : int
        Most spaces to leave out at the beginning.
    special : bool
        Whether to write the name of a control token, which otherwise has no bytes.

    Returns
    -------
    int
        The number of bytes; if `length` is too small, its negative, and nothing is
        written.

    Raises
    ------
    ArgumentError
        There is no such token.
    """
    data = vocab.token_bytes(token)
    if special and not data:
        data = vocab.piece(token).encode()
    n_spaces = len(data) - len(data.lstrip(b" "))
    data = data[min(n_spaces, lstrip) :]
    if len(data) > length:
        return -len(data)
    for at, byte in enumerate(data):
        buf[at] = bytes([byte])  # type: ignore[index]
    return len(data)


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if not name.startswith(_PREFIXES):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def unsupported(*_: object, **__: object) -> NoReturn:
        raise UnsupportedCallError(
            f"{name}: llamacy does not have llama.cpp's C API; the class Llama has "
            "llama-cpp-python's own calls"
        )

    return unsupported
