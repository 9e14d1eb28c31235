"""The class Llama: its constructor, its vocabulary, and refused arguments."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lora_files import random_pairs, write_lora

import llamacy
from llamacy.compat.llama_cpp import Llama, LlamaCache, LlamaDiskCache, LlamaTokenizer

IDS = [1, 403, 407, 261, 378]


def test_sizes_and_special_tokens_are_those_of_the_file(stories: Llama) -> None:
    assert (stories.n_ctx(), stories.n_vocab(), stories.n_embd()) == (512, 512, 64)
    assert (stories.token_bos(), stories.token_eos(), stories.token_nl()) == (1, 2, 13)


def test_metadata_are_strings_in_the_form_of_llama_cpp(stories: Llama) -> None:
    metadata = stories.metadata
    assert metadata["general.architecture"] == "llama"
    assert metadata["llama.context_length"] == "512"
    assert metadata["llama.rope.freq_base"] == "10000.000000"
    assert metadata["llama.attention.layer_norm_rms_epsilon"] == "0.000010"
    assert metadata["tokenizer.ggml.add_bos_token"] == "true"
    assert "tokenizer.ggml.tokens" not in metadata


def test_tokenize_has_the_options_of_llama_cpp_python(stories: Llama) -> None:
    assert stories.tokenize(b"Once upon a time") == IDS
    assert stories.tokenize(b"Once upon a time", False) == IDS[1:]
    assert stories.tokenize(b"Once </s>", True, True) == [1, 403, 410, 2]
    assert 2 not in stories.tokenize(b"Once </s>")
    assert stories.tokenize(b"") == [1]
    with pytest.raises(llamacy.ArgumentError, match="text: wanted bytes"):
        stories.tokenize("Once")  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="text: wanted UTF-8"):
        stories.tokenize(b"caf\xe9")


@pytest.mark.parametrize(
    ("ids", "special", "wanted"),
    [
        (IDS, False, b"Once upon a time"),
        (IDS[1:], False, b" Once upon a time"),
        ([1, 403, 407, 2], True, b"<s> Once upon</s>"),
        ([1, 403, 2, 407], False, b"Once upon"),
        ([1, 1, 403], False, b"Once"),
        ([2, 403], False, b" Once"),
        ([3 + 0xE9], False, b"\xe9"),
        ([0, 1, 2], False, b""),
        ([], False, b""),
    ],
)
def test_detokenize_returns_bytes(
    stories: Llama, ids: list[int], special: bool, wanted: bytes
) -> None:
    assert stories.detokenize(ids, special=special) == wanted
    assert stories.detokenize(ids, [1], special) == wanted
    with pytest.raises(llamacy.ArgumentError, match="100000"):
        stories.detokenize([100000])


def test_the_tokenizer_object_encodes_and_decodes(
    stories: Llama, stories_path: str
) -> None:
    for tokenizer in (stories.tokenizer(), LlamaTokenizer.from_ggml_file(stories_path)):
        assert tokenizer.encode("Once</s>") == [1, 403, 2]
        assert tokenizer.decode([1, 403]) == "Once"
        assert tokenizer.tokenize(b"Once") == [1, 403]
        assert tokenizer.detokenize([403]) == b" Once"


def test_the_default_context_is_512_tokens_and_0_is_the_models_own(
    babble_model: Path,
) -> None:
    with Llama(str(babble_model)) as llm:
        assert llm.n_ctx() == 512
    with Llama(str(babble_model), n_ctx=0) as llm:
        assert llm.n_ctx() == 256
        with pytest.raises(ValueError, match="256"):
            llm("ba " * 300)


@pytest.mark.parametrize(
    ("number", "name"), [(None, "f16"), (0, "f32"), (1, "f16"), (8, "q8_0")]
)
def test_the_kv_cache_has_the_type_asked_for(
    babble_model: Path, number: int | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.compat.llama_cpp import llama

    asked = []

    def load(*words: Any, **options: Any) -> llamacy.Model:
        asked.append(options["kv_type"])
        return llamacy.load(*words, **options)

    monkeypatch.setattr(llama, "load", load)
    Llama(str(babble_model), n_ctx=64, type_k=number, type_v=number).close()
    assert asked == [name]


def test_a_lora_adapter_changes_the_text(babble_model: Path, tmp_path: Path) -> None:
    with llamacy.load(babble_model) as model:
        shapes = {"output.weight": (model.config.n_vocab, model.config.n_embd)}
    path = write_lora(tmp_path / "lora.gguf", random_pairs(shapes, 4, 0))
    ids = [1, 300, 301]
    with llamacy.load(babble_model, lora=(path, 0.5), n_ctx=64) as model:
        wanted = model.logits(ids)
    options: dict[str, Any] = {"n_ctx": 64, "logits_all": True}
    with Llama(
        str(babble_model), lora_path=str(path), lora_scale=0.5, **options
    ) as llm:
        llm.eval(ids)
        np.testing.assert_allclose(llm.scores[:3], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type_k", 2),
        ("type_v", 8),
        ("chat_format", "nothing"),
        ("chat_handler", object()),
        ("draft_model", object()),
        ("embedding", True),
        ("kv_overrides", {"a": 1}),
        ("lora_base", "base.gguf"),
        ("rope_freq_base", 1e6),
        ("vocab_only", True),
    ],
)
def test_unsupported_options_that_change_results_are_refused(
    babble_model: Path, name: str, value: object
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=f"^{name}: wanted"):
        Llama(str(babble_model), **{name: value})  # type: ignore[arg-type]


def test_ignored_options_are_logged_and_not_printed(
    babble_model: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.INFO, "llamacy"):
        Llama(
            str(babble_model),
            n_ctx=64,
            n_gpu_layers=-1,
            use_mlock=True,
            flash_attn=True,
            rope_freq_base=0.0,
            f16_kv=True,
            verbose=True,
        ).close()
    by_level = {record.levelname: record.getMessage() for record in caplog.records}
    assert by_level["INFO"].endswith(": flash_attn, n_gpu_layers, use_mlock")
    assert by_level["WARNING"].endswith(": f16_kv")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("create_chat_completion_openai_v1", []),
        ("create_embedding", ["hi"]),
        ("embed", ["hi"]),
        ("from_pretrained", ["user/repo", "*.gguf"]),
    ],
)
def test_unsupported_methods_are_refused_by_name(
    babble: Llama, name: str, words: list[Any]
) -> None:
    with pytest.raises(llamacy.UnsupportedCallError, match=r"create|embed|from") as got:
        getattr(babble, name)(*words)
    assert isinstance(got.value, NotImplementedError)


def test_a_cache_is_accepted(babble: Llama) -> None:
    babble.set_cache(LlamaCache(capacity_bytes=2 << 30))
    babble.set_cache(LlamaDiskCache("folder"))
    babble.set_cache(None)


def test_a_closed_object_raises_closed_error(babble_model: Path) -> None:
    llm = Llama(str(babble_model), n_ctx=64)
    llm.close()
    llm.close()
    with pytest.raises(llamacy.ClosedError):
        llm("ba")


def test_a_missing_file_raises_an_os_error() -> None:
    with pytest.raises(OSError, match=r"none\.gguf"):
        Llama("none.gguf")
