"""Files with more than the usual parts: loaded, inspected, quantised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import llamacy
from llamacy.formats.gguf.file import open_gguf
from tests.support.rewriting import rewrite

SCALES = {
    "blk.0.attn_q.scale": np.full(1, 3, np.float32),
    "blk.1.ffn_up.scale": np.full(1, 0.5, np.float32),
}
IDS = [3, 14, 15, 9, 26, 5]


def test_scales_stay_when_a_file_is_quantised(
    tmp_path: Path, babble_model: Path
) -> None:
    path = rewrite(babble_model, tmp_path / "scaled.gguf", SCALES)
    plain, scaled = llamacy.inspect(babble_model), llamacy.inspect(path)
    assert scaled.n_params == plain.n_params + 2
    made = llamacy.quantize(path, tmp_path / "small.gguf", "Q8_0").path
    with open_gguf(made) as file:
        for name, values in SCALES.items():
            np.testing.assert_array_equal(file.tensors[name].dequantize(), values)
    found = []
    for each in (babble_model, path, made):
        with llamacy.load(each) as model:
            found.append(model.logits(IDS))
    without, want, got = found
    most = float(np.abs(want).max())
    assert np.abs(without - want).max() > 0.05 * most
    np.testing.assert_allclose(got, want, rtol=0, atol=0.03 * most)


@pytest.mark.parametrize("alignment", [8, 64, 4096])
def test_alignments_other_than_32(
    tmp_path: Path, babble_model: Path, alignment: int
) -> None:
    keys = {"general.alignment": alignment}
    path = rewrite(babble_model, tmp_path / "m.gguf", keys=keys)
    made = llamacy.quantize(path, tmp_path / "small.gguf", "Q8_0").path
    with llamacy.load(babble_model) as model, llamacy.load(path) as same:
        want = model.logits(IDS)
        np.testing.assert_array_equal(same.logits(IDS), want)
    with llamacy.load(made) as model:
        most = 0.03 * float(np.abs(want).max())
        np.testing.assert_allclose(model.logits(IDS), want, rtol=0, atol=most)
