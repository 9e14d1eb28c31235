"""The output, files and errors of `llamacy perplexity`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy

Shell = Callable[..., Any]
TEXT = "babu deki lonu " * 40


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(f"{TEXT}\n")
    return path


def test_the_figures_are_those_of_the_library(
    shell: Shell, babble_model: Path, text: Path
) -> None:
    with llamacy.load(babble_model, n_ctx=32) as model:
        wanted = llamacy.perplexity(model, TEXT, n_ctx=32)
    for words, input in (
        ([babble_model, "-f", text], ""),
        (["-m", babble_model], TEXT),
    ):
        done = shell("perplexity", *words, "-c", 32, "-t", 1, "--json", input=input)
        found = json.loads(done.out)
        assert found["perplexity"] == pytest.approx(wanted.value, rel=1e-4)
        assert found["error"] == pytest.approx(wanted.error, rel=1e-3)
        assert found["running"] == pytest.approx(list(wanted.running), rel=1e-4)
        assert (found["n_chunks"], found["n_ctx"]) == (wanted.n_chunks, 32)
    done = shell("perplexity", babble_model, "-f", text, "-c", 32, "--chunks", 3)
    assert re.match(r"\[1\]\d+\.\d{4},\[2\]\d+\.\d{4},\[3\](\d+\.\d{4}),\n", done.out)
    last = done.out.splitlines()[-1]
    assert re.fullmatch(r"Final estimate: PPL = \d+\.\d{4} \+/- \d+\.\d{5}", last)


@pytest.mark.parametrize("option", ["--save-logits", "--kl-divergence-base"])
def test_predictions_can_be_saved_and_compared_with(
    shell: Shell, babble_model: Path, text: Path, tmp_path: Path, option: str
) -> None:
    base = tmp_path / "saved.logits"
    done = shell("perplexity", babble_model, "-f", text, "-c", 32, option, base)
    assert (done.status, done.err) == (0, "")
    words = ["perplexity", babble_model, "--kl-divergence", option, base]
    found = json.loads(shell(*words, "--json").out)
    assert found["n_ctx"] == 32
    assert found["same_top"]["value"] == 1.0
    assert abs(found["kld"]["mean"]["value"]) < 1e-4
    assert {"99.9", "5.0"} <= set(found["p_diff"]["percentiles"])
    report = shell(*words, "--chunks", 2).out
    for name in (
        "Mean PPL(Q)",
        "Mean PPL(base)",
        "Cor(ln(PPL(Q)), ln(PPL(base)))",
        "Mean    KLD",
        "Maximum KLD",
        "99.0%   KLD",
        "Median  KLD",
        " 5.0%   KLD",
        "Mean    Δp",
        "RMS Δp    ",
        "Same top p",
        "Minimum Δp",
    ):
        assert re.search(rf"^{re.escape(name)} *: *\S+", report, re.M), name
    assert len(re.findall(r"^ +\d+ .* ± ", report, re.M)) == 2


def test_a_failed_comparison_prints_no_heading(
    shell: Shell, babble_model: Path, text: Path, tmp_path: Path
) -> None:
    base = tmp_path / "saved.logits"
    shell("perplexity", babble_model, "-f", text, "-c", 32, "--save-logits", base)
    done = shell("perplexity", "demo", "--kl-divergence", "--save-logits", base)
    assert (done.status, done.out) == (1, "")
    assert "n_vocab" in done.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "no model"),
        (("none.gguf",), 2, "no text"),
        (("none.gguf", "-f", "no-text.txt"), 1, "no-text.txt"),
        (("none.gguf", "--kl-divergence"), 2, "--kl-divergence-base"),
        (
            (
                "none.gguf",
                "--kl-divergence",
                "--kl-divergence-base",
                "x",
                "-f",
                __file__,
            ),
            2,
            "contains the text",
        ),
        (
            ("none.gguf", "--kl-divergence", "--kl-divergence-base", "no-file"),
            1,
            "no-file",
        ),
        (("none.gguf", "-f", __file__), 1, "none.gguf"),
    ],
)
def test_the_error_of_perplexity_is_one_line(
    shell: Shell, words: tuple[str, ...], status: int, message: str
) -> None:
    done = shell("perplexity", *words)
    assert done.status == status
    assert done.err.startswith("llamacy: error: ")
    assert done.err.count("\n") == 1
    assert message in done.err


def test_a_text_shorter_than_a_chunk_is_refused(
    shell: Shell, babble_model: Path
) -> None:
    done = shell("perplexity", babble_model, "-c", 200, input="babu")
    assert done.status == 1
    assert "wanted at least one chunk of 200 tokens" in done.err


def test_an_interruption_prints_the_estimates_so_far(
    shell: Shell, babble_model: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = llamacy.perplexity

    def broken(*words: Any, on_chunk: Callable[[Any], None], **options: Any) -> Any:
        def tell(so_far: llamacy.Perplexity) -> None:
            on_chunk(so_far)
            if so_far.n_chunks == 2:
                raise KeyboardInterrupt

        return whole(*words, on_chunk=tell, **options)

    monkeypatch.setattr(llamacy, "perplexity", broken)
    done = shell("perplexity", babble_model, "-f", text, "-c", 32)
    assert done.status != 0
    assert re.match(r"\[1\]\S+\[2\]\d", done.out)
