"""The output, errors and exit status of every command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import llamacy
from llamacy.cli import app
from llamacy.cli.tables import in_units, print_table
from llamacy.system.load import LoadMeter, OtherLoad
from tests.support.lora_files import random_pairs, write_lora, write_peft

PROMPT = "Once upon a time"
Shell = Callable[..., Any]


def test_score_prints_what_the_library_computes(
    shell: Shell, path: Path, tmp_path: Path
) -> None:
    with llamacy.load(path) as model:
        scored = model.score(PROMPT)
    file = tmp_path / "text.txt"
    file.write_text(f"{PROMPT}\n")
    for words in ([PROMPT], ["-f", file], ["-f", "-"], []):
        done = shell("score", path, *words, "--json", input=PROMPT)
        result = json.loads(done.out)
        assert result["total"] == pytest.approx(scored.total)
        assert result["perplexity"] == pytest.approx(scored.perplexity)
    assert result["n_tokens"] == 5
    first, second = result["tokens"][:2]
    assert first == {"token": 1, "piece": "<s>", "logprob": None}
    assert (second["token"], second["piece"]) == (403, "▁Once")
    assert second["logprob"] == pytest.approx(scored.logprobs[1])

    lines = shell("score", "-m", path, PROMPT).out.splitlines()
    assert "'▁Once'" in next(line for line in lines if "403" in line)
    assert lines[-1].startswith(f"5 tokens, log-probability {scored.total:.3f}")


def test_info_lists_the_levels_and_why_one_was_chosen(shell: Shell) -> None:
    from llamacy import kernels
    from llamacy.kernels.cpu import FEATURES

    facts = json.loads(shell("info", "--json").out)
    assert set(facts["features"]) == FEATURES
    assert facts["isa"] == kernels.selected().name
    assert facts["isa_reason"]
    assert facts["n_threads"] >= 1
    for level in facts["levels"]:
        assert level["available"] == (level["lacking"] is None)
    assert facts["packages"]["numpy"] == np.__version__
    assert all(facts["packages"].values())
    assert facts["compiler"] is None or re.search(r"\d", facts["compiler"])
    text = shell("info").out
    assert f"numpy {np.__version__}, " in text
    assert ", ".join(facts["features"]) in text
    for level in facts["levels"]:
        assert level["name"] in text
        assert (level["lacking"] or "") in text
    assert facts["isa_reason"] in text
    ahead = f"{facts['weights_ahead']} bytes ahead ({facts['weights_ahead_reason']})"
    chooses = "avx2" in kernels.selected().features
    assert (ahead in text) == ("weights " in text) == chooses


def test_show_prints_memory_metadata_and_tensors(shell: Shell, path: Path) -> None:
    facts = json.loads(shell("show", path, "--json").out)
    assert facts["version"] == 3
    assert facts["n_tensors"] == len(facts["tensors"]) == 47
    assert facts["metadata"]["llama.context_length"] == 512
    tokens = facts["metadata"]["tokenizer.ggml.tokens"]
    assert (tokens["length"], tokens["first"][:2]) == (512, ["<unk>", "<s>"])
    tensors = {tensor["name"]: tensor for tensor in facts["tensors"]}
    assert tensors["blk.0.ffn_down.weight"]["shape"] == [64, 172]
    n_bytes = sum(tensor["bytes"] for tensor in facts["tensors"])
    assert n_bytes == facts["tensor_bytes"]
    full = json.loads(shell("show", path, "--json", "--full").out)
    assert len(full["metadata"]["tokenizer.ggml.tokens"]) == 512

    info = llamacy.inspect(path)
    for words, n_ctx in (([], 512), (["-c", 4096], 4096)):
        memory = json.loads(shell("show", path, *words, "--json").out)["memory"]
        assert memory["weights_bytes"] == info.weights_bytes
        assert memory["n_ctx"] == n_ctx
        assert memory["kv_bytes"] == {
            kind: info.kv_bytes(n_ctx, kind) for kind in ("f32", "f16", "q8_0")
        }

        assert memory["needed_bytes"] == info.memory_bytes(n_ctx)
        assert memory["fits"] is True
        assert memory["longest_ctx"] == 512

    text = shell("show", path).out
    assert re.search(r"^fits here: yes \(\S+ MiB needed, with f16 keys", text, re.M)
    assert re.search(r"^memory: weights \S+ KiB; a context of 512 tokens", text, re.M)
    assert memory["window"] is None
    assert "window of" not in text
    assert "trained on" not in text
    longer = shell("show", path, "-c", 1024).out
    assert "; the model was trained on at most 512\n" in longer
    for word in ("blk.4.ffn_down.weight", "64 × 172", "llama.block_count", "… 512 in"):
        assert word in text


@pytest.mark.parametrize(
    ("context", "word", "end"),
    [
        (None, "unknown", "; this system does not say how much is free)"),
        (0, "no", "; 0 bytes free); the weights alone do not fit"),
        (64, "no", " free); up to 64 tokens of context fit: -c 64"),
        (512, "yes", " free)"),
    ],
)
def test_show_says_how_long_a_context_fits(
    shell: Shell,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    context: int | None,
    word: str,
    end: str,
) -> None:
    info = llamacy.inspect(path)
    memory = context and info.memory_bytes(context, "q8_0")
    monkeypatch.setattr("llamacy.system.memory.available_memory", lambda: memory)
    words = ("show", path, "--kv-type", "q8_0")
    needed = in_units(info.memory_bytes(kv_type="q8_0"))
    line = next(line for line in shell(*words).out.splitlines() if "fits here" in line)
    assert line.startswith(f"fits here: {word} ({needed} needed, with q8_0 keys")
    assert line.endswith(end)
    facts = json.loads(shell(*words, "--json").out)["memory"]
    assert facts["longest_ctx"] == context
    assert facts["available_bytes"] == memory


def test_tokenize_prints_ids_and_pieces(shell: Shell, path: Path) -> None:
    result = json.loads(shell("tokenize", path, PROMPT, "--json").out)
    assert result["ids"] == [1, 403, 407, 261, 378]
    assert result["n_tokens"] == 5
    assert result["pieces"][:2] == ["<s>", "▁Once"]
    lines = shell("tokenize", path, "--no-bos", input=PROMPT).out.splitlines()
    assert lines[0].split() == ["403", "'▁Once'"]
    assert len(lines) == 4
    special = shell("tokenize", path, "</s>", "--no-bos", "--special", "--json").out
    assert json.loads(special)["ids"] == [2]


@pytest.mark.parametrize(
    ("words", "tests"),
    [
        ((), ["pp16", "tg4"]),
        (("-p", 0), ["tg4"]),
        (("-n", 0), ["pp16"]),
        (("-n", 0, "-p", 0), []),
    ],
)
def test_bench_reports_the_throughput_of_each_test(
    shell: Shell, path: Path, words: tuple[object, ...], tests: list[str]
) -> None:
    base = ["bench", "-m", path, "-p", 16, "-n", 4, "-r", 3, "-t", 1, "--no-limits"]
    report = json.loads(shell(*base, *words, "--json").out)
    assert report["model"] == str(path)
    assert report["n_threads"] == 1
    assert report["model_type"] == "Q8_0"
    assert report["model_bytes"] > 260_000
    assert report["isa"]
    assert report["limits"] is None
    assert [result["test"] for result in report["results"]] == tests
    for result in report["results"]:
        assert len(result["seconds"]) == 3
        assert (
            0
            < result["tokens_per_second_min"]
            <= result["tokens_per_second"]
            <= result["tokens_per_second_max"]
        )
        assert result["gb_per_second"] > 0
        assert result["percent_of_peak"] is None


@pytest.mark.usefixtures("brief_limits")
def test_bench_compares_with_the_limits(shell: Shell, path: Path) -> None:
    done = shell("bench", path, "-p", 16, "-n", 4, "-r", 1, "--json")
    report = json.loads(done.out)
    limits = report["limits"]
    assert limits["operand"] in ("f32", "int8", "bf16")
    for result in report["results"]:
        percent = 100 * result["gb_per_second"] / limits["read_gb_s"]
        assert result["percent_of_bandwidth"] == pytest.approx(percent)
        percent = 100 * result["tflops"] / limits["peak_tflops"]
        assert result["percent_of_peak"] == pytest.approx(percent)


@pytest.mark.parametrize("cpus", [0.0, 1.5])
def test_bench_says_whether_the_machine_was_busy(
    shell: Shell, path: Path, monkeypatch: pytest.MonkeyPatch, cpus: float
) -> None:
    found = OtherLoad(cpus, 0.0, ())
    monkeypatch.setattr(LoadMeter, "read", lambda meter: found)
    words = ("bench", path, "-p", 8, "-n", 0, "-r", 1, "--no-limits")
    load = json.loads(shell(*words, "--json").out)["other_load"]
    assert (load["cpus"], load["is_busy"]) == (cpus, cpus > 1)
    line = "the machine was busy: other processes kept 1.5 CPUs busy\n"
    assert shell(*words).out.endswith(line) == (cpus > 1)


@pytest.mark.usefixtures("brief_limits")
def test_bench_prints_a_table(shell: Shell, path: Path) -> None:
    done = shell("bench", path, "-p", 8, "-n", 2, "-r", 1)
    assert done.status == 0
    for word in ("pp8", "tg2", "TFLOPS", "GB/s", "100 % is"):
        assert word in done.out
    done = shell("bench", path, "-p", 8, "-n", 2, "-r", 1, "--no-limits")
    assert "GB/s" in done.out
    assert "%" not in done.out


@pytest.mark.usefixtures("brief_limits")
def test_bench_explains_passes(shell: Shell, path: Path) -> None:
    base = ("bench", path, "-p", 16, "-n", 4, "-r", 1, "--explain")
    passes = json.loads(shell(*base, "--json").out)["passes"]
    assert list(passes) == ["prompt", "decode"]
    assert [(each["n_rows"], each["n_past"]) for each in passes.values()] == [
        *((16, 0), (1, 16))
    ]
    for each in passes.values():
        n_bytes = sum(kind["cost"]["n_bytes"] for kind in each["kinds"])
        assert n_bytes == sum(step["cost"]["n_bytes"] for step in each["steps"]) > 0
        assert all(kind["least_seconds"] is not None for kind in each["kinds"])
        assert each["limits"]["read_bytes_per_second"] > 0
    done = shell(*base)
    assert done.status == 0
    for word in ("16 rows after 0 tokens", "1 row after 16", "linear add", "least-ms"):
        assert word in done.out
    done = shell(*base, "--no-limits", "-n", 0)
    assert "linear add" in done.out
    assert "least-ms" not in done.out and "1 row " not in done.out


COMMANDS = "run score perplexity info show tokenize quantize bench".split()


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(shell: Shell, words: list[str]) -> None:
    done = shell(*words)
    assert done.status == 0
    assert [command for command in COMMANDS if command not in done.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(shell: Shell, command: str) -> None:
    assert shell(command, "--help").status == 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("nonsense",), 2, "nonsense"),
        (("--nonsense",), 2, "--nonsense"),
        (("model.gguf", "a"), 2, "did you mean llamacy run model.gguf?"),
        (("chat", "demo"), 2, "did you mean llamacy run?"),
        (("run",), 2, "no model: give the path of a file, a name on the hub"),
        (("run", "none.gguf"), 2, "no prompt"),
        (("run", "none.gguf", "a", "b"), 2, "(b); put a text of several words into"),
        (("run", "none.gguf", "a", "-p", "b"), 2, "more than one prompt"),
        (("run", "none.gguf", "a", "--nonsense"), 2, "llamacy run --help"),
        (("run", "none.gguf", "a", "-n", "many"), 2, "--n-predict"),
        (("run", "none.gguf", "a"), 1, "none.gguf"),
        (("run", "none.gguf", "a", "--temp", "-1"), 1, "temperature: wanted"),
        (("run", "demo", "a", "-t", "0"), 1, "n_threads: wanted"),
        (("run", "none.gguf", "a", "--logprobs", "1"), 2, "--json"),
        (("run", "none.gguf", "a", "-l", "13"), 2, "--logit-bias: wanted TOKEN+X"),
        (("run", "none.gguf", "a", "--typical", "2"), 1, "typical_p: wanted"),
        (("run", "none.gguf", "-f", "no-prompt.txt"), 1, "no-prompt.txt"),
        (("run", "none.gguf", "a\udcff"), 2, "not UTF-8: byte 0xff"),
        (("score",), 2, "no model"),
        (("score", "none.gguf"), 2, "no text"),
        (("score", "none.gguf", "a", "-f", "b"), 2, "more than one text"),
        (("score", "none.gguf", "a"), 1, "none.gguf"),
        (("show", "none.gguf"), 1, "none.gguf"),
        (("show", "."), 1, "."),
        (("tokenize", "none.gguf", "a"), 1, "none.gguf"),
        (("tokenize", "demo", "-f", "no.txt"), 1, "error: no.txt: No such file"),
        (("tokenize", "none.gguf", "a", "-f", "b"), 2, "more than one text"),
        (("bench",), 2, "one model"),
        (("bench", "none.gguf", "-r", "0"), 2, "--repetitions"),
        (("bench", "none.gguf"), 1, "none.gguf"),
    ],
)
def test_the_error_of_a_command_is_one_line(
    shell: Shell, words: tuple[str, ...], status: int, message: str
) -> None:
    done = shell(*words)
    assert done.status == status
    assert done.err.startswith("llamacy: error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert done.out == ""


def test_input_that_is_not_utf_8_is_refused(shell: Shell) -> None:
    done = shell("run", "none.gguf", input=b"caf\xe9")
    assert done.status == 2
    assert "standard input is not UTF-8: byte 0xe9 at 3" in done.err


def test_a_prompt_too_long_for_the_context_is_refused(shell: Shell, path: Path) -> None:
    done = shell("run", path, PROMPT, "-c", 3)
    assert done.status == 1
    assert done.err == (
        "llamacy: error: 5 tokens do not fit into a context of 3 tokens\n"
    )


def test_even_the_error_of_a_bug_is_one_line(
    shell: Shell, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(llamacy, "load", broken)
    done = shell("run", path, PROMPT)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "ZeroDivisionError: two lines" in done.err
    monkeypatch.setenv("LLAMACY_DEBUG", "1")
    result = CliRunner().invoke(app, ["run", str(path), PROMPT])
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("command", ["show", "run", "tokenize"])
def test_names_cannot_command_the_terminal(shell: Shell, command: str) -> None:
    done = shell(command, "\x1b]0;title\x07\u202emodel\nx", input="Once")
    assert done.status == 1
    assert r"\x1b]0;title\x07\u202emodel\nx" in done.err
    assert done.err.rstrip("\n").isprintable()


def test_tables_cannot_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(["name"], [["\x1b[31mred"]])
    assert r"\x1b[31mred" in capsys.readouterr().out


def test_an_empty_name_is_refused_as_one(shell: Shell) -> None:
    done = shell("show", "")
    assert (done.status, done.out) == (1, "")
    assert done.err == "llamacy: error: source: wanted a path or a name, found ''\n"


def test_show_says_that_a_file_is_an_adapter(shell: Shell, tmp_path: Path) -> None:
    pairs = random_pairs({"blk.0.attn_q.weight": (8, 8)}, rank=2, seed=0)
    activated = {"adapter.alora.invocation_tokens": [5, 7]}
    file = write_lora(tmp_path / "a.gguf", pairs, keys=activated)
    text = shell("show", file).out
    line = "adapter: lora, rank 2 for llama; --lora takes it"
    assert f"{line}; it acts from the tokens 5, 7 on\n" in text
    assert "memory" not in text
    folder = write_peft(tmp_path / "peft", pairs, (1, 1))
    text = shell("show", folder).out
    assert "adapter: lora, rank 2 for somebody/some-model; --lora takes it\n" in text
    assert "rank_pattern" in text
    facts = json.loads(shell("show", folder, "--json").out)["adapter"]
    assert (facts["kind"], facts["ranks"], facts["invocation"]) == ("lora", [2], [])
    for path in (file, folder):
        done = shell("run", path, "a")
        assert done.status == 1
        assert "lora= or --lora gives" in done.err
