"""`inspect` describes a file, and the memory that loading it takes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import llamacy
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model_as
from llamacy.model_files.sources import locate
from llamacy.ops import memory
from llamacy.ops.plan.plan import Plan
from llamacy.system.memory import available_memory
from tests.support.mixture_folders import FORMS, experts
from tests.support.mixture_folders import write as write_mixture


def test_inspect_reads_the_description_of_a_file(
    babble_model: Path, base_model: Path
) -> None:
    info = llamacy.inspect(babble_model)
    assert (info.architecture, info.name) == ("llama", "random babble")
    assert info.file_type == "Q8_0"
    assert info.tensor_types == {"Q8_0": 30, "F32": 9}
    assert (info.n_ctx_train, info.n_vocab) == (256, 426)
    assert info.file_bytes < babble_model.stat().st_size
    assert info.n_params > 200_000
    assert info.has_chat_template
    assert not llamacy.inspect(base_model).has_chat_template


@pytest.mark.parametrize("kv_type", ["f16", "f32", "q8_0"])
def test_inspect_predicts_the_memory_that_loading_takes(
    babble_model: Path, kv_type: str
) -> None:
    info = llamacy.inspect(babble_model)
    with llamacy.load(babble_model, kv_type=kv_type, n_threads=1) as model:
        assert isinstance(model.executor, Plan)
        model.generate([1] * 70, max_tokens=1)
        taken = model.executor.n_pages_used * model.executor.page_bytes
    assert info.kv_bytes(70, kv_type) == taken
    assert info.kv_bytes(kv_type=kv_type) == info.kv_bytes(256, kv_type)


def test_inspect_predicts_the_bytes_of_packed_weights(
    babble_model: Path,
) -> None:
    from llamacy.formats.gguf.file import open_gguf
    from llamacy.kernels.packing.matrices import PackedMatrix
    from llamacy.ops.plan.packed_weights import pack_weights

    with open_gguf(babble_model) as file:
        weights = pack_weights(file.tensors).values()
    held = sum(
        weight.nbytes for weight in weights if isinstance(weight, PackedMatrix)
    ) + sum(weight.nbytes for weight in weights if isinstance(weight, np.ndarray))
    assert llamacy.inspect(babble_model).weights_bytes == held


def _allocated(
    path: Path, file_type: str | None, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Load a model's executor, and count the bytes of its buffers."""
    allocated: list[int] = []
    real = memory.zeros

    def zeros(shape: tuple[int, ...], dtype: str) -> Any:
        array = real(shape, dtype)
        allocated.append(array.nbytes)
        return array

    with monkeypatch.context() as patch, open_model_as(path, file_type) as file:
        patch.setattr("llamacy.ops.plan.buffers.zeros", zeros)
        load_executor(file, read_hyperparameters(file)[1]).close()
    return sum(allocated)


@pytest.mark.parametrize("file_type", [None, "Q8_0"])
def test_inspect_predicts_the_bytes_of_buffers(
    file_type: str | None,
    babble_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family, layer = FORMS["qwen3"]
    mixture = write_mixture(tmp_path, family, lambda prefix: layer(prefix, experts()))
    for path in (locate("demo"), babble_model, mixture):
        info = llamacy.inspect(path, quantize=file_type)
        assert info.buffer_bytes == _allocated(path, file_type, monkeypatch) > 0


def test_the_memory_of_a_process_is_the_sum_of_its_parts(babble_model: Path) -> None:
    info = llamacy.inspect(babble_model)
    known = info.weights_bytes + info.buffer_bytes
    assert info.memory_bytes(64) > known + info.kv_bytes(64)
    more = info.memory_bytes(128, "f32") - info.memory_bytes(64, "f32")
    assert more == info.kv_bytes(64, "f32")
    fewer_rows = info.memory_bytes(64, n_batch=256)
    assert info.memory_bytes(64) - fewer_rows == info.buffer_bytes // 2


@pytest.mark.parametrize("n_ctx", [1, 32, 33, 128, 255])
def test_the_longest_context_is_one_that_fits(babble_model: Path, n_ctx: int) -> None:
    info = llamacy.inspect(babble_model)
    memory = info.memory_bytes(n_ctx, "q8_0")
    longest = info.longest_context(memory, "q8_0")
    assert longest >= n_ctx
    assert info.memory_bytes(longest, "q8_0") <= memory
    if longest < info.n_ctx_train:
        assert info.memory_bytes(longest + 1, "q8_0") > memory
    assert info.longest_context(info.memory_bytes(1) - 1) == 0
    assert info.longest_context(2**60) == info.n_ctx_train


def test_impossible_arguments_of_kv_bytes_are_refused(babble_model: Path) -> None:
    info = llamacy.inspect(babble_model)
    with pytest.raises(llamacy.ArgumentError, match="n_ctx"):
        info.kv_bytes(0)
    with pytest.raises(llamacy.ArgumentError, match="n_batch"):
        info.kv_bytes(n_batch=0)
    with pytest.raises(llamacy.ArgumentError, match="kv_type: wanted one of f32, f16"):
        info.kv_bytes(kv_type="f8")


def test_inspect_describes_files_that_cannot_be_loaded(
    tmp_path: Path, write_gguf: Callable[..., Path]
) -> None:
    with pytest.raises(llamacy.ModelFileError):
        llamacy.inspect(tmp_path / "none.gguf")
    alien = write_gguf(tmp_path / "alien.gguf", {"general.architecture": "alien"}, {})
    with pytest.raises(llamacy.UnsupportedError, match=r"general\.architecture"):
        llamacy.inspect(alien)


@pytest.fixture
def huge_model(tmp_path: Path, llama_metadata: Callable[..., dict[str, Any]]) -> Path:
    """A valid sparse file, with more weights than this machine has memory.

    It is as large as its header says, but takes no room on the disk.
    """
    available = available_memory()
    if available is None:
        pytest.skip("this system does not tell how much memory there is")
    n_embd, n_vocab = 1 << 16, 1 << 10
    n_ff = 4 * -(-available // (4 * n_embd))
    if n_ff > 1 << 24:
        pytest.skip("too much memory for one layer to exceed")
    metadata = llama_metadata(
        block_count=1, embedding_length=n_embd, attention__head_count=n_embd // 64,
        attention__head_count_kv=1, feed_forward_length=n_ff, vocab_size=n_vocab,
    )  # fmt: skip
    shapes = {
        "token_embd.weight": (n_vocab, n_embd),
        "output_norm.weight": (n_embd,),
        "blk.0.attn_norm.weight": (n_embd,),
        "blk.0.attn_q.weight": (n_embd, n_embd),
        "blk.0.attn_k.weight": (64, n_embd),
        "blk.0.attn_v.weight": (64, n_embd),
        "blk.0.attn_output.weight": (n_embd, n_embd),
        "blk.0.ffn_norm.weight": (n_embd,),
        "blk.0.ffn_gate.weight": (n_ff, n_embd),
        "blk.0.ffn_up.weight": (n_ff, n_embd),
        "blk.0.ffn_down.weight": (n_embd, n_ff),
    }
    path = tmp_path / "huge.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in metadata.items():
        if isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
    floats = np.dtype(np.float32)
    n_bytes = 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape, dtype=np.int64))
        writer.add_tensor_info(name, shape, floats, size)
        n_bytes += size
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    try:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + n_bytes + 64 * len(shapes))
    except OSError as error:
        pytest.skip(f"no file of {n_bytes} bytes can be made here: {error}")
    return path


def test_a_model_that_cannot_fit_is_refused_before_packing(huge_model: Path) -> None:
    shares: list[float] = []
    with pytest.raises(llamacy.OutOfMemoryError) as info:
        llamacy.load(huge_model, progress=shares.append)
    error = info.value
    assert isinstance(error, MemoryError)
    assert error.needed == llamacy.inspect(huge_model).weights_bytes
    assert error.available is not None
    assert error.needed > error.available > 0
    for part in (str(huge_model), str(error.needed), str(error.available)):
        assert part in str(error)
    assert shares == []
    again = pickle.loads(pickle.dumps(error))
    assert (again.needed, str(again)) == (error.needed, str(error))


def test_no_model_is_refused_if_free_memory_is_unknown(
    babble_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamacy.model.executors.available_memory", lambda: None)
    llamacy.load(babble_model, n_threads=1).close()
