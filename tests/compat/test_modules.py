"""The modules of llama-cpp-python: what scripts import from them is there."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from numpy.typing import NDArray

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


def test_prompt_lookup_stands_for_the_drafts_that_are_made_anyway(
    stories: Llama,
) -> None:
    lookup = llama_speculative.LlamaPromptLookupDecoding(num_pred_tokens=2)
    assert lookup(np.array([1, 2, 3, 4, 1, 2], np.intc)).tolist() == [3, 4]
    assert lookup(np.array([], np.intc)).tolist() == []
    options: Any = {"draft_model": lookup, "verbose": False}
    with Llama(stories.model_path, n_ctx=64, **options) as llm:
        assert llm("Once", temperature=0) | {"id": 0, "created": 0} == stories(
            "Once", temperature=0
        ) | {"id": 0, "created": 0}


def test_a_draft_model_of_ones_own_is_asked_and_changes_no_text(
    stories: Llama,
) -> None:
    wanted = stories("Once upon a time", temperature=0, max_tokens=40)
    ids = stories.tokenize(b"Once upon a time" + wanted["choices"][0]["text"].encode())
    asked: list[list[int]] = []

    class Oracle(llama_speculative.LlamaDraftModel):
        def __call__(
            self, input_ids: NDArray[np.intc], /, **kwargs: Any
        ) -> NDArray[np.intc]:
            asked.append(input_ids.tolist())
            n = len(input_ids)
            return np.array([*ids[n : n + 3], 10**6, 5], np.intc)

    options: Any = {"draft_model": Oracle(), "verbose": False}
    with Llama(stories.model_path, n_ctx=256, **options) as llm:
        found = llm("Once upon a time", temperature=0, max_tokens=40)
        assert found["choices"] == wanted["choices"]
        assert asked
        assert all(each == ids[: len(each)] for each in asked)

        def broken(_: Any) -> Any:
            raise ZeroDivisionError("of the draft model")

        options["draft_model"] = broken
        with Llama(stories.model_path, n_ctx=64, **options) as llm:
            with pytest.raises(ZeroDivisionError, match="of the draft model"):
                llm("Once")
            assert llm("Once", max_tokens=1)["choices"]
    with pytest.raises(llamacy.ArgumentError, match="^draft_model: wanted a Llama"):
        Llama(stories.model_path, draft_model="draft.gguf")


def test_caches_are_accepted_and_stay_empty(babble_model: Path) -> None:
    cache = llama_cache.LlamaDiskCache("folder", capacity_bytes=5)
    with Llama(str(babble_model), n_ctx=64, verbose=False) as llm:
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
