"""The class Llama: its constructor, its vocabulary, and refused arguments."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.compat.llama_cpp import (
    IgnoredArgumentWarning,
    Llama,
    LlamaCache,
    LlamaDiskCache,
    LlamaTokenizer,
    ignoring,
)
from tests.support import random_model
from tests.support.lora_files import random_pairs, write_lora

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
        ("pooling_type", 4),
        ("kv_overrides", {"a": 1}),
        ("rope_freq_base", 1e6),
        ("vocab_only", True),
    ],
)
def test_unsupported_options_that_change_results_are_refused(
    babble_model: Path, name: str, value: object
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=f"^{name}: wanted"):
        Llama(str(babble_model), **{name: value})  # type: ignore[arg-type]


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings as in a process that has not given any."""
    monkeypatch.setattr(ignoring, "_told", set())


@pytest.mark.usefixtures("untold")
def test_a_warning_names_each_ignored_option_once(babble_model: Path) -> None:
    options: Any = {"n_ctx": 64, "n_gpu_layers": -1, "flash_attn": True, "n_thread": 2}
    with pytest.warns(IgnoredArgumentWarning) as warned:
        Llama(str(babble_model), **options).close()
    texts = [str(each.message) for each in warned]
    assert texts == [
        "ignored, as llamacy computes on the CPU in its own way: "
        "flash_attn, n_gpu_layers",
        "ignored, as llama-cpp-python does not know them either: "
        "n_thread (did you mean n_threads?)",
    ]
    assert {each.filename for each in warned} == {__file__}
    with pytest.warns(IgnoredArgumentWarning, match=": use_mlock$") as warned:
        Llama(str(babble_model), use_mlock=True, **options).close()
    assert len(warned) == 1


@pytest.mark.usefixtures("untold")
def test_options_that_ask_for_nothing_are_not_worth_a_warning(
    babble_model: Path, recwarn: pytest.WarningsRecorder
) -> None:
    options: Any = {"n_gpu_layers": 0, "rope_freq_base": 10000.0, "rope_freq_scale": 1}
    options |= {"logits_all": True, "use_mmap": True, "f16_kv": True, "n_parts": -1}
    Llama(str(babble_model), n_ctx=64, **options).close()
    assert not recwarn.list


@pytest.mark.usefixtures("untold")
def test_ignored_options_are_logged_unless_verbose(
    babble_model: Path,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    with caplog.at_level(logging.INFO, "llamacy"):
        Llama(str(babble_model), n_ctx=64, n_batch=8, verbose=False).close()
    assert caplog.messages[-1].endswith("in its own way: n_batch")
    assert not recwarn.list


@pytest.mark.usefixtures("untold")
def test_the_rope_is_always_the_files(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    random_model.write(str(path), rope_freq_base=5e5)
    options: Any = {"model_path": str(path), "n_ctx": 64}
    with pytest.warns(IgnoredArgumentWarning, match="file: rope_freq_base$"):
        # what LangChain sends with every model
        llm = Llama(rope_freq_base=10000.0, rope_freq_scale=1.0, **options)
    with llm, Llama(rope_freq_base=5e5, **options) as same:
        llm.eval([1, 300, 301])
        same.eval([1, 300, 301])
        assert np.array_equal(llm.scores, same.scores)
    for name, value in (("rope_freq_base", 1e6), ("rope_freq_scale", 0.5)):
        with pytest.raises(llamacy.ArgumentError, match=f"^{name}: wanted 0.0"):
            Llama(**{**options, name: value})


@pytest.mark.parametrize(("given", "wanted"), [(512, 512), (0, 512), (64, 64)])
def test_the_physical_batch_size_is_the_number_of_rows(
    babble_model: Path, given: int, wanted: int
) -> None:
    sizes: Any = {"n_ctx": 64, "n_ubatch": given, "n_batch": 8}
    with Llama(str(babble_model), verbose=False, **sizes) as llm:
        assert llm._model.executor.n_batch == llm.n_batch == wanted
        assert llm.context_params.n_ctx == 64


def test_a_llama_can_be_pickled(babble_model: Path) -> None:
    with Llama(str(babble_model), n_ctx=64, seed=5) as llm:
        with pickle.loads(pickle.dumps(llm)) as copy:
            assert copy.n_ctx() == 64
            assert (
                copy("ba", max_tokens=9)["choices"]
                == (llm("ba", max_tokens=9)["choices"])
            )


def test_logits_can_be_turned_into_logprobs() -> None:
    logprobs = Llama.logits_to_logprobs([[1.0, 2.0], [1000.0, 1000.0]])
    assert np.exp(logprobs).sum(axis=1) == pytest.approx([1, 1])
    assert logprobs[1] == pytest.approx([-np.log(2)] * 2)
    assert logprobs[0, 1] - logprobs[0, 0] == pytest.approx(1)


def test_the_common_beginning_of_two_texts_is_counted() -> None:
    prefix = Llama.longest_token_prefix
    assert prefix([1, 2, 3], [1, 2, 4]) == 2
    assert (prefix([1, 2], [1, 2, 3]), prefix([], [1]), prefix([2], [1])) == (2, 0, 0)


def test_the_context_of_llama_cpp_is_refused(babble: Llama) -> None:
    with pytest.raises(llamacy.UnsupportedCallError, match="^ctx: "):
        assert babble.ctx


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
