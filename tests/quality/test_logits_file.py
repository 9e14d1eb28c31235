"""The file of predictions: its exact format, and the checks of damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.quality.log_softmax import LogSoftmax, decode, encode, row_words
from llamacy.quality.logits_file import LogitsFile, new_logits_file

N_CTX, N_VOCAB, N_CHUNKS, N_SCORED = 6, 5, 2, 4


def rows(n: int = N_SCORED, n_vocab: int = N_VOCAB) -> NDArray[np.float32]:
    rng = np.random.default_rng(n_vocab)
    return (4 * rng.standard_normal((n, n_vocab))).astype(np.float32)


@pytest.fixture
def ids() -> NDArray[np.int32]:
    return np.arange(N_CHUNKS * N_CTX, dtype=np.int32).reshape(N_CHUNKS, N_CTX) % 5


@pytest.fixture
def saved(tmp_path: Path, ids: NDArray[np.int32]) -> Path:
    path = tmp_path / "saved.logits"
    with new_logits_file(path, ids, N_VOCAB) as writer:
        logits = rows()
        writer.write(slice(3, 4), LogSoftmax.of(logits[3:]))  # in any order
        writer.write(slice(0, 3), LogSoftmax.of(logits[:3]))
    return path


@pytest.mark.parametrize("n_vocab", [1, 2, 5, 300])
def test_a_round_trip_through_16_bits_is_accurate(n_vocab: int) -> None:
    logits = rows(50, n_vocab)
    wanted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    words = encode(LogSoftmax.of(logits))
    assert words.shape == (50, row_words(n_vocab))
    assert words.shape[1] % 2 == 0
    found = decode(words, n_vocab)
    depth = np.minimum(np.ptp(logits, axis=1), 16)
    error = np.abs(found - np.maximum(wanted, wanted.max(axis=1, keepdims=True) - 16))
    assert (error <= 0.51 * depth[:, None] / 65535 + 4e-6).all()


def test_log_probabilities_are_cut_off_16_below_the_likeliest() -> None:
    logits = np.array([[0, -15, -17, -300]], np.float32)
    words = encode(LogSoftmax.of(logits))
    assert words[0, 4] == 65535
    assert words[0, 5] == round(65535 / 16)
    assert list(words[0, 6:]) == [0, 0]
    assert decode(words, 4)[0] == pytest.approx([0, -15, -16, -16], abs=2e-4)


def test_equal_logits_survive_the_round_trip() -> None:
    found = decode(encode(LogSoftmax.of(np.full((2, 8), 3, np.float32))), 8)
    assert found == pytest.approx(-np.log(8) * np.ones((2, 8)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_logits_are_refused(bad: float) -> None:
    logits = rows()
    logits[2, 3] = bad
    with pytest.raises(llamacy.ModelOutputError):
        LogSoftmax.of(logits)


def test_a_file_has_the_specified_bytes(saved: Path, ids: NDArray[np.int32]) -> None:
    data = saved.read_bytes()
    assert data[:8] == b"_logits_"
    assert np.frombuffer(data, "<i4", 3, 8).tolist() == [N_CTX, N_VOCAB, N_CHUNKS]
    assert np.frombuffer(data, "<i4", 12, 20).tolist() == ids.ravel().tolist()
    body = np.frombuffer(data, "<u2", offset=20 + 4 * 12).reshape(N_SCORED, 10)
    assert (body == encode(LogSoftmax.of(rows()))).all()
    file = LogitsFile(saved)
    assert (file.ids == ids).all()
    assert file.n_vocab == N_VOCAB
    assert (file.rows(slice(1, 3)) == body[1:3]).all()


@pytest.mark.parametrize(
    ("offset", "new", "message"),
    [
        (0, b"_tigol__", "beginning"),
        (8, 2, "n_ctx: wanted 3"),
        (8, -6, "n_ctx"),
        (8, 7, "size: wanted"),
        (12, 0, "n_vocab"),
        (12, 2**31 - 1, "n_vocab"),
        (16, 0, "n_chunks"),
        (16, 2**31 - 1, "size: wanted"),
        (20, 5, "tokens: wanted 0 to 4, found 5"),
        (24, -1, "tokens"),
    ],
)
def test_an_impossible_header_is_refused(
    saved: Path, offset: int, new: bytes | int, message: str
) -> None:
    data = bytearray(saved.read_bytes())
    patch = new if isinstance(new, bytes) else np.array(new, "<i4").tobytes()
    data[offset : offset + len(patch)] = patch
    saved.write_bytes(data)
    with pytest.raises(llamacy.FormatError, match=message):
        LogitsFile(saved)


@pytest.mark.parametrize("n", [1, 7, 19, 20, 67, -1])
def test_an_incomplete_file_is_refused(saved: Path, n: int) -> None:
    saved.write_bytes(saved.read_bytes()[:n])
    with pytest.raises(llamacy.FormatError):
        LogitsFile(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_an_impossible_scale_is_refused(saved: Path, value: float) -> None:
    data = bytearray(saved.read_bytes())
    data[68 + 20 : 68 + 24] = np.array(value, "<f4").tobytes()  # in the second row
    saved.write_bytes(data)
    file = LogitsFile(saved)
    file.rows(slice(0, 1))
    with pytest.raises(llamacy.FormatError, match="row 1: wanted a scale"):
        file.rows(slice(0, 3))


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    ids = np.zeros((1 << 10, 1 << 10), np.int32)
    with pytest.raises(llamacy.ModelFileError, match="no space for"):
        with new_logits_file(tmp_path / "large", ids, 1 << 24):
            raise AssertionError
    with pytest.raises(llamacy.ModelFileError, match="null byte"):
        with new_logits_file("\0", ids[:1], 4):
            raise AssertionError
    assert list(tmp_path.iterdir()) == []
