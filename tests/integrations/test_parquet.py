"""`llamacy embed` writes files that pyarrow reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import llamacy
from llamacy.cli import app

pytestmark = pytest.mark.integrations
parquet: Any = pytest.importorskip("pyarrow.parquet", reason="pyarrow is absent")

TEXTS = ["the cat", "", "a dog on the mat"]


@pytest.mark.parametrize("n", [3, 0])
def test_a_parquet_file_has_all_vectors(encoder: Path, tmp_path: Path, n: int) -> None:
    source, target = tmp_path / "texts.txt", tmp_path / "new.parquet"
    source.write_text("".join(f"{text}\n" for text in TEXTS[:n]))
    words = ["embed", str(encoder), "-f", str(source), "-o", str(target)]
    result = CliRunner().invoke(app, words, prog_name="llamacy")
    assert result.exit_code == 0, result.stderr
    table = parquet.read_table(target)
    assert table.column_names == ["index", "n_tokens", "embedding"]
    with llamacy.load(encoder) as model:
        wanted = model.embed(TEXTS[:n])
    assert table["index"].to_pylist() == list(range(n))
    assert tuple(table["n_tokens"].to_pylist()) == wanted.token_counts
    found = np.array(table["embedding"].to_pylist(), np.float32).reshape(n, 64)
    np.testing.assert_array_equal(found, wanted)
