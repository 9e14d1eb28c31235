"""The output and errors of `llamacy quantize`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.ggml.file_types import FILE_TYPES

Shell = Callable[..., Any]


def test_a_model_can_be_quantised_twice_and_run(
    shell: Shell, babble_model: Path, tmp_path: Path
) -> None:
    done = shell("quantize", babble_model, tmp_path / "a.gguf", "f16", "-t", 1)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{tmp_path / 'a.gguf'}: F16, ")
    assert "16.0" in done.out
    done = shell("quantize", tmp_path / "a.gguf", tmp_path / "b.gguf", "Q4_K_M")
    assert (done.status, done.err) == (0, "")
    assert shell("run", tmp_path / "b.gguf", "Once", "-n", 4).status == 0


def test_quantize_prints_json(shell: Shell, babble_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    result = json.loads(shell("quantize", babble_model, path, "Q8_0", "--json").out)
    with open_gguf(path) as file:
        types = [tensor.type.name for tensor in file.tensors.values()]
    assert result["tensor_types"] == {name: types.count(name) for name in set(types)}
    assert (result["path"], result["type"]) == (str(path), "Q8_0")
    assert result["source_bytes"] == result["target_bytes"]
    bits = 8 * result["target_bytes"] / result["n_params"]
    assert result["bits_per_weight"] == pytest.approx(bits, abs=1e-3)


def test_help_names_every_type(shell: Shell) -> None:
    words = shell("quantize", "--help").out.replace(",", " ").replace(".", " ").split()
    assert set(FILE_TYPES) <= set(words)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "IN"),
        (("MODEL",), 2, "Missing argument 'OUT'"),
        (("MODEL", "OUT"), 2, "Missing argument 'TYPE'"),
        (("--dry-run", "MODEL"), 2, "Missing argument 'TYPE'"),
        (("MODEL", "q4_k_m"), 2, "Missing argument 'OUT', the file to write"),
        (("MODEL" + "x" * 5000, "OUT", "Q4_0"), 1, "xxx...xxx"),
        (("MODEL", "OUT", "Q9"), 1, "wanted one of F32"),
        (("MODEL", "MODEL", "Q4_0"), 1, "another file than the source"),
        (("none.gguf", "OUT", "Q4_0"), 1, "none.gguf"),
        (("MODEL", ".", "Q4_0"), 1, "found a folder"),
        (("MODEL", "OUT", "Q4_0", "-t", "0"), 1, "n_threads"),
    ],
)
def test_the_error_of_quantize_is_one_line(
    shell: Shell,
    babble_model: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    known = {"MODEL": str(babble_model), "OUT": str(tmp_path / "new.gguf")}
    done = shell("quantize", *(known.get(word, word) for word in words))
    assert done.status == status
    assert done.err.count("\n") == 1
    assert message in done.err
    assert done.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_no_file(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "large.gguf", "llama")
    writer.add_tensor("large.weight", np.ones((16384, 2048), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out = tmp_path / "out"
    out.mkdir()
    words = ["quantize", str(tmp_path / "large.gguf"), str(out / "new.gguf"), "Q5_K_S"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "llamacy", *words, "-t", "2"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(llamacy.__file__).parents[1])},
        # a shell starts background jobs, as this may be, with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(1000):  # until the process begins to write
        if list(out.iterdir()):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert not list(out.iterdir())


def test_a_dry_run_prints_every_tensor(
    shell: Shell, babble_model: Path, tmp_path: Path
) -> None:
    done = shell("quantize", "--dry-run", babble_model, "iq2_xxs")
    assert (done.status, done.err) == (0, "")
    with open_gguf(babble_model) as file:
        assert all(name in done.out for name in file.tensors)
    done = shell("quantize", "--dry-run", "demo", "iq2_xxs")
    assert "needs an importance matrix: --imatrix FILE" in done.out
    done = shell("quantize", babble_model, tmp_path / "a.gguf", "Q8_0", "--dry-run")
    assert done.status == 0
    assert "importance" not in done.out
    assert not list(tmp_path.iterdir())


def test_types_of_single_tensors_come_from_options_and_files(
    shell: Shell, babble_model: Path, tmp_path: Path
) -> None:
    types = tmp_path / "types.txt"
    types.write_text("attn_v=Q5_0\nattn=F16  ffn=Q4_0\n")
    options = (
        *("--tensor-type", "attn_q=Q8_0", "--tensor-type-file", types),
        *("--allow-requantize", "--output-tensor-type", "bf16"),
    )
    words = ("quantize", "--dry-run", "--json", *options, babble_model, "Q5_1")
    report = json.loads(shell(*words).out)
    found = {each["name"]: each["type"] for each in report["tensors"]}
    assert found["blk.0.attn_q.weight"] == "Q8_0"
    assert found["blk.0.attn_k.weight"] == "F16"
    assert found["blk.0.ffn_up.weight"] in ("Q4_0", "F16")
    done = shell("quantize", "--dry-run", "--tensor-type", "x", babble_model, "Q5_1")
    assert done.status == 2
    assert "wanted PATTERN=TYPE, found x" in done.err
    types.write_text("ffn_up=Q4_0 attn_k")
    done = shell(*words)
    assert f"{types}: wanted PATTERN=TYPE, found attn_k" in done.err
