"""The files of a repository that a name chooses."""

from __future__ import annotations

import pytest

import llamacy
from llamacy.hub.choice import PREFERENCE, matching, models_among, names_of, only
from llamacy.hub.names import parse_name


def chosen(files: list[str], text: str) -> list[str]:
    """Return the first files of the models that fit a name."""
    name = parse_name(text)
    assert name
    return [model.files[0] for model in matching(models_among(files), name)]


@pytest.mark.parametrize(
    ("file", "type_name"),
    [
        ("llama-2-7b.Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("SmolLM2-135M-Instruct-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("gemma-3-1b-it-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("Qwen3-30B-A3B-MXFP4_MOE.gguf", "MXFP4"),
        ("model-IQ3_XXS.gguf", "IQ3_XXS"),
        ("model-fp16.gguf", "F16"),
        ("model_BF16.gguf", "BF16"),
        ("Q8_0/model-00001-of-00001.gguf", "Q8_0"),
        ("F16.gguf", "F16"),
        ("model-Q8_0-v2.gguf", "Q8_0"),
        ("model-f16-Q8_0.gguf", "Q8_0"),
        ("model.gguf", None),
        ("q4-model.gguf", None),
        ("SEQ4_0x.gguf", None),
    ],
)
def test_the_type_is_read_from_a_files_name(file: str, type_name: str | None) -> None:
    (model,) = models_among([file])
    assert model.type == type_name


def test_the_files_of_a_split_are_one_model() -> None:
    parts = [f"Q8_0/big-Q8_0-{n:05}-of-00003.gguf" for n in (2, 3, 1)]
    torn = ["torn-00001-of-00002.gguf", "odd-00002-of-00001.gguf"]
    (model,) = models_among([*parts, *torn, "config.json", "x-00000-of-00000.gguf"])
    assert model.files == tuple(sorted(parts))
    assert chosen(parts, f"user/repo/{parts[0]}") == [sorted(parts)[0]]


def test_a_model_that_is_there_whole_and_split_is_chosen_whole() -> None:
    parts = [f"big-q4_k_m-{n:05}-of-00002.gguf" for n in (1, 2)]
    for text in ("user/repo", "user/repo:Q4_K_M"):
        assert chosen([*parts, "big-q4_k_m.gguf"], text) == ["big-q4_k_m.gguf"]
        assert chosen(parts, text) == [parts[0]]
    assert chosen([*parts, "big-q4_k_m.gguf"], f"user/repo/{parts[1]}") == [parts[0]]
    assert len(chosen([*parts, "other-q4_k_m.gguf"], "user/repo:Q4_K_M")) == 2


def test_a_name_without_a_type_means_the_first_in_the_order() -> None:
    files = [f"m-{name}.gguf" for name in PREFERENCE]
    for n, file in enumerate(files):
        assert chosen(list(reversed(files[n:])), "user/repo") == [file]
    assert PREFERENCE[0] == "Q4_K_M"


def test_files_that_are_not_models_are_chosen_only_by_their_file_names() -> None:
    files = ["m.gguf", "mmproj-model-Q4_K_M.gguf", "m.imatrix.gguf", "F16-MMPROJ.gguf"]
    assert chosen(files, "user/repo") == ["m.gguf"]
    assert chosen(files, "user/repo:F16") == []
    assert chosen(files, "user/repo:F16-MMPROJ.gguf") == ["F16-MMPROJ.gguf"]


def test_a_type_is_found_in_any_case_and_a_dynamic_one_by_its_plain_name() -> None:
    files = ["m-q4_k_m.gguf", "m-UD-Q4_K_XL.gguf", "m-UD-Q4_K_M.gguf", "m-F16.gguf"]
    assert chosen(files, "user/repo:Q4_k_m") == ["m-q4_k_m.gguf"]
    assert chosen(files, "user/repo:Q4_K_XL") == ["m-UD-Q4_K_XL.gguf"]
    assert chosen(files, "user/repo:ud-q4_k_m") == ["m-UD-Q4_K_M.gguf"]
    assert chosen(files, "user/repo:fp16") == ["m-F16.gguf"]
    assert chosen(files, "user/repo:Q4") == []


def test_an_ambiguous_name_lists_the_models() -> None:
    name = parse_name("user/repo@v1:Q4_0")
    assert name
    models = models_among(
        ["a-Q4_0.gguf", "b-Q4_0.gguf", "b-Q8_0.gguf", "mmproj-F16.gguf"]
    )
    names = ["user/repo@v1/a-Q4_0.gguf", "user/repo@v1/b-Q4_0.gguf"]
    assert names_of(models, name) == [
        *names,
        "user/repo@v1:Q8_0",
        "user/repo@v1/mmproj-F16.gguf",
    ]
    with pytest.raises(llamacy.ArgumentError, match=", ".join(names)):
        only(matching(models, name), name)


def test_an_error_lists_only_some_of_many_models() -> None:
    name = parse_name("user/repo")
    assert name
    models = models_among(f"m{n}.gguf" for n in range(1000))
    with pytest.raises(llamacy.ArgumentError, match="and 976 more$"):
        only(matching(models, name), name)
