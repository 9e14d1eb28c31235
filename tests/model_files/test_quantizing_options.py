"""Quantising with an importance matrix, and with types for single tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.formats.gguf.file import open_gguf
from tests.support.quantizing import NEEDS_IMATRIX, importance_of, leftovers


def test_an_importance_matrix_lowers_the_errors_that_count(
    float_model: Path, tmp_path: Path
) -> None:
    matrix = importance_of(float_model)
    matrix.save(tmp_path / "of_model.gguf")

    def error(imatrix: Any) -> float:
        path = tmp_path / "new.gguf"
        done = llamacy.quantize(float_model, path, "Q4_K_S", imatrix=imatrix)
        assert any(each.is_weighed for each in done.tensors) == (imatrix is not None)
        name = "blk.1.ffn_up.weight"
        with open_gguf(float_model) as before, open_gguf(path) as after:
            weights = before.tensors[name].dequantize()
            off = after.tensors[name].dequantize() - weights
        return float((matrix.entries[name].sums * off**2).sum())

    best = error(matrix)
    assert best < 0.9 * error(None)
    assert error(tmp_path / "of_model.gguf") == best
    with open_gguf(tmp_path / "new.gguf") as file:
        assert {
            key.removeprefix("quantize.imatrix."): value
            for key, value in file.metadata.items()
            if "imatrix" in key
        } == {
            "file": "of_model.gguf",
            "dataset": "text.txt",
            "entries_count": 14,
            "chunks_count": 7,
        }


@pytest.mark.parametrize("name", NEEDS_IMATRIX)
def test_small_types_are_refused_without_an_importance_matrix(
    float_model: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        llamacy.ArgumentError, match=r"wanted an importance matrix.*blk"
    ):
        llamacy.quantize(float_model, tmp_path / "new.gguf", name)
    matrix = importance_of(float_model)
    entries = {key: each for key, each in matrix.entries.items() if "blk.0" in key}
    half = llamacy.ImportanceMatrix(entries)
    with pytest.raises(llamacy.ArgumentError, match=r"with an entry for blk\.1\."):
        llamacy.quantize(float_model, tmp_path / "new.gguf", name, imatrix=half)
    assert not leftovers(tmp_path)
    with pytest.raises(llamacy.ArgumentError, match="importance matrix"):
        llamacy.load(float_model, quantize=name)
    planned = llamacy.quantize(float_model, None, name, dry_run=True)
    assert planned.needs_imatrix


def test_importance_matrices_of_other_models_are_refused(
    float_model: Path, tmp_path: Path
) -> None:
    matrix, path = importance_of(float_model), tmp_path / "new.gguf"
    names = {f"other.{name}": each for name, each in matrix.entries.items()}
    with pytest.raises(llamacy.FormatError, match="those of the model"):
        llamacy.quantize(
            float_model, path, "Q4_0", imatrix=llamacy.ImportanceMatrix(names)
        )
    wide = dict(matrix.entries)
    name = "blk.0.attn_q.weight"
    wide[name] = llamacy.InputSums(np.ones((1, 512), np.float32), np.array([1]))
    with pytest.raises(llamacy.FormatError, match=f"sums of {name}.*1 x 256"):
        llamacy.quantize(
            float_model, path, "Q4_0", imatrix=llamacy.ImportanceMatrix(wide)
        )
    assert not leftovers(tmp_path)


def test_single_tensors_get_the_types_that_are_asked_for(
    float_model: Path, tmp_path: Path
) -> None:
    def types(**options: Any) -> dict[str, str]:
        path = tmp_path / "new.gguf"
        done = llamacy.quantize(float_model, path, "Q4_K_M", **options)
        with open_gguf(path) as file:
            found = {name: each.type.name for name, each in file.tensors.items()}
        assert found == {each.name: each.type for each in done.tensors}
        return found

    plain = types()
    found = types(tensor_types={r"blk\.0\.ffn_(UP|gate)": "q8_0", "ffn": "Q5_0"})
    changed = {name: each for name, each in found.items() if plain[name] != each}
    assert changed == {
        "blk.0.ffn_gate.weight": "Q8_0",
        "blk.0.ffn_up.weight": "Q8_0",
        "blk.0.ffn_down.weight": "Q5_0",
        "blk.1.ffn_gate.weight": "Q5_0",
        "blk.1.ffn_up.weight": "Q5_0",
        "blk.1.ffn_down.weight": "Q5_0",
    }
    found = types(output_tensor_type="F16", token_embedding_type="Q3_K")
    assert (found["output.weight"], found["token_embd.weight"]) == ("F16", "Q3_K")
    assert types(leave_output_tensor=True)["output.weight"] == "F32"
    assert set(types(pure=True).values()) == {"F32", "Q4_K"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tensor_types": {"[": "Q8_0"}}, "wanted a regular expression, found '\\['"),
        ({"tensor_types": {"ffn": "Q9"}}, r"tensor_types\['ffn'\]: wanted a type"),
        ({"tensor_types": ["ffn"]}, "wanted a dict"),
        ({"output_tensor_type": "Q4_K_M"}, "output_tensor_type: wanted a type"),
        ({"token_embedding_type": 3}, "token_embedding_type"),
        ({"pure": 1}, "pure: wanted True or False"),
        ({"imatrix": 3}, "imatrix: wanted a path"),
        ({"dry_run": None}, "dry_run"),
    ],
)
def test_invalid_options_for_tensors_are_refused(
    float_model: Path, target: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=message):
        llamacy.quantize(float_model, target, "Q8_0", **options)


def test_patterns_that_no_matrix_has_are_named_in_a_warning(
    float_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    types = {"ffn_dwon": "Q6_K", "ffn_down": "Q6_K", "attn_norm": "F16"}
    llamacy.quantize(float_model, None, "Q8_0", tensor_types=types, dry_run=True)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2
    assert warnings[0].endswith("tensor_types: no matrix has 'ffn_dwon' in its name")
    assert "'attn_norm'" in warnings[1]  # whose tensors are vectors


def test_a_dry_run_tells_the_sizes_and_writes_nothing(
    float_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new.gguf"
    planned = llamacy.quantize(float_model, path, "Q4_K_M", dry_run=True)
    assert not leftovers(tmp_path)
    done = llamacy.quantize(float_model, path, "Q4_K_M")
    assert planned == done
    with open_gguf(path) as file:
        sizes = {name: each.n_bytes for name, each in file.tensors.items()}
    assert sizes == {each.name: each.target_bytes for each in planned.tensors}
    assert sum(each.source_bytes for each in planned.tensors) == planned.source_bytes
