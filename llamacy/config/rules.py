"""Facts about single layers that a family's files leave out.

A GGUF file of Gemma 3 has the size of the window, but not which layers have it. Two
readers need to know: that of GGUF, to tell layers apart, and that of config.json, to
leave out of the metadata what llama.cpp's converter leaves out. Such a fact stands
here, below both of them. Facts that no reader needs are in the family's own
file in `llamacy.architectures`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from llamacy.config.embedding import ClassifierPooling
from llamacy.config.experts import Gating

ScanRule = Literal["none", "in_place", "beside", "alone", "only"]
"""Where the layers of a family scan, as Mamba or Mamba-2 does.

`"in_place"` of attention, in layers without heads of keys; `"beside"` attention, in all
layers; `"alone"`, in layers that have neither heads of keys nor a feed-forward network,
while others have one of the two; or `"only"`: no layer has any other part.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRules:
    """Rules that hold for a family's models where their files do not say otherwise.

    Attributes
    ----------
    window_period : int or None
        Every `window_period`-th layer attends to all tokens, the others to the window
        of the file. 0: all layers have the window. None: no layer has, unless the file
        says which.
    is_whole_first : bool
        Whether that layer is the first of each period, and not the last.
    window : int or None
        The window where a file has none; None for no window in this case.
    has_local_rope : bool
        Whether layers with a window have rotations of their own, which are not scaled.
    local_freq_base : float or None
        Base of these rotations where a file has none; None for that of all others.
    no_rope_period : int
        Every `no_rope_period`-th layer has no positions (Kazemnejad et al. 2023,
        arXiv:2305.19466); 0 for none of them.
    is_rope_windowed : bool
        Whether only layers with a window have positions.
    has_layer_norm : bool
        Whether norms are layer norms.
    has_learned_positions : bool
        Whether positions are rows of a matrix, and nothing is rotated.
    is_causal : bool
        Whether rows see only those before them where a file does not say.
    alibi_bias : float
        Makes the slopes by which scores fall with distance; 0 for none.
    activations : mapping of str to str
        Activations of networks by their names in files, `""` for a file that has no
        key; {} for a family whose files do not name any.
    classifier_pooling : {"cls", "mean", "last", "late"}
        How rows become what a classifier reads where a file does not say.
    classifier_activation : {"tanh", "gelu_erf"}
        The nonlinear part of a classifier's first layer.
    keys : tuple of str
        Keys that the family alone has, without its name, and that change the model.
    constants : tuple of str
        Keys, which have no family's name before them, of the constants of each layer's
        activation, in the order of its operation.
    embedding_scale : float
        Multiplies embeddings where a file does not say.
    residual_depth : float
        Results of parts are multiplied by this over the root of the number of layers
        where a file does not say; 0 for no scale.
    logit_width : int
        Logits are divided by the width of the residual over this where a file does not
        say; 0 for no scale.
    has_recurrent_layers : bool
        Whether layers that have no heads of keys and values are recurrent.
    attention_period : int
        Every `attention_period`-th layer attends, and the others are recurrent, where a
        file does not say which; 0 where their heads of keys do.
    scan : ScanRule
        Where layers scan.
    is_selective : bool
        Whether they scan as Mamba does, and not as Mamba-2.
    may_lack_router : bool
        Whether layers without a router have a network in place of experts.
    is_range_rounded : bool
        Whether YaRN's range begins and ends at whole pairs of dimensions.
    is_normalized : bool
        Whether the weights of a token's experts sum to 1.
    gating : Gating
        Makes gates of a router's scores.
    """

    window_period: int | None = None
    is_whole_first: bool = False
    window: int | None = None
    has_local_rope: bool = False
    local_freq_base: float | None = None
    no_rope_period: int = 0
    is_rope_windowed: bool = False
    has_layer_norm: bool = False
    has_learned_positions: bool = False
    is_causal: bool = True
    alibi_bias: float = 0.0
    activations: Mapping[str, str] = field(default_factory=dict)
    classifier_pooling: ClassifierPooling = "cls"
    classifier_activation: Literal["tanh", "gelu_erf"] = "tanh"
    keys: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    embedding_scale: float = 1.0
    residual_depth: float = 0.0
    logit_width: int = 0
    has_recurrent_layers: bool = False
    attention_period: int = 0
    scan: ScanRule = "none"
    is_selective: bool = False
    may_lack_router: bool = False
    is_range_rounded: bool = True
    is_normalized: bool = True
    gating: Gating = "softmax"

    @property
    def may_lack_experts(self) -> bool:
        """Whether any layer of a model with experts may have a network instead."""
        return self.scan == "alone" or self.may_lack_router

    def has_window(self, layer: int) -> bool:
        """Whether the layer of this number, the first being 0, may have a window."""
        period = self.window_period
        return period is not None and self.is_windowed(layer, period)

    def is_windowed(self, layer: int, period: int) -> bool:
        """Whether a layer has a window if one of `period` has none; all for 0."""
        return is_windowed(layer - 1 if self.is_whole_first else layer, period)

    def has_positions(self, layer: int, has_window: bool = False) -> bool:
        """Whether the layer of this number rotates its queries and keys."""
        if self.has_learned_positions or (self.is_rope_windowed and not has_window):
            return False
        period = self.no_rope_period
        return not period or (layer + 1) % period != 0

    def residual_scale(self, n_layer: int) -> float:
        """Return what multiplies the parts' results where a file does not say."""
        return self.residual_depth / math.sqrt(n_layer) if self.residual_depth else 1.0

    def logit_scale(self, n_embd: int) -> float:
        """Return what divides the logits where a file does not say."""
        return n_embd / self.logit_width if self.logit_width else 1.0


ROUTER_KEYS: Final = (
    *("expert_gating_func", "expert_group_count", "expert_group_used_count"),
    *("expert_shared_count", "expert_weights_scale", "leading_dense_block_count"),
)
"""Keys of a router that not all mixtures of experts have."""

_SHORT_CONV: Final = ("shortconv.l_cache",)

_SSM: Final = (
    *("ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank"),
    "ssm.group_count",
)
_MAMBA: Final = (*_SSM[:-1], "ssm.dt_b_c_rms", "ssm.norm_epsilon")
_DELTA_RULE: Final = (*_SSM, "attention.recurrent_layers", "full_attention_interval")
_LATENT: Final = (
    *("attention.q_lora_rank", "attention.kv_lora_rank"),
    *("attention.key_length_mla", "attention.value_length_mla"),
)
_KIMI_DELTA: Final = ("ssm.conv_kernel", "kda.head_dim")
_DEEPSEEK: Final = (
    *ROUTER_KEYS,
    *_LATENT,
    *("attention.temperature_scale", "attention.temperature_length"),
    "rope.scaling.yarn_log_multiplier",
)

_OF_ENCODERS: Final = {
    "": "gelu_erf",
    "gelu": "gelu_erf",
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), "gelu"),
    **dict.fromkeys(("silu", "swish"), "silu"),
    "relu": "relu",
}
"""Activations by transformers' names, which encoders' files have."""

_OF_GATED_ENCODERS: Final = {
    "": "geglu_erf",
    "gelu": "geglu_erf",
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), "geglu"),
    **dict.fromkeys(("silu", "swish"), "swiglu"),
}
"""The same of networks with gates."""

_RULES: Final = {
    "apertus": FamilyRules(
        constants=("xielu.alpha_p", "xielu.alpha_n", "xielu.beta", "xielu.eps")
    ),
    "bailingmoe2": FamilyRules(keys=ROUTER_KEYS, gating="sigmoid", is_normalized=False),
    "bailingmoe3": FamilyRules(
        has_recurrent_layers=True,
        keys=(
            *ROUTER_KEYS,
            *_LATENT,
            *_KIMI_DELTA,
            *("kda.safe_gate", "kda.gate_lower_bound"),
            *("swiglu_clamp_exp", "swiglu_clamp_shexp"),
        ),
        gating="sigmoid",
        is_normalized=False,
    ),
    "bert": FamilyRules(
        has_layer_norm=True,
        has_learned_positions=True,
        is_causal=False,
        activations=_OF_ENCODERS,
        keys=("hidden_activation",),
    ),
    "cohere2": FamilyRules(window_period=4, is_rope_windowed=True, has_layer_norm=True),
    "cohere2moe": FamilyRules(
        window_period=4,
        has_layer_norm=True,
        keys=(*ROUTER_KEYS, "attention.layer_norm_rms_epsilon"),
        gating="sigmoid",
        is_normalized=False,
    ),
    "command-r": FamilyRules(has_layer_norm=True),
    "deepseek2": FamilyRules(keys=_DEEPSEEK, is_normalized=False),
    "dots1": FamilyRules(keys=ROUTER_KEYS, gating="sigmoid", is_normalized=False),
    "ernie4_5-moe": FamilyRules(
        keys=("expert_shared_count", "leading_dense_block_count")
    ),
    "eurobert": FamilyRules(is_causal=False, classifier_activation="gelu_erf"),
    "exaone4": FamilyRules(window_period=4),
    "falcon": FamilyRules(has_layer_norm=True, keys=("hidden_activation",)),
    "falcon-h1": FamilyRules(scan="beside", keys=_SSM),
    "gemma2": FamilyRules(window_period=2, window=4096),
    "gemma3": FamilyRules(
        window_period=6, has_local_rope=True, local_freq_base=10000.0
    ),
    "gemma-embedding": FamilyRules(
        window_period=6,
        has_local_rope=True,
        local_freq_base=10000.0,
        is_causal=False,
    ),
    "gemma4": FamilyRules(
        window_period=6,
        has_local_rope=True,
        local_freq_base=10000.0,
        keys=("attention.shared_kv_layers", "embedding_length_per_layer_input"),
    ),
    "glm4moe": FamilyRules(keys=ROUTER_KEYS, gating="sigmoid", is_normalized=False),
    "gpt2": FamilyRules(has_layer_norm=True, has_learned_positions=True),
    "gptneox": FamilyRules(
        has_layer_norm=True, keys=("use_parallel_residual", "hidden_activation")
    ),
    "gpt-oss": FamilyRules(window_period=2, window=128, is_range_rounded=False),
    "hunyuan-moe": FamilyRules(keys=("expert_shared_count",)),
    "granite_swa": FamilyRules(keys=("attention.rope_pattern",)),
    "granitehybrid": FamilyRules(has_recurrent_layers=True, scan="in_place", keys=_SSM),
    "jamba": FamilyRules(
        has_recurrent_layers=True,
        scan="in_place",
        is_selective=True,
        may_lack_router=True,
        keys=_MAMBA,
        is_normalized=False,
    ),
    "laguna": FamilyRules(
        window_period=4,
        is_whole_first=True,
        has_local_rope=True,
        keys=ROUTER_KEYS,
        gating="sigmoid",
        is_normalized=False,
    ),
    "jina-bert-v2": FamilyRules(
        has_layer_norm=True,
        is_causal=False,
        alibi_bias=8.0,
        keys=("attention.max_alibi_bias",),
    ),
    "jina-bert-v3": FamilyRules(has_layer_norm=True, is_causal=False),
    "kimi-linear": FamilyRules(
        has_recurrent_layers=True,
        keys=(*ROUTER_KEYS, *_LATENT, *_KIMI_DELTA),
        gating="sigmoid",
    ),
    "lfm2": FamilyRules(
        has_recurrent_layers=True,
        window_period=0,
        keys=(*_SHORT_CONV, "embedding_length_out"),
    ),
    "lfm2moe": FamilyRules(
        has_recurrent_layers=True,
        keys=(*ROUTER_KEYS, *_SHORT_CONV),
        gating="sigmoid",
    ),
    "lfm3": FamilyRules(
        has_recurrent_layers=True,
        has_local_rope=True,
        local_freq_base=10000.0,
        keys=_SHORT_CONV,
    ),
    "llama": FamilyRules(window_period=0),
    "llama-embed": FamilyRules(is_causal=False, classifier_pooling="mean"),
    "mamba": FamilyRules(
        has_recurrent_layers=True, scan="only", is_selective=True, keys=_MAMBA
    ),
    "mamba2": FamilyRules(has_recurrent_layers=True, scan="only", keys=_SSM),
    "mellum": FamilyRules(window_period=4, has_local_rope=True),
    "minicpm": FamilyRules(
        # llama.cpp multiplies by the logit scale that old files leave out, and divides
        # by the one that others have: the model divides
        embedding_scale=12.0,
        residual_depth=1.4,
        logit_width=256,
    ),
    "mistral3": FamilyRules(
        window_period=0,
        keys=("attention.temperature_scale", "rope.scaling.yarn_log_multiplier"),
    ),
    "mistral4": FamilyRules(keys=_DEEPSEEK, is_normalized=False),
    "modern-bert": FamilyRules(
        window_period=3,
        is_whole_first=True,
        has_local_rope=True,
        local_freq_base=10000.0,
        has_layer_norm=True,
        is_causal=False,
        activations=_OF_GATED_ENCODERS,
        classifier_pooling="mean",
        classifier_activation="gelu_erf",
        keys=("hidden_activation",),
    ),
    "nemotron_h": FamilyRules(has_recurrent_layers=True, scan="alone", keys=_SSM),
    "nemotron_h_moe": FamilyRules(
        has_recurrent_layers=True,
        scan="alone",
        keys=(*_SSM, *ROUTER_KEYS, "moe_latent_size"),
        gating="sigmoid",
        is_normalized=False,
    ),
    "nomic-bert": FamilyRules(has_layer_norm=True, is_causal=False),
    "nomic-bert-moe": FamilyRules(
        has_layer_norm=True,
        is_causal=False,
        keys=("moe_every_n_layers",),
        is_normalized=False,
    ),
    "olmo2": FamilyRules(window_period=4, has_local_rope=True),
    "olmoe": FamilyRules(is_normalized=False),
    "phi2": FamilyRules(has_layer_norm=True),
    "phi3": FamilyRules(window_period=0),
    # llama.cpp computes RMS norms, and no sparse mixer
    "phimoe": FamilyRules(
        window_period=0,
        keys=("attention.layer_norm_rms_epsilon", "router_jitter_noise"),
    ),
    "qwen2moe": FamilyRules(is_normalized=False),
    "qwen35": FamilyRules(
        has_recurrent_layers=True, attention_period=4, keys=_DELTA_RULE
    ),
    "qwen35moe": FamilyRules(
        has_recurrent_layers=True, attention_period=4, keys=_DELTA_RULE
    ),
    "qwen3next": FamilyRules(
        has_recurrent_layers=True, attention_period=4, keys=_DELTA_RULE
    ),
    "smollm3": FamilyRules(no_rope_period=4),
    # says in its files that residuals are parallel where they are not
    "stablelm": FamilyRules(has_layer_norm=True, keys=("use_parallel_residual",)),
    "starcoder2": FamilyRules(window_period=0, has_layer_norm=True),
}


def family_rules(architecture: str) -> FamilyRules:
    """Return a family's rules; of a family that is not in the table, those of most."""
    return _RULES.get(architecture, FamilyRules())


def is_windowed(layer: int, period: int) -> bool:
    """Whether a layer has a window if all but every `period`-th have, all for 0."""
    return not period or (layer + 1) % period != 0
