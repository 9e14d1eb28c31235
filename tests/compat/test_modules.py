"""The modules of llama-cpp-python: what scripts import from them is there."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

import llamacy
from llamacy.compat import llama_cpp
from llamacy.compat.llama_cpp import (
    Llama,
    LlamaGrammar,
    LlamaTokenizer,
    llama_cache,
    llama_chat_format,
    llama_grammar,
    llama_speculative,
    llama_tokenizer,
    llama_types,
)


def test_constants_of_the_low_level_module_are_arguments_of_llama(
    babble_model: Path,
) -> None:
    options: Any = {"type_k": llama_cpp.GGML_TYPE_Q8_0}
    with pytest.raises(llamacy.ArgumentError, match="^type_v: wanted 8"):
        Llama(str(babble_model), type_v=llama_cpp.GGML_TYPE_F32, **options)
    options |= {"type_v": llama_cpp.GGML_TYPE_Q8_0}
    options |= {"split_mode": llama_cpp.LLAMA_SPLIT_MODE_LAYER}
    options |= {"pooling_type": llama_cpp.LLAMA_POOLING_TYPE_UNSPECIFIED}
    Llama(str(babble_model), n_ctx=64, **options).close()


def test_a_function_of_the_c_api_says_that_it_is_missing_when_called() -> None:
    decode = llama_cpp.llama_decode
    assert llama_cpp.llama_cpp.llama_decode is not None
    with pytest.raises(llamacy.UnsupportedCallError, match="^llama_decode: llamacy"):
        decode(None, None)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        assert llama_cpp.nothing


def test_the_machine_is_a_cpu() -> None:
    assert not llama_cpp.llama_supports_gpu_offload()
    assert llama_cpp.llama_max_devices() == 1


@pytest.mark.parametrize(
    ("special", "lstrip", "wanted"),
    [
        (False, 0, [b"", b" Once"]),
        (True, 0, [b"<s>", b" Once"]),
        (True, 1, [b"<s>", b"Once"]),
    ],
)
def test_pieces_of_tokens_are_written_like_llama_cpp_does(
    stories: Llama, special: bool, lstrip: int, wanted: list[bytes]
) -> None:
    vocab = llama_cpp.llama_model_get_vocab(stories.model)
    found: list[bytes] = []
    for token in (1, 403):
        buffer = ctypes.create_string_buffer(8)
        n = llama_cpp.llama_token_to_piece(vocab, token, buffer, 8, lstrip, special)
        found.append(buffer.raw[:n])
    assert found == wanted
    small = ctypes.create_string_buffer(4)
    assert llama_cpp.llama_token_to_piece(vocab, 403, small, 4, 0, True) == -5


def test_a_grammar_can_be_made_in_each_way(tmp_path: Path) -> None:
    path = tmp_path / "yes.gbnf"
    path.write_text('root ::= "yes"', encoding="utf-8")
    assert isinstance(LlamaGrammar.from_file(path), LlamaGrammar)
    assert isinstance(LlamaGrammar.from_string(llama_grammar.JSON_GBNF), LlamaGrammar)
    assert isinstance(LlamaGrammar.from_json_schema('{"type": "null"}'), LlamaGrammar)
    with pytest.raises(llamacy.ModelFileError, match=r"no\.gbnf"):
        LlamaGrammar.from_file(tmp_path / "no.gbnf")
    with pytest.raises(llamacy.UnsupportedCallError, match="^json_schema_to_gbnf: "):
        llama_grammar.json_schema_to_gbnf("{}")


def test_caches_and_draft_models_are_accepted_and_stay_empty(
    babble_model: Path,
) -> None:
    draft = llama_speculative.LlamaPromptLookupDecoding(num_pred_tokens=2)
    assert draft(np.array([1, 2, 1, 2], np.intc)).tolist() == []
    cache = llama_cache.LlamaDiskCache("folder", capacity_bytes=5)
    options: Any = {"draft_model": draft, "verbose": False}
    with Llama(str(babble_model), n_ctx=64, **options) as llm:
        llm.set_cache(cache)
        assert llm("ba", max_tokens=2)["choices"]
    assert (cache.cache_size, [1] in cache) == (0, False)
    with pytest.raises(KeyError):
        cache[[1]]
    assert not Path("folder").exists()


def test_a_tokenizer_is_made_of_a_llama(stories: Llama) -> None:
    assert LlamaTokenizer(stories).encode("Once") == [1, 403]
    assert issubclass(LlamaTokenizer, llama_tokenizer.BaseLlamaTokenizer)
    for make in (
        llama_tokenizer.LlamaHFTokenizer.from_pretrained,
        llama_chat_format.hf_autotokenizer_to_chat_formatter,
        llama_chat_format.MoondreamChatHandler,
    ):
        with pytest.raises(llamacy.UnsupportedCallError, match="llamacy"):
            make("path")


def test_every_type_can_be_resolved() -> None:
    names = [name for name in vars(llama_types) if name.startswith(("Chat", "Create"))]
    assert len(names) > 50
    for name in names:
        assert getattr(llama_cpp, name) is getattr(llama_types, name)
        if isinstance(each := getattr(llama_types, name), type):
            assert get_type_hints(each)
