"""Folders: config.json becomes metadata; tensors get GGUF's names and order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError, ModelFileError, UnsupportedError
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.hugging_face import open_hugging_face
from llamacy.formats.metadata import Metadata
from tests.support import random_model
from tests.support.hugging_face import (
    BABBLE,
    halves_apart,
    hugging_face_tensors,
    write_babble,
    write_json,
    write_tensors,
)

LINEAR = {"type": "linear", "factor": 4.0}
YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
N_VOCAB = len(random_model.vocabulary()[0])


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write the babbling model with changes to config.json."""

    def write(**config: Any) -> Path:
        return write_babble(tmp_path / "babble", config=config)

    return write


def test_a_folder_has_the_metadata_of_its_gguf_file(
    folder: Callable[..., Path],
) -> None:
    with open_hugging_face(folder()) as file:
        config = read_config(file)
        assert file.format == "safetensors"
        assert [path.name for path in file.paths] == [
            *("config.json", "model.safetensors")
        ]
        assert file.metadata["general.file_type"] == 0
        assert file.metadata["llama.vocab_size"] == N_VOCAB
    assert set(file.value_types) == set(file.metadata)
    assert (config.architecture, config.name) == ("llama", "babble")
    sizes = (config.n_layer, config.n_embd, config.n_head, config.n_head_kv)
    assert sizes == (4, 64, 4, 2)
    assert (config.head_dim, config.n_ff, config.n_ctx_train) == (16, 192, 256)
    assert config.norm_eps == np.float32(1e-5)
    assert (config.rope.n_dims, config.rope.scaling) == (16, "none")


def test_a_folder_has_the_tensors_of_its_gguf_file(folder: Callable[..., Path]) -> None:
    """They are equal bit for bit, and in the order of a forward pass."""
    want = random_model.tensors(N_VOCAB, seed=0)
    with open_hugging_face(folder()) as file:
        assert set(file.tensors) == set(want)
        for name, values in want.items():
            tensor = file.tensors[name]
            assert tensor.name == name
            assert tensor.shape == values.shape
            assert tensor.data.tobytes() == values.tobytes()
            np.testing.assert_array_equal(tensor.dequantize(), values)
            tensor.release()
            assert tensor.data.tobytes() == values.tobytes()
        names = list(file.tensors)
    assert names[:3] == [
        *("token_embd.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight")
    ]
    assert names[-2:] == ["output_norm.weight", "output.weight"]


@pytest.mark.parametrize(("dtype", "number"), [(np.float16, 1), (np.uint16, 32)])
def test_16_bit_matrices_keep_their_type_and_vectors_become_float32(
    folder: Callable[..., Path], dtype: Any, number: int
) -> None:
    path = folder()
    floats = hugging_face_tensors(random_model.tensors(N_VOCAB, seed=0))
    # a bfloat16 is written as its bits, the upper half of a float32
    halves = {
        name: (
            (values.view(np.uint32) >> 16).astype(np.uint16)
            if dtype == np.uint16
            else values.astype(dtype)
        )
        for name, values in floats.items()
    }
    write_tensors(path, halves)
    with open_hugging_face(path) as file:
        assert file.metadata["general.file_type"] == number
        norm, q = (file.tensors[f"blk.1.attn_{part}.weight"] for part in ("norm", "q"))
        assert norm.type.name == "F32"
        assert q.type.name == {1: "F16", 32: "BF16"}[number]
        assert len(norm.data) == norm.n_bytes == 4 * random_model.N_EMBD
        np.testing.assert_array_equal(norm.dequantize(), np.ones(64, np.float32))
        want = random_model.tensors(N_VOCAB, seed=0)["blk.1.attn_q.weight"]
        np.testing.assert_allclose(q.dequantize(), want, rtol=2**-7, atol=1e-6)


def test_the_fingerprint_depends_on_settings_and_weights(
    folder: Callable[..., Path],
) -> None:
    def fingerprint(path: Path) -> str:
        with open_hugging_face(path) as file:
            return file.fingerprint()

    path = folder()
    one = fingerprint(path)
    assert fingerprint(path) == one
    assert fingerprint(folder(rope_theta=5000.0)) != one
    folder()
    tensors = hugging_face_tensors(random_model.tensors(N_VOCAB, seed=1))
    write_tensors(path, tensors)
    assert fingerprint(path) != one


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_each_kind_of_rope_scaling_becomes_metadata(
    folder: Callable[..., Path], key: str
) -> None:
    with open_hugging_face(folder(**{key: LINEAR}, rope_theta=500000.0)) as file:
        rope = read_config(file).rope
    assert (rope.scaling, rope.factor, rope.freq_base) == ("linear", 4, 500000)
    yarn = YARN | {"beta_fast": 16, "attention_factor": 2.0}
    with open_hugging_face(folder(**{key: yarn | {"rope_theta": 2000.0}})) as file:
        rope = read_config(file).rope
    assert (rope.scaling, rope.factor, rope.freq_base) == ("yarn", 4, 2000)
    assert (rope.n_ctx_orig, rope.beta_fast, rope.beta_slow) == (64, 16, 1)
    assert rope.attn_factor == pytest.approx(2 / (1 + 0.1 * np.log(4)))
    with open_hugging_face(folder(**{key: LLAMA3})) as file:
        divisors = file.tensors["rope_freqs.weight"].dequantize()
        assert list(file.tensors)[1] == "rope_freqs.weight"
    assert divisors.shape == (8,)
    assert (divisors[0], divisors[-1]) == (1, 8)
    assert (np.diff(divisors) >= 0).all()


def test_tied_embeddings_have_no_output_matrix(folder: Callable[..., Path]) -> None:
    path = folder(tie_word_embeddings=True)
    tensors = hugging_face_tensors(random_model.tensors(N_VOCAB, seed=0))
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    write_tensors(path, tensors)
    with open_hugging_face(path) as file:
        assert "output.weight" not in file.tensors
    del tensors["lm_head.weight"]
    write_tensors(path, tensors)
    with open_hugging_face(path) as file:
        assert "output.weight" not in file.tensors
    write_json(path / "config.json", BABBLE | {"vocab_size": N_VOCAB})
    with pytest.raises(FormatError, match="tensor lm_head.weight"):
        open_hugging_face(path)


def test_mistral_is_a_llama_with_a_window(folder: Callable[..., Path]) -> None:
    mistral = {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
    with open_hugging_face(folder(**mistral, sliding_window=100)) as file:
        config = read_config(file)
    assert (config.architecture, config.window) == ("llama", 100)
    with open_hugging_face(folder(**mistral, sliding_window=None)) as file:
        assert read_config(file).window is None
    with open_hugging_face(folder(**mistral)) as file:
        assert read_config(file).window == 4096  # the default of the class
    kinds = ["sliding_attention", "full_attention"] * 2
    path = folder(**mistral, sliding_window=100, layer_types=kinds)
    with open_hugging_face(path) as file:  # as in transformers, it is a Ministral then
        config = read_config(file)
    assert [layer.attention.window for layer in config.layers] == [100, None] * 2


def test_lists_are_arrays_of_the_layers(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    """Of the heads and widths of each layer; rows are reordered by its own heads."""
    n_head, n_head_kv, n_ff = [4, 2, 6, 4], [2, 1, 3, 4], [192, 64, 32, 192]
    want = random_model.tensors(N_VOCAB, seed=0)
    theirs = hugging_face_tensors(want)
    rng = np.random.default_rng(2)
    for layer in range(4):
        ours, name = f"blk.{layer}", f"model.layers.{layer}"
        for part, module, heads in (
            ("attn_q", "self_attn.q_proj", n_head[layer]),
            ("attn_k", "self_attn.k_proj", n_head_kv[layer]),
        ):
            rows = rng.standard_normal((16 * heads, 64), dtype=np.float32)
            want[f"{ours}.{part}.weight"] = rows
            theirs[f"{name}.{module}.weight"] = halves_apart(rows, heads)
        for part, module, shape in (
            ("attn_v", "self_attn.v_proj", (16 * n_head_kv[layer], 64)),
            ("attn_output", "self_attn.o_proj", (64, 16 * n_head[layer])),
            ("ffn_gate", "mlp.gate_proj", (n_ff[layer], 64)),
            ("ffn_up", "mlp.up_proj", (n_ff[layer], 64)),
            ("ffn_down", "mlp.down_proj", (64, n_ff[layer])),
        ):
            values = rng.standard_normal(shape, dtype=np.float32)
            want[f"{ours}.{part}.weight"] = values
            theirs[f"{name}.{module}.weight"] = values
    path = folder(
        num_attention_heads=n_head,
        num_key_value_heads=n_head_kv,
        intermediate_size=n_ff,
    )
    write_tensors(path, theirs)
    llamacy.convert(path, tmp_path / "mixed.gguf")
    with open_gguf(tmp_path / "mixed.gguf") as file:
        config = read_config(file)
        for name, values in want.items():
            np.testing.assert_array_equal(file.tensors[name].dequantize(), values, name)
    mixers = [layer.attention for layer in config.layers]
    assert [mixer.n_head for mixer in mixers] == n_head
    assert [mixer.n_head_kv for mixer in mixers] == n_head_kv
    assert [layer.feed_forward.n_ff for layer in config.layers] == n_ff


WRONG: list[tuple[dict[str, Any], type[FormatError], str]] = [
    (
        {"architectures": ["NoSuchForCausalLM"]},
        UnsupportedError,
        "as LlamaForCausalLM, f",
    ),
    ({"architectures": [], "model_type": None}, FormatError, "an array of one name"),
    (
        {"architectures": None, "model_type": "t5"},
        UnsupportedError,
        "lists, such as lla",
    ),
    ({"architectures": [["a"]]}, FormatError, "an array of names"),
    ({"architectures": "LlamaForCausalLM"}, FormatError, "architectures: wanted an a"),
    ({"architectures": ["MistralModel"]}, UnsupportedError, "it .*MistralForCausalLM"),
    ({"hidden_act": "relu"}, UnsupportedError, "hidden_act: wanted silu"),
    (
        {"quantization_config": {"quant_method": "gptq"}},
        *(UnsupportedError, "wanted fp8, .* with quantize=.*, found gptq"),
    ),
    ({"hidden_size": None}, FormatError, "hidden_size: wanted a value"),
    ({"hidden_size": "64"}, FormatError, 'hidden_size: wanted a whole number, found "'),
    ({"hidden_size": 64.5}, FormatError, "hidden_size: wanted a whole number"),
    ({"hidden_size": True}, FormatError, "hidden_size: wanted a whole number"),
    ({"hidden_size": 2**40}, FormatError, "hidden_size: wanted 1 to"),
    ({"hidden_size": 10**400}, FormatError, "hidden_size: wanted 1 to"),
    ({"num_hidden_layers": 0}, FormatError, "num_hidden_layers"),
    ({"num_attention_heads": 5}, FormatError, "num_key_value_heads"),
    (
        {"num_attention_heads": 6, "num_key_value_heads": 2},
        *(FormatError, "a divisor of 64"),
    ),
    ({"num_key_value_heads": 3}, FormatError, "a divisor of 4"),
    ({"num_attention_heads": [4, 4]}, FormatError, "a whole number, or 4 of them"),
    ({"intermediate_size": [96] * 3 + [True]}, FormatError, "or 4 of them"),
    ({"intermediate_size": [96] * 3 + [0]}, FormatError, "found 0 in layer 3"),
    ({"intermediate_size": [96, 2**40, 1, 1]}, FormatError, "in layer 1"),
    ({"intermediate_size": []}, FormatError, "a whole number, or 4 of them"),
    ({"num_key_value_heads": [2, 2, 3, 2]}, FormatError, "a divisor of 4, found 3"),
    ({"head_dim": 15}, FormatError, "head_dim: wanted an even number"),
    ({"head_dim": 32}, FormatError, r"128 rows, found \(64, 64\)"),
    ({"attention_bias": True}, FormatError, r"layers\.0\.self_attn\.q_proj\.bias"),
    ({"mlp_bias": True}, FormatError, r"layers\.0\.mlp\.gate_proj\.bias"),
    ({"num_hidden_layers": 5}, FormatError, r"layers\.4\.input_layernorm\.weight"),
    ({"use_bidirectional_attention": True}, UnsupportedError, "use_bidirectional"),
    ({"quantization": {"bits": 4}}, UnsupportedError, "quantization: .* found MLX"),
    ({"quantization": {"a": 1}}, UnsupportedError, "quantization: wanted none"),
    ({"rope_interleaved": True}, UnsupportedError, "rope_interleaved"),
    ({"rms_norm_eps": None}, FormatError, "rms_norm_eps: wanted a value"),
    ({"rms_norm_eps": 0}, FormatError, "rms_norm_eps"),
    ({"rms_norm_eps": float("nan")}, FormatError, "rms_norm_eps"),
    ({"rope_theta": float("inf")}, FormatError, "rope_theta"),
    ({"rope_theta": 10**400}, FormatError, "rope_theta"),
    ({"rope_theta": -1}, FormatError, "rope_theta"),
    ({"tie_word_embeddings": "yes"}, FormatError, "true or false"),
    ({"rope_scaling": "linear"}, FormatError, "rope_scaling: wanted an object"),
    (
        {"rope_scaling": {"type": "longrope", "factor": 2.0}},
        *(UnsupportedError, "one of default, linear, yarn, llama3, dynamic, found lon"),
    ),
    (
        {"rope_scaling": {"type": "dynamic", "factor": 2.0, "alpha": 8}},
        *(UnsupportedError, "rope_scaling.alpha: wanted none"),
    ),
    ({"rope_scaling": {"type": "linear"}}, FormatError, "rope_scaling.factor"),
    ({"rope_scaling": YARN | {"factor": 0.5}}, FormatError, "at least 1"),
    ({"rope_scaling": YARN | {"truncate": False}}, UnsupportedError, "truncate"),
    ({"rope_scaling": LLAMA3 | {"high_freq_factor": 1}}, FormatError, "more than low"),
    ({"rope_scaling": LLAMA3 | {"factor": 0}}, FormatError, "rope_scaling.factor"),
]


@pytest.mark.parametrize(("config", "kind", "message"), WRONG, ids=str)
def test_wrong_or_unknown_settings_are_named(
    folder: Callable[..., Path],
    config: dict[str, Any],
    kind: type[FormatError],
    message: str,
) -> None:
    path = folder(**config)
    with pytest.raises(kind, match=message) as caught:
        open_hugging_face(path)
    assert caught.value.path in (str(path), str(path / "config.json"))


@pytest.fixture
def tensors() -> dict[str, NDArray[np.float32]]:
    return hugging_face_tensors(random_model.tensors(N_VOCAB, seed=0))


def test_frequencies_among_the_tensors_are_ignored(
    folder: Callable[..., Path], tensors: dict[str, NDArray[np.float32]]
) -> None:
    path = folder()
    ignored = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32)}
    write_tensors(path, tensors | ignored)
    with open_hugging_face(path) as file:
        assert len(file.tensors) == len(tensors)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.0.self_attn.q_proj.lora",
        "model.layers.0.self_attn.q_proj.weight_scale",
        "model.layers.0.mlp.experts.0.up_proj.weight",
        "model.embed_tokens.weight_scale_inv",
        "lm_head.bias",
    ],
)
def test_tensors_that_would_change_the_model_are_refused_by_name(
    folder: Callable[..., Path], tensors: dict[str, NDArray[np.float32]], name: str
) -> None:
    path = folder()
    write_tensors(path, tensors | {name: np.ones(4, np.float32)})
    with pytest.raises(UnsupportedError) as caught:
        open_hugging_face(path)
    assert caught.value.found == name


def test_tensors_of_three_dimensions_are_refused(
    folder: Callable[..., Path], tensors: dict[str, NDArray[np.float32]]
) -> None:
    path = folder()
    write_tensors(path, tensors | {"model.norm.weight": np.ones((2, 2, 2), np.float32)})
    with pytest.raises(FormatError, match="a vector or a matrix"):
        open_hugging_face(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": 1, "a": 2}', "[" * 10**5])
def test_an_invalid_config_json_is_refused(
    folder: Callable[..., Path], text: str
) -> None:
    path = folder()
    (path / "config.json").write_text(text)
    with pytest.raises(FormatError) as caught:
        open_hugging_face(path)
    assert caught.value.path == str(path / "config.json")


def test_missing_files_are_named(folder: Callable[..., Path]) -> None:
    path = folder()
    (path / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match=r"no model\.safetensors"):
        open_hugging_face(path)


def test_a_folder_without_a_tokenizer_accepts_token_ids(
    folder: Callable[..., Path],
) -> None:
    path = folder()
    (path / "tokenizer.model").unlink()
    with llamacy.load(path) as model:
        assert len(model.generate([1, 5], max_tokens=2, temperature=0).tokens) == 2
        with pytest.raises(FormatError, match=r"tokenizer\.json or tokenizer\.model"):
            model.tokenize("ba")
    with pytest.raises(FormatError, match=r"tokenizer\.json or tokenizer\.model"):
        llamacy.load_tokenizer(path)


def test_a_folder_without_config_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"config\.json .* found no config\.json"):
        open_hugging_face(tmp_path)
    for name in ("b.gguf", "a.gguf"):
        Path(tmp_path, name).touch()
    with pytest.raises(FormatError, match=r"found a\.gguf, b\.gguf"):
        open_hugging_face(tmp_path)


def test_the_vocabulary_reader_adds_metadata_or_fails_the_whole_folder(
    folder: Callable[..., Path],
) -> None:
    path = folder()
    made = Metadata()
    made.text("tokenizer.ggml.model", "gpt2")
    with open_hugging_face(path, lambda _: made) as file:
        assert file.metadata["tokenizer.ggml.model"] == "gpt2"
        assert file.value_types["tokenizer.ggml.model"] == 8

    def fail(folder: Path) -> None:
        raise FormatError(folder, "vocabulary", "one", "none")

    with pytest.raises(FormatError, match="vocabulary"):
        open_hugging_face(path, fail)
