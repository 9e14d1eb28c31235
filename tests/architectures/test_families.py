"""Every family runs on both executors, with texts longer than its window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.architectures.selecting import select_tensors
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import Batch

Array = NDArray[np.float32]
Tensors = dict[str, Array]
Make = Callable[..., Path]

WINDOW, N_PROMPT, N_TOKENS = 20, 90, 100
HEADS = {"attention__key_length": 24, "attention__value_length": 24}
GEMMA = HEADS | {"attention__sliding_window": WINDOW}
SCALES = {"embedding_scale": 3.0, "residual_scale": 0.4, "logit_scale": 5.0}
YARN = {
    "rope__scaling__type": "yarn",
    "rope__scaling__factor": 4.0,
    "rope__scaling__original_context_length": 32,
}
EPS = {"attention__layer_norm_epsilon": 1e-5}
XIELU: dict[str, Any] = {
    "xielu.alpha_p": [0.4, 0.7],
    "xielu.alpha_n": [0.1, -0.3],
    "xielu.beta": [0.5, 0.5],
    "xielu.eps": [-1e-6, -1e-6],
}
EXPERTS = {
    "expert_count": 6,
    "expert_used_count": 2,
    "expert_feed_forward_length": 24,
    "expert_shared_count": 2,
    "leading_dense_block_count": 1,
    "block_count": 3,
}
LFM2: dict[str, Any] = {
    "block_count": 4,
    "attention__head_count_kv": [0, 2, 0, 1],
    "shortconv__l_cache": 3,
}
SMALL_EXPERTS = {
    "expert_count": 4,
    "expert_used_count": 2,
    "expert_feed_forward_length": 24,
    "expert_shared_feed_forward_length": 40,
}
DELTA_RULE: dict[str, Any] = {
    **HEADS,
    "block_count": 4,
    "rope__dimension_count": 8,
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__group_count": 2,
    "ssm__time_step_rank": 4,
    "ssm__inner_size": 48,
}
SCAN: dict[str, Any] = {
    "block_count": 4,
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__group_count": 2,
    "ssm__time_step_rank": 4,
    "ssm__inner_size": 48,
}
GROUPS = {"expert_group_count": 3, "expert_group_used_count": 2}
LATENT: dict[str, Any] = {
    "attention__head_count_kv": 1,
    "attention__kv_lora_rank": 40,
    "attention__key_length": 48,
    "attention__value_length": 40,
    "attention__key_length_mla": 20,
    "attention__value_length_mla": 24,
    "rope__dimension_count": 8,
}
KIMI: dict[str, Any] = {
    **LATENT,
    **EXPERTS,
    "block_count": 4,
    "attention__head_count_kv": [0, 1, 0, 1],
    "attention__value_length": 72,  # as in Moonshot's files, where nobody reads it
    "ssm__conv_kernel": 4,
    "kda__head_dim": 8,
    "expert_weights_scale": 2.5,
}
GEMMA4: dict[str, Any] = {
    "block_count": 6,
    "attention__key_length": 32,
    "attention__value_length": 32,
    "attention__key_length_swa": 16,
    "attention__value_length_swa": 16,
    "rope__dimension_count": 32,
    "rope__dimension_count_swa": 16,
    "attention__sliding_window": WINDOW,
    "attention__sliding_window_pattern": [True, True, False, True, True, False],
    "feed_forward_length": [96, 96, 96, 160, 160, 160],
    "final_logit_softcapping": 3.0,
}
SHARED: dict[str, Any] = GEMMA4 | {
    "attention__shared_kv_layers": 3,
    "embedding_length_per_layer_input": 32,
}
GEMMA4_EXPERTS: dict[str, Any] = GEMMA4 | {
    "attention__head_count_kv": [2, 2, 1, 2, 2, 1],
    "expert_count": 5,
    "expert_used_count": 2,
    "expert_feed_forward_length": 64,
}
LONG = {"rope__scaling__original_context_length": 32}

# For each model: family, keys in addition to conftest.py's, and optional tensors.
MODELS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "llama, window": ("llama", {"attention__sliding_window": WINDOW}, ()),
    "qwen2": ("qwen2", {}, ()),
    "qwen3": ("qwen3", HEADS, ()),
    "gemma2": ("gemma2", GEMMA, ()),
    "gemma2, capped": (
        "gemma2",
        GEMMA | {"attn_logit_softcapping": 1.0, "final_logit_softcapping": 2.0},
        (),
    ),
    "gemma3": ("gemma3", GEMMA | {"block_count": 7}, ()),
    "gemma3, linear": (
        "gemma3",
        GEMMA | {"block_count": 7, "rope__scaling__factor": 8.0},
        (),
    ),
    "gemma3, every other": (
        "gemma3",
        GEMMA | {"block_count": 7, "attention__sliding_window_pattern": 2},
        (),
    ),
    "gemma4": ("gemma4", GEMMA4, ("attn_v.weight",)),
    "gemma4, shared": ("gemma4", SHARED, ("attn_v.weight", "output_scale.weight")),
    "gemma4, experts": ("gemma4", GEMMA4_EXPERTS, ("ffn_down_exps.scale",)),
    # which of them come first may turn on a rounded digit
    "gemma4, all experts": (
        "gemma4",
        GEMMA4_EXPERTS | {"expert_used_count": 5},
        (),
    ),
    "phi3": ("phi3", {}, ()),
    "phi3, window": ("phi3", {"attention__sliding_window": WINDOW}, ()),
    "phi3, partial rotary": ("phi3", {"rope__dimension_count": 12}, ()),
    "phi3, factors": ("phi3", LONG, ("factors_long.weight", "factors_short.weight")),
    "smollm3": ("smollm3", {"block_count": 4}, ()),
    "gpt2": ("gpt2", EPS | {"attention__head_count_kv": 4}, ()),
    "starcoder2": ("starcoder2", EPS, (".bias",)),
    "starcoder2, no biases": ("starcoder2", EPS, ()),
    "starcoder2, window": ("starcoder2", EPS | {"attention__sliding_window": 20}, ()),
    "phi2": ("phi2", EPS | {"rope__dimension_count": 8}, ()),
    "gemma": ("gemma", HEADS, ()),
    "command-r": ("command-r", EPS | {"logit_scale": 0.2}, ()),
    "command-r, norms": ("command-r", EPS | {"logit_scale": 0.2}, ("_norm.weight",)),
    "cohere2": (
        "cohere2",
        EPS | {"attention__sliding_window": WINDOW, "block_count": 5},
        (),
    ),
    "stablelm": (
        "stablelm",
        EPS | {"rope__dimension_count": 4, "use_parallel_residual": True},
        ("ffn_norm.weight", "ffn_norm.bias", "attn_q.bias", "attn_v.bias"),
    ),
    "stablelm, 12b": ("stablelm", EPS, ("q_norm.weight", "k_norm.weight")),
    "falcon, 7b": ("falcon", EPS | {"attention__head_count_kv": 1}, ()),
    "falcon, 40b": ("falcon", EPS, ("norm_2.weight", "norm_2.bias")),
    "falcon, erf": ("falcon", EPS | {"hidden_activation": "gelu_erf"}, ()),
    "gptneox": ("gptneox", EPS | {"use_parallel_residual": True}, ()),
    "gptneox, in turn": ("gptneox", EPS | {"use_parallel_residual": False}, ()),
    "arcee": ("arcee", {}, ()),
    "apertus": ("apertus", XIELU, ()),
    "apertus, one for all": (
        "apertus",
        XIELU | {"xielu.alpha_p": 1.5, "xielu.alpha_n": 0.5},
        (),
    ),
    "lfm2": ("lfm2", LFM2, ()),
    "lfm2, a window": (
        "lfm2",
        LFM2 | {"attention__sliding_window": WINDOW, "shortconv__l_cache": 7},
        (),
    ),
    "lfm3": (
        "lfm3",
        LFM2
        | {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [False, True, False, False],
            "shortconv__l_cache": 7,
        },
        ("blk.1.attn_gate.weight", "blk.3.attn_gate.weight")
        + tuple(
            f"blk.{layer}.{norm}.weight"
            for layer in range(4)
            for norm in ("post_attention_norm", "post_ffw_norm")
        ),
    ),
    "lfm2moe": (
        "lfm2moe",
        LFM2 | EXPERTS | {"expert_shared_count": 0, "block_count": 4},
        ("blk.2.exp_probs_b.bias", "blk.3.exp_probs_b.bias"),
    ),
    "glm4moe": (
        "glm4moe",
        EXPERTS | {"rope__dimension_count": 4, "expert_weights_scale": 1.5},
        ("exp_probs_b.bias",),
    ),
    "glm4moe, large": (
        "glm4moe",
        EXPERTS | GROUPS | {"expert_weights_norm": True},
        ("exp_probs_b.bias", "q_norm.weight", "k_norm.weight"),
    ),
    "glm4moe, sizes of layers": (
        "glm4moe",
        {**EXPERTS, "rope__dimension_count": 4, "expert_used_count": [0, 2, 3]}
        | {"expert_feed_forward_length": [0, 24, 40]},
        ("exp_probs_b.bias",),
    ),
    "deepseek2, v2": ("deepseek2", LATENT | EXPERTS, ()),
    "deepseek2, v3": (
        "deepseek2",
        {**LATENT, **EXPERTS, **GROUPS, **YARN, "attention__q_lora_rank": 24}
        | {"rope__scaling__yarn_log_multiplier": 0.07, "expert_weights_norm": True}
        | {"expert_gating_func": 2, "expert_weights_scale": 2.5},
        ("exp_probs_b.bias",),
    ),
    "deepseek2, v2 with groups": (
        "deepseek2",
        {**LATENT, **EXPERTS, **GROUPS, "expert_count": 9},
        (),
    ),
    "deepseek2, dense": ("deepseek2", LATENT, ()),
    "dots1": ("dots1", EXPERTS | {"expert_gating_func": 3}, ("exp_probs_b.bias",)),
    "ernie4_5-moe": (
        "ernie4_5-moe",
        {**EXPERTS, "expert_shared_feed_forward_length": 40},
        ("exp_probs_b.bias",),
    ),
    "ernie4_5-moe, none shared": (
        "ernie4_5-moe",
        {**EXPERTS, "expert_shared_count": 0},
        (),
    ),
    "hunyuan-moe": ("hunyuan-moe", {"expert_count": 5, "expert_used_count": 2}, ()),
    "bailingmoe2": (
        "bailingmoe2",
        EXPERTS | GROUPS | {"expert_shared_feed_forward_length": 24},
        ("exp_probs_b.bias",),
    ),
    "cohere2moe": (
        "cohere2moe",
        EXPERTS
        | EPS
        | {"attention__sliding_window": WINDOW, "block_count": 5, "logit_scale": 0.2}
        | {"attention__layer_norm_rms_epsilon": 0.0},
        (),
    ),
    "cohere2moe, rms": (
        "cohere2moe",
        {**EXPERTS, "expert_gating_func": 1, "expert_shared_count": 0}
        | {"attention__sliding_window": WINDOW, "block_count": 5, "logit_scale": 0.2},
        (),
    ),
    "laguna": (
        "laguna",
        {**EXPERTS, **YARN, "block_count": 5, "expert_shared_count": 1}
        | {"attention__key_length": 16, "attention__value_length": 16}
        | {"attention__head_count": [4, 6, 6, 6, 4], "expert_weights_norm": True}
        | {"attention__sliding_window": WINDOW, "rope__freq_base_swa": 5e3}
        | {"rope__dimension_count": 8, "rope__dimension_count_swa": 16},
        ("exp_probs_b.bias",),
    ),
    "phimoe": (
        "phimoe",
        LONG | {"expert_count": 5, "expert_used_count": 2},
        ("factors_long.weight", "factors_short.weight", "output.bias", "_q.bias"),
    ),
    "phimoe, converted": (
        "phimoe",
        EPS
        | {"expert_count": 5, "expert_used_count": 2, "router_jitter_noise": 0.2}
        | {"attention__layer_norm_rms_epsilon": 0.0},
        (),
    ),
    "granite": ("granite", SCALES | {"attention__scale": 0.1}, ()),
    "granite, no positions": ("granite", {"rope__scaling__finetuned": False}, ()),
    "olmo2": ("olmo2", {}, ()),
    "olmo2, windows": (
        "olmo2",
        YARN | {"attention__sliding_window": WINDOW, "block_count": 4},
        (),
    ),
    "olmo2, first windowed": (
        "olmo2",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [True, False],
        },
        (),
    ),
    "qwen2vl": ("qwen2vl", {"rope__dimension_sections": [2, 3, 3, 0]}, ()),
    "qwen3vl": ("qwen3vl", HEADS | {"n_deepstack_layers": 2}, ()),
    "mistral3": ("mistral3", {}, ()),
    "mistral3, growing": (
        "mistral3",
        YARN
        | {
            "attention__temperature_scale": 0.7,
            "rope__scaling__yarn_log_multiplier": 1.0,
        },
        (),
    ),
    "mistral3, yarn": (
        "mistral3",
        YARN | {"attention__temperature_scale": 0.7},
        (),
    ),
    "mistral3, dynamic": (
        "mistral3",
        {
            "context_length": 32,
            "rope__scaling__dynamic_factor": 3.0,
            "attention__temperature_scale": 0.7,
        },
        (),
    ),
    "exaone4": ("exaone4", {}, ()),
    "exaone4, windows": (
        "exaone4",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [True, False],
        },
        (),
    ),
    "glm4": ("glm4", {"rope__dimension_count": 8}, ()),
    "glm4, sections": (
        "glm4",
        {"rope__dimension_count": 8, "rope__dimension_sections": [1, 1, 2, 0]},
        (),
    ),
    "seed_oss": ("seed_oss", HEADS, ("q.bias", "k.bias", "v.bias")),
    "ernie4_5": ("ernie4_5", {}, ()),
    "hunyuan-dense": ("hunyuan-dense", HEADS, ()),
    "minicpm": ("minicpm", SCALES, ()),
    "minicpm, old": ("minicpm", {}, ()),
    "internlm2": ("internlm2", {}, ()),
    "granitemoe, dense": ("granitemoe", SCALES | {"attention__scale": 0.1}, ()),
    "granite_swa": (
        "granite_swa",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [False, True],
        },
        (),
    ),
    "granite_swa, positions": (
        "granite_swa",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [False, True],
            "attention__rope_pattern": [True, False],
        },
        (),
    ),
    "qwen35": ("qwen35", DELTA_RULE, ()),
    "qwen35, alternating": (
        "qwen35",
        DELTA_RULE | {"attention__recurrent_layers": [True, False] * 2},
        (),
    ),
    "qwen35, interval": ("qwen35", DELTA_RULE | {"full_attention_interval": 3}, ()),
    "qwen35moe": ("qwen35moe", DELTA_RULE | SMALL_EXPERTS, ()),
    "qwen3next": ("qwen3next", DELTA_RULE | SMALL_EXPERTS, ()),
    "kimi-linear": ("kimi-linear", KIMI, ("exp_probs_b.bias",)),
    "kimi-linear, groups": (
        "kimi-linear",
        KIMI
        | GROUPS
        | {"attention__q_lora_rank": 24, "expert_gating_func": 2}
        | {"expert_weights_norm": False},
        (),
    ),
    "bailingmoe3": (
        "bailingmoe3",
        KIMI
        | GROUPS
        | {"kda__gate_lower_bound": -3.0, "expert_weights_norm": True}
        | {"expert_shared_feed_forward_length": 40, "attention__q_lora_rank": 24},
        ("exp_probs_b.bias",),
    ),
    "bailingmoe3, no bound": (
        "bailingmoe3",
        KIMI | {"kda__safe_gate": False, "kda__gate_lower_bound": -3.0},
        (),
    ),
    "granitehybrid": (
        "granitehybrid",
        SCAN | SCALES | {"attention__head_count_kv": [0, 0, 2, 0]},
        ("ssm_conv1d.bias",),
    ),
    "granitehybrid, no positions": (
        "granitehybrid",
        SCAN
        | SMALL_EXPERTS
        | {"attention__head_count_kv": [0, 0, 2, 0], "ssm__group_count": 1}
        | {"rope__scaling__finetuned": False},
        (),
    ),
    "falcon-h1": ("falcon-h1", SCAN, ()),
    "falcon-h1, norm": ("falcon-h1", SCAN, ("ssm_norm.weight",)),
    "nemotron_h": (
        "nemotron_h",
        SCAN
        | {"attention__head_count_kv": [0, 0, 2, 0]}
        | {"feed_forward_length": [0, 96, 0, 0]},
        (),
    ),
    "mamba2": (
        "mamba2",
        SCAN | {"attention__head_count": 0, "feed_forward_length": 0},
        (),
    ),
}
each_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def make_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> Make:
    """Write a model of the table; `change` may alter its tensors."""

    def make(
        name: str,
        change: Callable[[Tensors], None] | None = None,
        type_name: str = "F32",
    ) -> Path:
        family, keys, extra = MODELS[name]
        folder = tmp_path_factory.mktemp(family)
        # keys with a dot stand for themselves
        whole = {key: value for key, value in keys.items() if "." in key}
        own = {key: value for key, value in keys.items() if "." not in key}
        metadata = {
            key.replace("llama.", f"{family}."): value
            for key, value in llama_metadata(**own).items()
        } | {"general.architecture": family, **whole}
        plain = write_gguf(folder / "plain.gguf", metadata, {}, "F32")
        with open_gguf(plain) as file:
            architecture, config = read_hyperparameters(file)
            specs = architecture.tensors(config)
        tensors = random_tensors(
            (name, spec.shape)
            for name, spec in specs.items()
            if spec.is_required or name.endswith(extra or ("none",))
        )
        if family == "gemma4":  # whose training makes scores small, and no factor
            for name in tensors:
                tensors[name] *= 0.2 if name.endswith("attn_q_norm.weight") else 1
        sign = 1 if family == "bailingmoe3" else -1
        for name in tensors:  # steps decay what is kept
            if name.endswith(".ssm_a"):
                tensors[name] = sign * np.abs(tensors[name])
        if change is not None:
            change(tensors)
        return write_gguf(folder / "model.gguf", metadata, tensors, type_name)

    return make


def load(path: Path, kind: Any, **options: Any) -> tuple[Any, int]:
    with open_gguf(path) as file:
        config = read_hyperparameters(file)[1]
        return load_executor(file, config, executor=kind, **options), config.n_vocab


def logits(path: Path, kind: Any, is_long: bool = True, **options: Any) -> Array:
    executor, n_vocab = load(path, kind, **options)
    ids = np.random.default_rng(1).integers(0, n_vocab, N_TOKENS).tolist()
    sequence = executor.new_sequence()
    sequence.n_long = int(is_long)
    parts = [executor.forward(Batch.of(ids[:N_PROMPT], sequence, "all"))]
    for token in ids[N_PROMPT:]:
        parts.append(executor.forward(Batch.of([token], sequence)))
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def reference(make_model: Make) -> Callable[[str], tuple[Path, Array]]:
    """Return a model in float32 and its logits by the reference, computed once."""
    made: dict[str, tuple[Path, Array]] = {}

    def of(name: str) -> tuple[Path, Array]:
        if name not in made:
            path = make_model(name)
            made[name] = path, logits(path, "reference")
        return made[name]

    return of


@pytest.mark.usefixtures("selected_level")
@each_model
def test_plan_and_reference_agree_on_every_family(
    reference: Callable[[str], tuple[Path, Array]], name: str
) -> None:
    path, want = reference(name)
    got = logits(path, "plan", kv_type="f32", n_threads=2)
    assert want.std() > 0.1
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize(
    "name",
    [
        *("gemma2", "phi3, window", "granite", "olmo2", "falcon, 40b", "gpt2"),
        *("gemma4, shared", "gemma4, all experts"),
    ],
)
def test_plan_and_reference_agree_on_quantised_weights(
    make_model: Make, name: str
) -> None:
    path = make_model(name, type_name="Q8_0")
    want = logits(path, "reference")
    got = logits(path, "plan", n_threads=2)
    assert np.sqrt(np.mean((got - want) ** 2)) <= 0.05 * want.std()


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize(
    "name",
    [
        *("gemma2, capped", "gemma3", "qwen3", "phi3, window", "gpt2"),
        *("stablelm, 12b", "gemma4, shared", "qwen35", "falcon-h1", "mamba2"),
        "kimi-linear",
    ],
)
def test_logits_do_not_depend_on_the_rest_of_the_batch(
    make_model: Make, name: str
) -> None:
    """A prompt is read at once, in pieces, and beside another one."""
    plan, n_vocab = load(make_model(name), "plan", n_threads=2)
    rng = np.random.default_rng(1)
    ids, others = (rng.integers(0, n_vocab, 90).tolist() for _ in range(2))
    whole = plan.forward(Batch.of(ids, plan.new_sequence(), "all"))
    sequence, beside = plan.new_sequence(), plan.new_sequence()
    pieces = [plan.forward(Batch.of(ids[:33], sequence, "all"))]
    batch = Batch.join([(others, beside, "none"), (ids[33:71], sequence, "all")])
    pieces.append(plan.forward(batch))
    for token in ids[71:]:
        pieces.append(plan.forward(Batch.of([token], sequence)))
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@each_model
def test_layers_that_are_complete_stay_as_they_are(make_model: Make, name: str) -> None:
    with open_gguf(make_model(name)) as file:
        architecture, config = read_hyperparameters(file)
    assert architecture.complete(config, "m.gguf") == config


def test_every_key_of_a_family_changes_the_logits(
    reference: Callable[[str], tuple[Path, Array]],
) -> None:
    """With the same weights, models of a family differ: no key is silently ignored."""
    for name, (family, keys, _) in MODELS.items():
        for other, (its_family, its_keys, _) in MODELS.items():
            same = (family, keys.get("block_count")) == (
                *(its_family, its_keys.get("block_count")),
            )
            if same and name < other:
                difference = np.abs(reference(name)[1] - reference(other)[1]).max()
                assert difference > 1e-3, (name, other)


FLAGS = {
    "attention__recurrent_layers": [True, True, True, False, False],
    "full_attention_interval": 4,
}
DRAFTING: dict[str, dict[str, Any]] = {
    "qwen35": FLAGS,
    "qwen35moe": FLAGS,
    "qwen3next": FLAGS,
    "deepseek2, v3": {},
    "bailingmoe3": {"attention__head_count_kv": [0, 1, 0, 1, 1]},
}
"""Models whose files may have a layer that drafts, which llama.cpp's arrays count."""


@pytest.mark.parametrize("name", DRAFTING)
def test_a_layer_that_drafts_is_left_out(
    make_model: Make,
    reference: Callable[[str], tuple[Path, Array]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """It follows the others, and attends."""
    family, keys, extra = MODELS[name]
    n_layer = keys["block_count"]
    more = DRAFTING[name] | {"block_count": n_layer + 1, "nextn_predict_layers": 1}
    monkeypatch.setitem(MODELS, "drafting", (family, keys | more, extra))

    def with_draft(tensors: Tensors) -> None:
        last, drafting = f"blk.{n_layer - 1}.", f"blk.{n_layer}."
        for own in [own for own in tensors if own.startswith(last)]:
            tensors[own.replace(last, drafting)] = tensors[own]
        tensors[f"{drafting}nextn.eh_proj.weight"] = np.ones((64, 128), np.float32)
        for part in ("enorm", "hnorm", "shared_head_norm"):
            tensors[f"{drafting}nextn.{part}.weight"] = np.ones(64, np.float32)

    path = make_model("drafting", with_draft)
    plain, want = reference(name)
    np.testing.assert_array_equal(logits(path, "reference"), want)
    got = logits(path, "plan", kv_type="f32", n_threads=2)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))
    sizes = [llamacy.inspect(each).memory_bytes(64) for each in (path, plain)]
    assert sizes[0] == sizes[1]


def test_tokens_before_all_windows_have_no_effect(make_model: Make) -> None:
    """A token further back than all layers' windows together has no effect."""
    executor, n_vocab = load(make_model("phi3, window"), "plan")  # two layers
    ids = np.random.default_rng(1).integers(0, n_vocab, N_TOKENS).tolist()
    last = []
    for first in (ids[0], (ids[0] + 1) % n_vocab):
        batch = Batch.of([first, *ids[1:]], executor.new_sequence(), "all")
        last.append(executor.forward(batch))
    n_seen = 2 * (WINDOW - 1) + 1
    np.testing.assert_array_equal(last[0][n_seen:], last[1][n_seen:])
    assert (last[0][:n_seen] != last[1][:n_seen]).any(axis=1).all()


def test_long_rope_factors_are_used_for_long_texts(make_model: Make) -> None:
    path = make_model("phi3, factors")
    long, short = (logits(path, "reference", is_long) for is_long in (True, False))
    assert np.abs(long - short).max() > 1e-3

    def exchange(tensors: Tensors) -> None:
        names = [f"rope_factors_{length}.weight" for length in ("long", "short")]
        tensors[names[0]], tensors[names[1]] = tensors[names[1]], tensors[names[0]]

    exchanged = make_model("phi3, factors", exchange)
    np.testing.assert_array_equal(logits(exchanged, "reference"), short)


@each_model
def test_missing_tensors_and_wrong_shapes_are_refused(
    make_model: Make, name: str
) -> None:
    with open_gguf(make_model(name)) as file:
        architecture, config = read_hyperparameters(file)
        specs = architecture.tensors(config)
        whole: dict[str, Any] = dict(file.tensors)
        for tensor, spec in specs.items():
            if not spec.is_required:
                continue
            others = {key: value for key, value in whole.items() if key != tensor}
            with pytest.raises(FormatError) as caught:
                select_tensors(specs, others, "m.gguf")
            assert caught.value.field == f"tensor {tensor}"
            assert caught.value.found == "no such tensor"
            longer = SimpleNamespace(shape=(spec.shape[0] + 1, *spec.shape[1:]))
            with pytest.raises(FormatError) as caught:
                select_tensors(specs, {**others, tensor: longer}, "m.gguf")
            assert caught.value.field == f"tensor {tensor}: shape"
            assert (caught.value.wanted, caught.value.found) == (
                *(spec.shape, longer.shape),
            )


@pytest.mark.parametrize("type_name", ["F32", "Q8_0"])
def test_stacked_matrices_are_split(make_model: Make, type_name: str) -> None:
    with open_gguf(make_model("phi3", type_name=type_name)) as file:
        architecture, config = read_hyperparameters(file)
        specs = architecture.tensors(config)
        tensors = select_tensors(specs, file.tensors, "m.gguf")
        for whole, parts in (
            ("blk.1.attn_qkv", ("attn_q", "attn_k", "attn_v")),
            ("blk.1.ffn_up", ("ffn_gate", "ffn_up")),
        ):
            source = file.tensors[f"{whole}.weight"]
            rows = [tensors[f"blk.1.{part}.weight"] for part in parts]
            stacked = np.concatenate([each.dequantize() for each in rows])
            np.testing.assert_array_equal(stacked, source.dequantize())
            data = np.concatenate([each.data for each in rows])
            np.testing.assert_array_equal(data, source.data)
            assert {each.type for each in rows} == {source.type}
            assert all(each.shape == each.dequantize().shape for each in rows)
        assert "blk.1.attn_qkv.weight" not in tensors
