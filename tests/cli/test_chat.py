"""The chat of `llamacy run`, with scripted input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.cli.chat import Chat
from llamacy.cli.chat_commands import Talk
from llamacy.cli.failures import UsageError
from llamacy.generation.streams import Stream
from llamacy.sampling import SamplingParams
from tests.support.typed_lines import typed

Shell = Callable[..., Any]
GREEDY = SamplingParams(max_tokens=8, temperature=0, logit_bias={2: -1e9})


@pytest.fixture(scope="module")
def model(babble_model: Path) -> Iterator[llamacy.Model]:
    with llamacy.load(babble_model) as model:
        yield model


@pytest.mark.parametrize("command", ["/bye", "/exit", "/quit", "/QUIT "])
def test_a_command_ends_the_chat(model: llamacy.Model, command: str) -> None:
    talk = Talk(GREEDY)
    Chat(model, talk, read_line=typed(command, "never"), forgives=False).run()
    assert talk.is_over
    assert talk.messages == []


def test_a_chat_remembers_the_conversation(
    model: llamacy.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = Talk(GREEDY, system="be")
    lines = ["bada", "", "bu", "/regen", "/set n 4", "/regen", "/bye", "never"]
    Chat(model, talk, read_line=typed(*lines), forgives=False).run()
    roles = [message["role"] for message in talk.messages]
    assert roles == ["user", "assistant"] * 2
    out, err = capsys.readouterr()
    first, second, again, short = out.splitlines()
    assert second == again
    assert again.startswith(short)
    asked = [{"role": "system", "content": "be"}, {"role": "user", "content": "bada"}]
    assert model.chat(asked, GREEDY).text.strip() == first
    assert err == "max_tokens = 4\n"


def test_ctrl_c_stops_an_answer_and_not_the_chat(
    model: llamacy.Model,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Stream.__next__
    after = [3]

    def interrupted(stream: Stream) -> Any:
        if after and len(stream.completion.tokens) >= after[0]:
            after.pop()
            raise KeyboardInterrupt
        return whole(stream)

    monkeypatch.setattr(Stream, "__next__", interrupted)
    talk = Talk(GREEDY)
    lines = typed("^C", "bada", "bu")
    Chat(model, talk, name="babble", read_line=lines, forgives=True).run()
    assert [message["role"] for message in talk.messages] == ["user", "assistant"] * 2
    out, err = capsys.readouterr()
    _, hint, first, second, _ = out.split("\n")[:5]
    assert "another Ctrl-C" in hint
    assert len(model.tokenize(first)) < len(model.tokenize(second))
    assert err.startswith("llamacy: babble; /help")
    # interrupted before any text: the question is dropped too
    after.append(0)
    Chat(model, talk, read_line=typed("be"), forgives=True).run()
    assert len(talk.messages) == 4
    assert "the message is forgotten" in capsys.readouterr().err
    after.append(0)
    with pytest.raises(KeyboardInterrupt):
        Chat(model, talk, read_line=typed("be"), forgives=False).run()


def test_ctrl_c_twice_at_the_input_ends_the_chat(model: llamacy.Model) -> None:
    talk = Talk(GREEDY)
    lines = typed("^C", "bada", "^C", "^C", "bu")
    with pytest.raises(KeyboardInterrupt):
        Chat(model, talk, read_line=lines, forgives=True).run()
    assert [message["role"] for message in talk.messages] == ["user", "assistant"]


def test_without_answers_each_message_is_a_text_to_continue(
    model: llamacy.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = Talk(GREEDY, answers=False)
    lines = ["bada", "bu", "/regen", "/system be"]
    Chat(model, talk, read_line=typed(*lines), forgives=True).run()
    out, err = capsys.readouterr()
    texts = [model.generate(text, GREEDY).text for text in ("bada", "bu", "bu")]
    assert out == "".join(f"{text}\n" for text in texts) + "\n"
    assert "error: /system: the model continues texts" in err
    assert [message["content"] for message in talk.messages] == [
        *("bada", texts[0]),
        *("bu", texts[1]),
    ]


def test_errors_are_printed_and_the_chat_goes_on(
    model: llamacy.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = Talk(GREEDY)
    lines = ["/what", "\ud800", "ba " * 300, "/set temp -1", "bada"]
    Chat(model, talk, read_line=typed(*lines), forgives=True).run()
    assert len(talk.messages) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    for line, why in zip(
        errors, ["no command /what", "surrogate", "256", "temperature"], strict=True
    ):
        assert line.startswith("llamacy: error: ")
        assert why in line
    for line in ["/what", "\ud800", "/system caf\udce9"]:
        with pytest.raises(UsageError):
            Chat(model, talk, read_line=typed(line), forgives=False).run()
    assert talk.system == ""


def test_the_conversation_survives_an_answer_that_fails(
    model: llamacy.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    talk = Talk(GREEDY)
    Chat(model, talk, read_line=typed("bada"), forgives=True).run()
    before = list(talk.messages)
    file = tmp_path / "asked.json"
    asked = [*before, {"role": "user", "content": "?"}]
    file.write_text(json.dumps({"messages": asked}))

    def interrupted(stream: Stream) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stream, "__next__", interrupted)
    for lines in [["/regen"], ["be"], ["/clear", f"/load {file}"]]:
        Chat(model, talk, read_line=typed(*lines), forgives=True).run()
        assert talk.messages == before


def test_a_note_says_that_the_context_is_full(
    model: llamacy.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = Talk(GREEDY)
    Chat(model, talk, read_line=typed(*["bada " * 12] * 6), forgives=False).run()
    (note,) = capsys.readouterr().err.splitlines()
    assert "can no longer see the 6 oldest messages" in note
    assert len(talk.messages) == 12
    talk = Talk(SamplingParams(logit_bias={2: -1e9}))
    Chat(model, talk, read_line=typed("bada"), forgives=False).run()
    assert "the answer was cut off" in capsys.readouterr().err


def test_piped_lines_are_the_messages_of_a_chat(
    shell: Shell, babble_model: Path
) -> None:
    words = ["run", babble_model, "-n", 6, "--temp", 0, "--ignore-eos"]
    done = shell(*words, "--chat", input='bada\n/regen\n"""\nbu\n"""\n')
    assert (done.status, done.err) == (0, "")
    first, again, _ = done.out.splitlines()
    assert first == again
    asked = shell(*words, "--chat", "bada", "-v")
    assert asked.out.strip() == first
    assert "tokens/s" in asked.err
    assert shell(*words, "--raw", "bada").out.strip() != first
    system = shell(*words, "-sys", r"b\x65", "-e", "-p", "bada", "--json")
    result = json.loads(system.out)
    assert len(result["tokens"]) == 6
    assert result["usage"]["prompt_tokens"] > len("### User:")
    assert shell(*words, "--chat", input="/what\n").status == 2
    assert shell(*words, "--chat", "--json", input="").status == 2


def test_a_model_without_a_template_needs_a_chat_format(
    shell: Shell, base_model: Path
) -> None:
    words = ["run", base_model, "-n", 6]
    done = shell(*words, "--chat", input="bada\n")
    assert (done.status, done.out) == (1, "")
    assert "looks like a base model: give it a text to continue" in done.err
    assert "--chat-template), one of alpaca, chatml" in done.err
    assert shell(*words, "--chat-template", "alpaca", input="bada\n").status == 0
    assert shell(*words, "--chat-template", "nothing", input="bada\n").status == 1
    assert "no prompt" in shell(*words, input="").err


def test_piped_settings_are_confirmed_beside_the_answers(
    model: llamacy.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    for forgives, where in [(True, 0), (False, 1)]:
        Chat(model, Talk(GREEDY), read_line=typed("/set n 4"), forgives=forgives).run()
        texts = capsys.readouterr()
        assert "max_tokens = 4\n" in texts[where]
        assert "max_tokens" not in texts[1 - where]
