"""The output and options of `llamacy run`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.sampling import SamplingParams
from tests.support.drafted import FreeRows
from tests.support.lora_files import random_pairs, write_lora

PROMPT = "Once upon a time"
Shell = Callable[..., Any]


@pytest.fixture
def greedy(path: Path) -> llamacy.Completion:
    with llamacy.load(path) as model:
        return model.generate(PROMPT, max_tokens=20, temperature=0)


@pytest.mark.parametrize(
    "words",
    [
        ("MODEL", PROMPT),
        ("-m", "MODEL", PROMPT),
        ("-m", "MODEL", "-p", PROMPT),
        ("MODEL", "--prompt", PROMPT),
        ("MODEL", "-f", "FILE"),
        ("MODEL", "-f", "-"),
        ("MODEL",),
    ],
)
def test_run_takes_a_prompt_from_anywhere(
    shell: Shell,
    path: Path,
    greedy: llamacy.Completion,
    tmp_path: Path,
    words: tuple[str, ...],
) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text(f"{PROMPT}\n")
    known = {"MODEL": str(path), "FILE": str(file)}
    arguments = [known.get(word, word) for word in words]
    is_piped = "-" in words or len(words) == 1
    piped = f"{PROMPT}\n" if is_piped else ""
    done = shell("run", *arguments, "-n", 20, "--temp", 0, input=piped)
    assert (done.status, done.out, done.err) == (0, f"{greedy.text}\n", "")


@pytest.mark.parametrize("flags", [("--no-drafting",), ("--draft", "MODEL")], ids=str)
def test_drafts_change_no_output(
    shell: Shell, path: Path, greedy: llamacy.Completion, flags: tuple[str, ...]
) -> None:
    given = [str(path) if word == "MODEL" else word for word in flags]
    done = shell("run", path, PROMPT, "-n", 20, "--temp", 0, *given)
    assert (done.status, done.out, done.err) == (0, f"{greedy.text}\n", "")


def test_verbose_says_how_many_tokens_were_drafted(
    shell: Shell, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamacy.generation.scheduler.RowCosts", FreeRows)
    done = shell("run", path, PROMPT * 9, "-n", 20, "--temp", 0, "--verbose")
    assert re.search(r"passes; \d+ tokens drafted, \d+ of them taken\n", done.err)


def test_a_draft_model_with_other_tokens_is_refused(
    shell: Shell, path: Path, babble_model: Path
) -> None:
    done = shell("run", path, PROMPT, "--draft", babble_model)
    assert (done.status, done.out) == (1, "")
    assert re.search(r"babble\.gguf: tokenizer\.ggml\.tokens\[\d+\]", done.err)


@pytest.mark.parametrize("where", ["-", "file"])
def test_a_files_text_is_put_before_the_prompt(
    shell: Shell, babble_model: Path, tmp_path: Path, where: str
) -> None:
    words = ["run", babble_model, "-n", 8, "--temp", 0, "--ignore-eos"]

    def beside(text: str, *more: object) -> str:
        if where == "-":
            return str(shell(*words, "-f", "-", *more, input=text).out)
        file = tmp_path / "text.txt"
        file.write_text(text)
        return str(shell(*words, "-f", file, *more).out)

    whole = shell(*words, "bada\n\nbede").out
    assert whole != shell(*words, "bede").out
    assert beside("bada\n", "bede") == whole
    assert beside("bada", "-p", "bede") == whole
    # escapes are resolved in the prompt, not in the text before it
    literal = shell(*words, r"ba\x64a" + "\n\nbede").out
    assert beside(r"ba\x64a", "-e", r"be\x64e") == literal != whole
    continued = shell(*words, "--raw", "bada\n\nbede").out
    assert beside("bada\n", "--raw", "bede") == continued != whole


def test_a_prompt_leaves_standard_input_to_the_shells_loop(
    babble_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "lines").write_text("ba\nbe\n")
    run = f'"{sys.executable}" -m llamacy run "{babble_model}" -n 1 --temp 0'
    for words, script in (
        ('"$line"', "{} < lines"),
        ('-p "$line"', "cat lines | {}"),
        ("-f lines", "{} < lines"),
    ):
        loop = f"while read line; do {run} {words} >/dev/null; echo $line; done"
        done = subprocess.run(
            ["sh", "-c", script.format(loop)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == ["ba", "be"]
        is_noted = "-f - puts it before the prompt" in done.stderr
        assert is_noted == (words != "-f lines")


def test_a_byte_order_mark_and_carriage_returns_are_no_text(
    shell: Shell, babble_model: Path, tmp_path: Path
) -> None:
    text = "bada\nbede"
    wanted = shell("tokenize", babble_model, text, "--json").out
    crlf = text.replace("\n", "\r\n") + "\r\n"
    for data in (
        text.encode("utf-8-sig"),
        crlf.encode(),
        crlf.encode("utf-16"),
        b"\xfe\xff" + crlf.encode("utf-16-be"),
    ):
        file = tmp_path / "text.txt"
        file.write_bytes(data)
        assert shell("tokenize", babble_model, "-f", file, "--json").out == wanted
        assert shell("tokenize", babble_model, "--json", input=data).out == wanted
    file.write_bytes(b"\xff\xfea")
    assert "UTF-16" in shell("tokenize", babble_model, "-f", file).err


def test_a_tilde_in_quotes_is_the_home_folder(
    shell: Shell, babble_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "babble.gguf").write_bytes(babble_model.read_bytes())
    (tmp_path / "text.txt").write_text("bada")
    words = ["-n", 2, "--temp", 0]
    wanted = shell("run", babble_model, "bada", *words).out
    found = shell("run", "~/babble.gguf", "-f", "~/text.txt", *words)
    assert (found.status, found.out) == (0, wanted)
    made = shell("quantize", "~/babble.gguf", "~/small.gguf", "Q8_0")
    assert made.status == 0
    assert (tmp_path / "small.gguf").exists()
    with llamacy.load("~/babble.gguf") as model:
        assert model.path == str(tmp_path / "babble.gguf")


def test_a_prompt_is_answered_if_the_model_has_a_chat_template(
    shell: Shell, babble_model: Path, base_model: Path
) -> None:
    words = ["-n", 8, "--temp", 0, "--ignore-eos"]
    greedy = SamplingParams(max_tokens=8, temperature=0, logit_bias={2: -1e9})
    with llamacy.load(babble_model) as model:
        answer = model.chat("bada", greedy).text.strip() + "\n"
        continued = model.generate("bada", greedy).text + "\n"
    assert answer != continued
    for flags, text in [([], answer), (["--chat"], answer), (["--raw"], continued)]:
        done = shell("run", babble_model, "bada", *words, *flags)
        assert (done.status, done.out, done.err) == (0, text, "")
    piped = shell("run", babble_model, *words, input="bada\n")
    assert (piped.status, piped.out) == (0, answer)
    base = shell("run", base_model, "bada", *words)
    assert (base.status, base.out) == (0, continued)
    with_format = shell("run", base_model, "bada", *words, "--chat-template", "alpaca")
    assert (with_format.status, with_format.out == continued) == (0, False)


def test_run_prints_an_answer_as_json(shell: Shell, babble_model: Path) -> None:
    words = ["run", babble_model, "bada", "-n", 4, "--temp", 0, "--json"]
    answer = json.loads(shell(*words, "--logprobs", 1).out)
    assert (answer["reasoning"], answer["tool_calls"]) == ("", [])
    assert len(answer["logprobs"]) == len(answer["tokens"])
    continued = json.loads(shell(*words, "--raw").out)
    n_prompt = continued["usage"]["prompt_tokens"]
    assert answer["usage"]["prompt_tokens"] > n_prompt


def test_run_gives_variables_to_the_chat_template(
    shell: Shell, base_model: Path
) -> None:
    template = "{{ a }}{{ reasoning_effort }}"
    words = ["run", base_model, "x", "-n", 1, "--json", "--chat-template", template]
    with llamacy.load(base_model) as model:
        n = len(model.tokenize("badalow"))
    flags = ["--chat-template-kwargs", '{"a": "bada"}', "--reasoning-effort", "low"]
    done = shell(*words, *flags)
    assert json.loads(done.out)["usage"]["prompt_tokens"] == n
    for bad, why in (("[1]", "JSON object, found [1]"), ("{a: 1}", "JSON object: ")):
        refused = shell(*words, "--chat-template-kwargs", bad)
        assert refused.status == 2
        assert f"--chat-template-kwargs: wanted a {why}" in refused.err


@pytest.mark.parametrize(
    "flag",
    [
        *("--chat", "--system=x", "--chat-template=alpaca"),
        *("--chat-template-kwargs={}", "--reasoning-effort=low"),
    ],
)
def test_a_prompt_cannot_be_both_continued_and_answered(
    shell: Shell, flag: str
) -> None:
    done = shell("run", "none.gguf", "a", "--raw", flag)
    assert (done.status, done.out) == (2, "")
    assert f"--raw continues the prompt and {flag.partition('=')[0]} has" in done.err


def test_run_prints_json(shell: Shell, path: Path, greedy: llamacy.Completion) -> None:
    done = shell("run", path, PROMPT, "-n", 20, "--temp", 0, "--json", "--verbose")
    result = json.loads(done.out)
    assert result["text"] == greedy.text
    assert result["tokens"] == greedy.tokens
    assert result["finish_reason"] == "length"
    assert result["usage"]["prompt_tokens"] == 5
    assert result["usage"]["completion_tokens"] == 20
    assert result["timings"]["generation_tokens_per_second"] > 0
    assert "tokens/s" in done.err
    assert done.err.count("\n") == 1


def test_run_with_a_seed_is_reproducible(shell: Shell, path: Path) -> None:
    words = ["-n", 10, "--temp", 1.2, "--top-k", -1, "--top-p", 0.9, "--min-p", 0.01]
    words += ["-s", 3, "-t", 1, "-c", 64, "--kv-type", "f32", "--stop", "zzz"]
    first, again = (shell("run", path, PROMPT, *words) for _ in range(2))
    assert first == again
    assert first.status == 0


def test_run_accepts_every_sampling_option(shell: Shell, path: Path) -> None:
    words = ["--typical", 0.9, "--top-nsigma", 2, "--xtc-probability", 0.5]
    words += ["--xtc-threshold", 0.2, "--repeat-penalty", 1.1, "--repeat-last-n", 32]
    words += ["--presence-penalty", 0.1, "--frequency-penalty", 0.1]
    words += ["--dry-multiplier", 0.8, "--dry-base", 1.5, "--dry-allowed-length", 3]
    words += ["--dry-penalty-last-n", -1, "--dry-sequence-breaker", "."]
    words += ["--dynatemp-range", 0.3, "--dynatemp-exp", 1.5]
    plain = ["run", path, PROMPT, "-n", 20, "-s", 3]
    drawn = [shell(*plain, *words), shell(*plain, *words)]
    mirostat = ["--mirostat", 2, "--mirostat-lr", 0.2, "--mirostat-ent", 3]
    drawn += [shell(*plain, *mirostat), shell(*plain)]
    assert {done.status for done in drawn} == {0}
    assert drawn[0] == drawn[1]
    assert len({done.out for done in drawn}) == 3


def test_run_applies_biases(shell: Shell, path: Path) -> None:
    greedy = ["run", path, PROMPT, "-n", 4, "--temp", 0]
    assert shell(*greedy, "-l", "261+100").out == " a a a a\n"
    assert shell(*greedy, "--logit-bias", "432-inf").out != shell(*greedy).out
    ending = [*greedy, "-l", "2+100", "--json"]
    assert json.loads(shell(*ending).out)["tokens"] == []
    endless = json.loads(shell(*ending, "--ignore-eos").out)
    assert (len(endless["tokens"]), endless["finish_reason"]) == (4, "length")


@pytest.mark.parametrize("flag", ["-r", "--stop", "--reverse-prompt"])
def test_run_ends_at_a_stop_text(shell: Shell, path: Path, flag: str) -> None:
    words = ["run", path, PROMPT, "-n", 40, "--temp", 0, flag, "girl", flag, "zebra"]
    assert shell(*words).out == ", there was a little \n"
    assert shell(*words, "--include-stop").out == ", there was a little girl\n"


def test_run_resolves_escapes_on_request(shell: Shell, path: Path) -> None:
    words = ["run", path, r"Once\x20upon a time", "-n", 80, "--temp", 0]
    words += ["--stop", r"\n", "--json"]
    escaped, literal = (json.loads(shell(*words, *more).out) for more in (["-e"], []))
    assert escaped["usage"]["prompt_tokens"] == 5
    assert (escaped["finish_reason"], "\n" in escaped["text"]) == ("stop", False)
    assert literal["usage"]["prompt_tokens"] > 5


def test_run_prints_logprobs(shell: Shell, path: Path) -> None:
    words = ["run", path, PROMPT, "-n", 3, "--temp", 0, "--json"]
    result = json.loads(shell(*words, "--logprobs", 2).out)
    assert [entry["token"] for entry in result["logprobs"]] == result["tokens"]
    for entry in result["logprobs"]:
        likeliest, second = entry["top"]
        assert {key: entry[key] for key in likeliest} == likeliest
        assert second["logprob"] <= entry["logprob"] <= 0
    assert result["logprobs"][1]["piece"] == "▁there"
    assert "logprobs" not in json.loads(shell(*words).out)


def test_ctrl_c_ends_the_text_and_keeps_what_was_printed(
    shell: Shell, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.generation.streams import Stream

    whole = Stream.__next__

    def interrupted(stream: Stream) -> Any:
        if len(stream.completion.tokens) >= 5:
            raise KeyboardInterrupt
        return whole(stream)

    monkeypatch.setattr(Stream, "__next__", interrupted)
    done = shell("run", path, PROMPT, "--temp", 0)
    assert done.status == 130
    assert done.out.startswith(", there")
    assert done.out.endswith("\n")
    assert done.err == ""
    done = shell("run", path, PROMPT, "--temp", 0, "--json")
    assert done.status == 130
    assert json.loads(done.out)["finish_reason"] == "cancelled"


def test_run_applies_lora_adapters(
    shell: Shell, babble_model: Path, tmp_path: Path
) -> None:
    with open_gguf(babble_model) as file:
        shapes = {name: tensor.shape for name, tensor in file.tensors.items()}
    path = write_lora(tmp_path / "lora.gguf", random_pairs(shapes, 4, 0, size=1.0))
    words = ["run", babble_model, "--raw", PROMPT, "-n", 12, "--temp", 0]

    def text(*more: object) -> str:
        done = shell(*words, *more)
        assert (done.status, done.err) == (0, "")
        return str(done.out)

    def wanted(lora: Any) -> str:
        with llamacy.load(babble_model, lora=lora) as model:
            return model.generate(PROMPT, max_tokens=12, temperature=0).text + "\n"

    assert text("--lora", path) == wanted(path) != text()
    assert text("--lora-scaled", f"{path}:-0.5") == wanted((path, -0.5))
    both = wanted([path, (path, 2.0), (path, 3.0)])
    twice = ["--lora-scaled", f"{path}:2", "--lora-scaled", f"{path}:3"]
    assert text("--lora", path, *twice) == both
    for bad in (path, f"{path}:", ":2", f"{path}:x"):
        done = shell(*words, "--lora-scaled", bad)
        assert (done.status, done.out) == (2, "")
        assert "FILE:SCALE" in done.err
    done = shell(*words, "--lora", babble_model)
    assert (done.status, "general.type" in done.err) == (1, True)
