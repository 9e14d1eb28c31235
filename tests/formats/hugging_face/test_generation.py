"""generation_config.json: sampling options, end tokens, and keys that are passed over.

`GENERATION` holds the keys that transformers 5.24 has in this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.errors import FormatError
from llamacy.formats.hugging_face.generation import HARMLESS, USED, add_generation
from llamacy.formats.metadata import Metadata
from tests.support.hugging_face import write_babble, write_json

GENERATION = (
    "max_length max_new_tokens min_length min_new_tokens early_stopping max_time "
    "stop_strings do_sample num_beams use_cache cache_implementation cache_config "
    "temperature top_k top_p min_p top_h typical_p epsilon_cutoff eta_cutoff "
    "repetition_penalty encoder_repetition_penalty length_penalty no_repeat_ngram_size "
    "bad_words_ids renormalize_logits forced_bos_token_id forced_eos_token_id "
    "remove_invalid_values exponential_decay_length_penalty suppress_tokens "
    "begin_suppress_tokens sequence_bias token_healing guidance_scale "
    "watermarking_config num_return_sequences output_attentions output_hidden_states "
    "output_scores output_logits return_dict_in_generate pad_token_id bos_token_id "
    "eos_token_id decoder_start_token_id is_assistant num_assistant_tokens "
    "prefill_chunk_size compile_config disable_compile"
).split()
PASSED = (
    "early_stopping stop_strings num_beams top_h epsilon_cutoff eta_cutoff "
    "encoder_repetition_penalty length_penalty no_repeat_ngram_size bad_words_ids "
    "renormalize_logits forced_bos_token_id forced_eos_token_id remove_invalid_values "
    "exponential_decay_length_penalty sequence_bias token_healing guidance_scale "
    "watermarking_config"
).split()


def read(folder: Path, **values: Any) -> dict[str, Any]:
    write_json(folder / "generation_config.json", values)
    metadata = Metadata()
    metadata.texts("tokenizer.ggml.tokens", ["a", "b", "c", "d", "e"])
    metadata.integer("tokenizer.ggml.eos_token_id", 1)
    add_generation(folder, metadata)
    made = metadata.values
    del made["tokenizer.ggml.tokens"]
    return {key.removeprefix("general.sampling."): made[key] for key in made}


def test_sampling_options_become_metadata(tmp_path: Path) -> None:
    eos = {"tokenizer.ggml.eos_token_id": 1}
    assert read(tmp_path) == eos
    made = read(
        tmp_path, do_sample=True, temperature=0.5, top_k=20, top_p=0.75, min_p=None
    )
    assert made == eos | {"temp": 0.5, "top_k": 20, "top_p": 0.75}
    # transformers looks at the whole text, llama.cpp at the last tokens
    made = read(tmp_path, repetition_penalty=1.25)
    assert made == eos | {"penalty_repeat": 1.25, "penalty_last_n": -1}
    assert read(tmp_path, do_sample=False, temperature=0.5)["temp"] == 0
    assert read(tmp_path, do_sample=None, temperature=0.5)["temp"] == 0.5


def test_several_end_tokens_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom")]
    for ids, want in (
        (1, [1]),
        ([1], [1]),
        ([3, 1], [1, 3]),
        ([3, 4], [1, 3, 4]),
        ([9, -1, 3], [1, 3]),
    ):
        made = read(tmp_path, eos_token_id=ids)
        assert [made[name] for name in names if name in made] == want
    assert not caplog.records
    made = read(tmp_path, eos_token_id=[2, 3, 4, 0])
    assert [made[name] for name in names] == [1, 2, 3]
    assert made["tokenizer.llamacy.end_ids"].tolist() == [4, 0]
    assert not caplog.records


def test_end_tokens_of_config_json_count_where_the_other_file_is_silent(
    tmp_path: Path,
) -> None:
    eot = "tokenizer.ggml.eot_token_id"
    write_json(tmp_path / "config.json", {"eos_token_id": [1, 3]})
    assert read(tmp_path)[eot] == 3
    assert eot not in read(tmp_path, eos_token_id=1)
    write_json(tmp_path / "config.json", {"text_config": {"eos_token_id": [4]}})
    assert read(tmp_path)[eot] == 4
    write_json(tmp_path / "config.json", {})
    assert eot not in read(tmp_path)


def test_suppressed_tokens_are_kept(tmp_path: Path) -> None:
    made = read(tmp_path, suppress_tokens=[3, 9, -1], begin_suppress_tokens=[4])
    assert made["tokenizer.ggml.suppress_tokens"].tolist() == [3]
    assert made["tokenizer.llamacy.begin_suppress_tokens"].tolist() == [4]
    made = read(tmp_path, suppress_tokens=[], begin_suppress_tokens=None)
    assert "tokenizer.ggml.suppress_tokens" not in made


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": "hot"}, "temperature: wanted a number"),
        ({"temperature": -1}, "temperature: wanted 0 to"),
        ({"top_k": 10**400}, "top_k: wanted -1 to"),
        ({"do_sample": "no"}, "do_sample: wanted true or false"),
        ({"eos_token_id": "</s>"}, "eos_token_id: wanted a token's id"),
        ({"eos_token_id": [True]}, "eos_token_id: wanted a token's id"),
        ({"suppress_tokens": ["a"]}, "suppress_tokens: wanted a token's id"),
    ],
)
def test_wrong_values_are_named(
    tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path, **values)


def test_keys_of_transformers_are_used_harmless_or_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert set(GENERATION) == (USED | HARMLESS | set(PASSED)) & set(GENERATION)
    assert set(PASSED) <= set(GENERATION)
    read(tmp_path, **dict.fromkeys(PASSED, 3), novelty=1)
    (record,) = caplog.records
    for key in (*PASSED, "novelty"):
        assert f"{key}," in record.message or f"{key} passed over" in record.message
    caplog.clear()
    read(tmp_path, **dict.fromkeys(PASSED) | {"num_beams": 1, "length_penalty": 1})
    assert not caplog.records


def test_a_folder_stops_and_samples_as_its_file_says(tmp_path: Path) -> None:
    path = write_babble(tmp_path / "babble")
    with llamacy.load(path) as model:
        options: Any = {"max_tokens": 6, "temperature": 0}
        tokens = model.generate("ba", **options).tokens
        assert len(tokens) == 6
    others = [i for i in range(9) if i not in tokens]  # one beyond GGUF's three keys
    values = {
        "eos_token_id": [2, *others, int(tokens[3])],
        "temperature": 0,
        "top_k": 5,
    }
    write_json(path / "generation_config.json", values)
    with llamacy.load(path) as model:
        assert (model.default_params.temperature, model.default_params.top_k) == (0, 5)
        found = model.generate("ba", max_tokens=6)
        assert found.finish_reason == "stop"
        assert found.tokens == tokens[: tokens.index(tokens[3])]
    assert tokens[3] in llamacy.load_tokenizer(path).eog_ids
    made = llamacy.convert(path, tmp_path / "made.gguf")
    with llamacy.load(made.path) as model:
        assert model.default_params.top_k == 5
        assert model.generate("ba", max_tokens=6).tokens == found.tokens


def test_a_folder_never_samples_what_its_file_suppresses(tmp_path: Path) -> None:
    path = write_babble(tmp_path / "babble")
    options: Any = {"max_tokens": 4, "temperature": 0}
    with llamacy.load(path) as model:
        first, second, *_ = model.generate("ba", **options).tokens
    values = {"suppress_tokens": [second], "begin_suppress_tokens": [first]}
    write_json(path / "generation_config.json", values)
    llamacy.convert(path, tmp_path / "made.gguf")
    for source in (path, tmp_path / "made.gguf"):
        with llamacy.load(source) as model:
            found = model.generate("ba", **options, logit_bias={second: 100.0}).tokens
            assert found[0] != first and second not in found
