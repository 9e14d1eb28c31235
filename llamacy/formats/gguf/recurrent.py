"""The recurrent layers of a model in a GGUF file."""

from __future__ import annotations

from typing import Final

from llamacy.config import (
    DeltaRuleConfig,
    FamilyRules,
    ScanConfig,
    SelectiveScanConfig,
    ShortConvConfig,
)
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_FF,
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
)

KDA_HEAD_DIM: Final = "kda.head_dim"
NORM_EPS: Final = "ssm.norm_epsilon"
"""A key of llamacy's own, which GGUF has none for."""
_LEAST_DECAY: Final = "kda.gate_lower_bound"
_MAX_KERNEL: Final = 256


def read_recurrent_layers(
    keys: Keys, n_layer: int, rules: FamilyRules
) -> tuple[bool, ...]:
    """Read which layers are recurrent, of a family that counts those that attend.

    Of other families none is named here: layers without heads of keys are recurrent.

    Raises
    ------
    FormatError
        A value is of another type, out of range, or an array has another length.
    """
    if not rules.attention_period:
        return (False,) * n_layer
    flags = keys.flags(".attention.recurrent_layers", n_layer)
    if flags is not None:
        return flags
    key, default = ".full_attention_interval", rules.attention_period
    period = keys.integer(key, 1, MAX_LAYERS, default=default)
    return tuple((layer + 1) % period != 0 for layer in range(n_layer))


def read_recurrence(
    keys: Keys, rules: FamilyRules, n_head: int, is_causal: bool
) -> ShortConvConfig | DeltaRuleConfig | ScanConfig | SelectiveScanConfig:
    """Read the mixer that a recurrent layer of a model has.

    Parameters
    ----------
    keys : Keys
        The file's metadata.
    rules : FamilyRules
        The family's rules.
    n_head : int
        The layer's heads, in a family whose attention has as many.
    is_causal : bool
        Whether rows see nothing after them.

    Raises
    ------
    FormatError
        A size is missing, out of range, or does not go with another.
    UnsupportedError
        Rows see all of their text, and a kernel has no middle.
    """
    if rules.attention_period:
        return _delta_rule(keys)
    if rules.is_selective:
        return _selective_scan(keys)
    if rules.scan != "none":
        return read_scan(keys)
    if KDA_HEAD_DIM in rules.keys:
        return _kimi_delta(keys, rules, n_head)
    return _short_conv(keys, is_causal)


def _short_conv(keys: Keys, is_causal: bool) -> ShortConvConfig:
    """Read a convolution, whose middle is at the row if rows see all of their text."""
    key = ".shortconv.l_cache"
    n_kernel = keys.integer(key, 2, _MAX_KERNEL)
    if is_causal:
        return ShortConvConfig(n_kernel)
    if n_kernel % 2 == 0:
        keys.refuse(key, "an odd number in an encoder", n_kernel)
    return ShortConvConfig(n_kernel, n_after=n_kernel // 2)


def read_scan(keys: Keys) -> ScanConfig:
    """Read the scan of Mamba-2 that layers of a model have.

    Raises
    ------
    FormatError
        A size is missing, out of range, or does not go with another.
    """
    return ScanConfig(*_matrices(keys))


def _selective_scan(keys: Keys) -> SelectiveScanConfig:
    return SelectiveScanConfig(
        keys.integer(".ssm.inner_size", 1, MAX_FF),
        keys.integer(".ssm.state_size", 1, MAX_HEAD_DIM),
        keys.integer(".ssm.time_step_rank", 1, MAX_EMBD),
        keys.integer(".ssm.conv_kernel", 2, _MAX_KERNEL),
        keys.flag(".ssm.dt_b_c_rms", False),
        keys.real(f".{NORM_EPS}", most=1.0, default=0.0, is_zero_allowed=True),
    )


def _delta_rule(keys: Keys) -> DeltaRuleConfig:
    return DeltaRuleConfig(*_matrices(keys))


def _kimi_delta(keys: Keys, rules: FamilyRules, n_head: int) -> DeltaRuleConfig:
    head_dim = keys.integer(f".{KDA_HEAD_DIM}", 1, MAX_HEAD_DIM)
    n_kernel = keys.integer(".ssm.conv_kernel", 2, _MAX_KERNEL)
    least_decay = None
    if _LEAST_DECAY in rules.keys and keys.flag(".kda.safe_gate", True):
        least_decay = keys.below_zero(f".{_LEAST_DECAY}")
    return DeltaRuleConfig(
        *(n_head, n_head, head_dim, head_dim, n_kernel), least_decay=least_decay
    )


def _matrices(keys: Keys) -> tuple[int, int, int, int, int]:
    """Read heads, their groups, rows and columns of a matrix, and the kernel's size."""
    n_head = keys.integer(".ssm.time_step_rank", 1, MAX_HEADS)
    n_group = keys.integer(".ssm.group_count", 1, MAX_HEADS)
    if n_head % n_group:
        keys.fail(".ssm.group_count", f"a divisor of {n_head}", n_group)
    width = keys.integer(".ssm.inner_size", 1, MAX_HEADS * MAX_HEAD_DIM)
    if width % n_head or width // n_head > MAX_HEAD_DIM:
        wanted = f"{n_head} times 1 to {MAX_HEAD_DIM}"
        keys.fail(".ssm.inner_size", wanted, width)
    key_dim = keys.integer(".ssm.state_size", 1, MAX_HEAD_DIM)
    n_kernel = keys.integer(".ssm.conv_kernel", 2, _MAX_KERNEL)
    return n_head, n_group, key_dim, width // n_head, n_kernel
