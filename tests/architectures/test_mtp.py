"""MTP heads: their arithmetic, and what they leave as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import Batch, TextBatch
from tests.support import mtp_model
from tests.support.mtp_model import N_EMBD, N_LAYER, OWN

Array = NDArray[np.float32]
Write = Callable[..., Path]
IDS = [int(each) for each in np.random.default_rng(1).integers(3, 400, 40)]
N_READ, N_GUESSED = 36, 3
N_HEAD, N_HEAD_KV, D, N_ROTATED, EPS = 4, 2, 24, 8, 1e-5


@pytest.fixture
def write(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, Array]],
) -> Write:
    def made(**options: Any) -> Path:
        args = (write_gguf, llama_metadata, random_tensors)
        return mtp_model.write(tmp_path / "model.gguf", *args, **options)

    return made


def load(path: Path, kind: Any = "plan", has_mtp: bool = True, **options: Any) -> Any:
    with open_gguf(path) as file:
        _, config = read_hyperparameters(file)
        assert config.has_mtp
        config = replace(config, has_mtp=has_mtp)
        return load_executor(file, config, executor=kind, **options)


def guessed(executor: Any, n_rows: int = 16) -> Array:
    """Return the head's logits after a text, read in parts, and after guesses."""
    sequence = executor.new_sequence()
    for first in range(0, N_READ, n_rows):
        part = IDS[first : min(first + n_rows, N_READ)]
        executor.forward(Batch.of(part, sequence, "none"))
    ahead = executor.look_ahead(sequence)
    rows = [
        executor.draft([token], [ahead])[0].copy()
        for token in IDS[N_READ : N_READ + N_GUESSED]
    ]
    ahead.close()
    assert sequence.n_past == N_READ
    return np.stack(rows)


class SlowHead:
    """The head of a dense Qwen 3.5 in float64, row by row, as its papers have it."""

    def __init__(self, path: Path) -> None:
        tensors = gguf.GGUFReader(path).tensors
        self.weights = {each.name: each.data.astype(np.float64) for each in tensors}
        self.keys: list[Any] = []  # of each row
        self.values: list[Any] = []

    def weight(self, name: str) -> Any:
        return self.weights.get(f"blk.{N_LAYER}.{name}.weight")

    def norm(self, x: Any, weight: Any) -> Any:
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPS) * weight

    def rotate(self, x: Any, position: int) -> Any:
        half = N_ROTATED // 2
        angles = position * 10000.0 ** (-np.arange(half) / half)
        a, b = x[:, :half].copy(), x[:, half:N_ROTATED].copy()
        x = x.copy()
        x[:, :half] = a * np.cos(angles) - b * np.sin(angles)
        x[:, half:N_ROTATED] = b * np.cos(angles) + a * np.sin(angles)
        return x

    def read(self, token: int, before: Any) -> tuple[Any, Any]:
        """Return the row that a token leads to, and its logits."""
        own = self.weight("nextn.embed_tokens")
        table = self.weights["token_embd.weight"] if own is None else own
        embedded = self.norm(table[token], self.weight("nextn.enorm"))
        before = self.norm(before, self.weight("nextn.hnorm"))
        x = self.weight("nextn.eh_proj") @ np.concatenate([embedded, before])
        x = x + self.attend(self.norm(x, self.weight("attn_norm")))
        y = self.norm(x, self.weight("post_attention_norm"))
        gate, up = self.weight("ffn_gate") @ y, self.weight("ffn_up") @ y
        x = x + self.weight("ffn_down") @ (gate / (1 + np.exp(-gate)) * up)
        norm = self.weight("nextn.shared_head_norm")
        x = self.norm(x, self.weights["output_norm.weight"] if norm is None else norm)
        output = self.weight("nextn.shared_head_head")
        if output is None:
            output = self.weights.get(
                "output.weight", self.weights["token_embd.weight"]
            )
        return x, output @ x

    def attend(self, x: Any) -> Any:
        """Return the result of a normed row, which attends to those before, too."""
        position = len(self.keys)
        k = (self.weight("attn_k") @ x).reshape(N_HEAD_KV, D)
        k = self.norm(k, self.weight("attn_k_norm"))
        self.keys.append(self.rotate(k, position))
        self.values.append((self.weight("attn_v") @ x).reshape(N_HEAD_KV, D))
        both = (self.weight("attn_q") @ x).reshape(N_HEAD, 2, D)
        q = self.norm(both[:, 0], self.weight("attn_q_norm"))
        q = self.rotate(q, position)
        heads = []
        for head in range(N_HEAD):
            group = head // (N_HEAD // N_HEAD_KV)
            scores = np.stack(self.keys)[:, group] @ q[head] / np.sqrt(D)
            shares = np.exp(scores - scores.max())
            attended = shares / shares.sum() @ np.stack(self.values)[:, group]
            heads.append(attended / (1 + np.exp(-both[head, 1])))
        return self.weight("attn_output") @ np.concatenate(heads)


def slowly(path: Path, last_rows: Array) -> Array:
    """Return the logits of `guessed`, by the model's last rows, which are normed."""
    head, logits = SlowHead(path), []
    before: Any = np.zeros(N_EMBD)
    for position, token in enumerate(IDS[: N_READ + N_GUESSED]):
        row, one = head.read(token, before)
        before = last_rows[position] if position < N_READ else row
        if position >= N_READ:
            logits.append(one)
    return np.stack(logits).astype(np.float32)


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("own", [(), OWN], ids=["shared", "own"])
def test_logits_are_those_of_a_head_written_anew(write: Write, own: Any) -> None:
    path = write(own=own)
    plan = load(path, kv_type="f32", n_threads=2)
    texts = TextBatch.of([IDS[:N_READ]])
    want = slowly(path, plan.embed(texts, "none"))
    got = guessed(plan)
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-4 * float(want.std()))
    # of the drafted rows each depends on the one before: none is a row of the model
    assert np.abs(want[1:] - want[:-1]).max() > want.std()


@pytest.mark.parametrize("family", mtp_model.EXPERTS)
def test_plan_and_reference_agree_on_heads(write: Write, family: str) -> None:
    path = write(family=family)
    want = guessed(load(path, "reference"))
    plan = load(path, kv_type="f32")
    for n_rows in (1, 16, 64):  # keys of the head do not depend on the passes
        got = guessed(plan, n_rows)
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-4 * float(want.std()))


@pytest.mark.usefixtures("selected_level")
def test_the_model_is_the_same_with_its_head_and_without(write: Write) -> None:
    whole = write()
    path = whole.parent / "quantised.gguf"
    llamacy.quantize(whole, path, "Q8_0")
    logits = []
    for has_mtp in (False, True):
        plan = load(path, has_mtp=has_mtp, n_threads=2)
        sequence = plan.new_sequence()
        rows = [plan.forward(Batch.of(IDS[:30], sequence, "all"))]
        for token in IDS[30:]:
            if has_mtp:  # whatever it guesses, the text goes on as it was
                ahead = plan.look_ahead(sequence)
                plan.draft([7], [ahead])
                plan.draft([8], [ahead])
                ahead.close()
            rows.append(plan.forward(Batch.of([token], sequence)))
        logits.append(np.concatenate(rows))
    np.testing.assert_array_equal(logits[0], logits[1])


def test_texts_are_drafted_together_as_alone(write: Write) -> None:
    plan = load(write())
    sequences = []
    for n in (5, 17, 30):
        sequences.append(plan.new_sequence())
        plan.forward(Batch.of(IDS[:n], sequences[-1], "none"))
    aheads = [plan.look_ahead(each) for each in sequences]
    together = [plan.draft([n, n + 1, n + 2], aheads).copy() for n in (5, 9)]
    for ahead in aheads:
        ahead.close()
    for text, sequence in enumerate(sequences):
        ahead = plan.look_ahead(sequence)
        for n, logits in zip((5, 9), together, strict=True):
            alone = plan.draft([n + text], [ahead])
            np.testing.assert_array_equal(alone[0], logits[text])
        ahead.close()


def test_a_fork_is_drafted_as_the_text_that_it_left(write: Write) -> None:
    plan = load(write())
    sequence = plan.new_sequence()
    sequence.mark([20])
    plan.forward(Batch.of(IDS[:30], sequence, "none"))
    fork = sequence.fork()
    want = []
    for each in (sequence, fork):
        ahead = plan.look_ahead(each)
        want.append(plan.draft([5], [ahead]).copy())
        ahead.close()
    np.testing.assert_array_equal(want[0], want[1])
    fork.truncate(20)
    other = plan.new_sequence()
    plan.forward(Batch.of(IDS[:20], other, "none"))
    rows = []
    for each in (fork, other):
        ahead = plan.look_ahead(each)
        rows.append(plan.draft([5], [ahead]).copy())
        ahead.close()
    np.testing.assert_array_equal(rows[0], rows[1])
    for each in (sequence, fork, other):
        each.close()
    assert plan.kv_bytes_used == 0


def test_memory_counts_the_head(write: Write) -> None:
    path = write()
    info = llamacy.inspect(path)
    plan, without = load(path), load(path, has_mtp=False)
    assert info.weights_bytes == plan.weight_bytes > without.weight_bytes
    assert info.kv_page_bytes["f16"] == plan.page_bytes > without.page_bytes
    assert info.state_bytes == plan.most_text_bytes > without.most_text_bytes


def test_a_head_of_another_shape_is_refused(write: Write) -> None:
    def cut(tensors: dict[str, Array]) -> None:
        name = f"blk.{N_LAYER}.nextn.eh_proj.weight"
        tensors[name] = tensors[name][:, 1:]

    path = write(change=cut)
    with pytest.raises(FormatError, match="nextn.eh_proj.weight: shape"):
        llamacy.load(path)
    llamacy.load(path, drafting=False).close()  # where it is not needed


@pytest.mark.parametrize("part", ["nextn.eh_proj.weight", ""])
def test_a_file_without_its_head_is_one_of_the_model(write: Write, part: str) -> None:
    """As files are whose layers that draft were taken out: the key stays."""

    def drop(tensors: dict[str, Array]) -> None:
        for name in [each for each in tensors if f"blk.{N_LAYER}.{part}" in each]:
            del tensors[name]

    with llamacy.load(write(change=drop)) as model:
        assert not model.config.has_mtp
        assert model.generate(IDS[:5], max_tokens=3, temperature=0).tokens
