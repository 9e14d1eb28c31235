"""The sampling options of a file stand in for those that the caller leaves out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.formats.gguf.copying import write_model
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.metadata import FLOAT32, INT32
from llamacy.model_files.sources import find_source
from llamacy.sampling import SamplingParams
from llamacy.sampling.file_defaults import FIELDS, file_defaults

# values of every key that llama.cpp has for them, but for an order of samplers
VALUES: dict[str, Any] = {
    "temp": 0.5,
    "top_k": 7,
    "top_p": 0.75,
    "min_p": 0.125,
    "xtc_probability": 0.25,
    "xtc_threshold": 0.0625,
    "penalty_last_n": -1,
    "penalty_repeat": 1.25,
    "mirostat": 2,
    "mirostat_tau": 4.0,
    "mirostat_eta": 0.25,
}


def metadata(**values: Any) -> dict[str, Any]:
    return {f"general.sampling.{key}": value for key, value in values.items()}


def test_each_key_of_llama_cpp_is_an_option(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "llamacy"):
        found = file_defaults(metadata(**VALUES), "m.gguf")
    for key, value in VALUES.items():
        assert getattr(found, FIELDS[key]) == value
    (record,) = caplog.records
    assert "sampling defaults of the file: temperature=0.5, top_k=7" in record.message
    caplog.clear()
    assert file_defaults({"general.name": "x"}, "m.gguf") == SamplingParams()
    assert not caplog.records


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temp", -1.0),
        ("temp", "hot"),
        ("temp", float("nan")),
        ("top_k", 2.5),
        ("top_p", True),
        ("mirostat", 3),
        ("sequence", "top_k;penalties"),
        ("sequence", "top_k;top_k"),
        ("sequence", "top_k;adaptive_p"),
        ("sequence", ""),
        ("sequence", 3),
        ("sequence", "top_k;" * 10**6),
        ("x" * 500, 1),
    ],
)
def test_values_that_cannot_be_used_are_passed_over_and_named(
    key: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    found = file_defaults(metadata(**{key: value, "top_k": -1} | {key: value}), "m")
    assert found in (SamplingParams(), SamplingParams(top_k=0))
    (record,) = (each for each in caplog.records if each.levelname == "WARNING")
    assert f"general.sampling.{key[:20]}" in record.message
    assert len(record.message) < 500


def test_calls_use_them_unless_they_say_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with open_gguf(find_source("demo").path) as file:
        for key, value, kind in (("temp", 0.0, FLOAT32), ("top_k", 3, INT32)):
            file.metadata[f"general.sampling.{key}"] = value
            file.value_types[f"general.sampling.{key}"] = kind
        write_model(file, str(path), None)
    with llamacy.load(path) as model, llamacy.load("demo") as demo:
        assert model.default_params == SamplingParams(temperature=0, top_k=3)
        assert demo.default_params == SamplingParams()

        def texts(**options: Any) -> set[str]:
            return {
                model.generate("Once", max_tokens=8, seed=seed, **options).text
                for seed in range(4)
            }

        assert texts() == {demo.generate("Once", max_tokens=8, temperature=0).text}
        assert len(texts(temperature=5.0, top_k=0)) > 1
        params = SamplingParams(max_tokens=8, temperature=5.0, top_k=0, seed=1)
        assert model.generate("Once", params).text == (
            demo.generate("Once", params).text
        )
        with model.session() as session:
            assert session.generate("Once", max_tokens=8).text in texts()


def test_samplers_that_a_sequence_leaves_out_are_off() -> None:
    found = file_defaults(metadata(sequence="Top-K;minp;temp", top_p=0.5, top_k=7), "m")
    assert found == SamplingParams(
        top_k=7, top_p=1.0, min_p=SamplingParams().min_p, repeat_penalty=1.0
    )
    found = file_defaults(metadata(sequence="penalties;nucleus", temp=0.5), "m")
    assert found.temperature == 1.0
    assert (found.top_k, found.min_p) == (0, 0)
    assert found.top_p == SamplingParams().top_p
    whole = "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"
    assert file_defaults(metadata(sequence=whole), "m") == SamplingParams()
