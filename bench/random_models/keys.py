"""Metadata that the shapes of several models share."""

from __future__ import annotations

from typing import Any

from random_models.shape import OfLayers


def sizes(
    n_embd: int,
    n_head: int | OfLayers,
    n_head_kv: int | OfLayers,
    head_dim: int,
    n_ff: int | OfLayers,
    **more: Any,
) -> dict[str, Any]:
    """Return the keys that all models have; underscores twice stand for dots."""
    return {
        ".context_length": 8192,
        ".embedding_length": n_embd,
        ".feed_forward_length": n_ff,
        ".attention.head_count": n_head,
        ".attention.head_count_kv": n_head_kv,
        ".attention.key_length": head_dim,
        ".attention.value_length": head_dim,
        ".rope.dimension_count": head_dim,
        **{f".{key.replace('__', '.')}": value for key, value in more.items()},
    }


def experts(n: int, n_used: int, n_ff: int, **more: Any) -> dict[str, Any]:
    """Return the keys of a mixture of experts; `more` begin with `expert_`."""
    return {
        ".expert_count": n,
        ".expert_used_count": n_used,
        ".expert_feed_forward_length": n_ff,
        **{f".expert_{key}": value for key, value in more.items()},
    }


def windows(window: int, period: int) -> dict[str, Any]:
    """Return the keys of a window in all layers but each `period`-th, and the last."""

    def pattern(n_layer: int) -> list[Any]:
        return [
            bool((layer + 1) % period) and layer + 1 < n_layer
            for layer in range(n_layer)
        ]

    return {
        ".attention.sliding_window": window,
        ".attention.sliding_window_pattern": pattern,
    }


def gemma4_windows(window: int, period: int) -> dict[str, Any]:
    """Return the keys of windows with heads of a size of their own."""
    return windows(window, period) | {
        ".attention.key_length": 512,
        ".attention.value_length": 512,
        ".attention.key_length_swa": 256,
        ".attention.value_length_swa": 256,
        ".rope.dimension_count": 512,
        ".rope.dimension_count_swa": 256,
        ".rope.freq_base": 1e6,
        ".rope.freq_base_swa": 1e4,
        ".final_logit_softcapping": 30.0,
    }


def latent(
    n_embd: int,
    n_head: int,
    plain_dim: int,
    value_dim: int,
    n_ff: int,
    n_latent: int = 512,
    **more: Any,
) -> dict[str, Any]:
    """Return the keys of latent attention; by default latents have DeepSeek's size."""
    n_rotated = 64
    keys = sizes(n_embd, n_head, 1, n_latent + n_rotated, n_ff, **more)
    return keys | {
        ".attention.value_length": n_latent,
        ".attention.kv_lora_rank": n_latent,
        ".attention.key_length_mla": plain_dim + n_rotated,
        ".attention.value_length_mla": value_dim,
        ".rope.dimension_count": n_rotated,
    }


def shared_layers(period: int, share: float) -> dict[str, Any]:
    """Let a share of the layers, the last ones, read the keys of earlier layers.

    The last layer before them has no window.
    """

    def n_own(n_layer: int) -> int:
        n_periods = max(1, round((1 - share) * n_layer / period))
        return min(n_layer, n_periods * period)

    return {
        ".embedding_length_per_layer_input": 256,
        ".attention.shared_kv_layers": lambda n: n - n_own(n),
    }


def double_width(n_ff: int, shared: dict[str, Any]) -> OfLayers:
    """Widen the layers that read the keys of earlier ones."""
    n_shared = shared[".attention.shared_kv_layers"]
    return lambda n: [n_ff] * (n - n_shared(n)) + [2 * n_ff] * n_shared(n)


def two_head_counts(windowed: int, full: int, period: int) -> OfLayers:
    """Return the heads of layers with a window, and of each `period`-th without."""
    pattern = windows(1, period)[".attention.sliding_window_pattern"]
    return lambda n: [windowed if has else full for has in pattern(n)]


def beside_recurrent(n_head_kv: int, *layers: int) -> OfLayers:
    """Let the layers of these numbers attend, and the others convolve or scan."""
    return lambda n: [n_head_kv if layer in layers else 0 for layer in range(n)]


def of_kind(kinds: str, kind: str, size: int) -> OfLayers:
    """Give a size to the layers of one kind of Nemotron-H, and 0 to the others."""
    return lambda n: [size if each == kind else 0 for each in kinds[:n]]


def delta_rule(n_head: int) -> dict[str, Any]:
    """Return the keys of a delta rule with 16 heads of keys, in 3 of 4 layers."""
    return {
        ".rope.dimension_count": 64,
        ".rope.freq_base": 1e7,
        ".rope.dimension_sections": [11, 11, 10, 0],
        ".full_attention_interval": 4,
        ".ssm.conv_kernel": 4,
        ".ssm.state_size": 128,
        ".ssm.group_count": 16,
        ".ssm.time_step_rank": n_head,
        ".ssm.inner_size": 128 * n_head,
    }


def selective_scan(width: int, n_step: int) -> dict[str, Any]:
    """Return the keys of a scan as in Mamba, of `width` channels."""
    return {
        ".ssm.conv_kernel": 4,
        ".ssm.state_size": 16,
        ".ssm.time_step_rank": n_step,
        ".ssm.inner_size": width,
    }


def kimi_delta(*layers: int) -> dict[str, Any]:
    """Return the keys of Kimi Delta Attention in all layers but those given."""
    return {
        ".attention.head_count_kv": beside_recurrent(1, *layers),
        ".kda.head_dim": 128,
        ".ssm.conv_kernel": 4,
    }


def scan(n_head: int, n_group: int = 1, state_size: int = 128) -> dict[str, Any]:
    """Return the keys of a scan as in Mamba-2, with heads of 64 values."""
    return {
        ".ssm.conv_kernel": 4,
        ".ssm.state_size": state_size,
        ".ssm.group_count": n_group,
        ".ssm.time_step_rank": n_head,
        ".ssm.inner_size": 64 * n_head,
    }


def n_deepstack(n_layer: int) -> int:
    """Return the number of layers to which an image would be added."""
    return min(3, n_layer - 1)  # llama.cpp does not run those where the last is one
