"""The commands of the chat of `llamacy run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import llamacy
from llamacy.cli.chat_commands import Talk, obey
from llamacy.cli.chat_input import Command, read_entry
from llamacy.cli.failures import UsageError
from llamacy.sampling import SamplingParams
from tests.support.typed_lines import typed

GREEDY = SamplingParams(max_tokens=8, temperature=0, logit_bias={2: -1e9})


def test_commands_change_the_conversation_and_the_settings(tmp_path: Path) -> None:
    talk = Talk(GREEDY)
    talk.messages = [
        {"role": "user", "content": "hé"},
        {"role": "assistant", "content": "ho"},
    ]

    def do(line: str) -> str:
        entry = read_entry(typed(line))
        assert isinstance(entry, Command)
        return obey(entry, talk)

    assert "/regen" in do("/help")
    assert do("/system") == "no system message"
    assert do("/system Be brief.") == "system message set"
    assert (do("/system"), talk.all_messages[0]["role"]) == ("Be brief.", "system")
    for line, name, value in [
        ("/set temp 0.5", "temperature", 0.5),
        ("/set top-k 3", "top_k", 3),
        ("/set n None", "max_tokens", None),
        ("/set stop a b", "stop", ("a b",)),
        ("/set stop ['a', 'b']", "stop", ("a", "b")),
    ]:
        assert do(line) == f"{name} = {value!r}"
        assert getattr(talk.params, name) == value
    assert do("/set reasoning hide") == "reasoning = hide"
    assert not talk.shows_reasoning
    assert "reasoning = hide" in do("/set")
    do("/set reasoning show")
    assert talk.shows_reasoning
    assert do("/set verbose") == "verbose = True"
    assert talk.verbose
    assert "temperature = 0.5" in do("/set")
    do("/set quiet")
    assert not talk.verbose

    file = tmp_path / "chat.json"
    assert do(f"/save {file}") == f"3 messages saved to {file}"
    assert json.loads(file.read_text("utf-8"))["messages"] == talk.all_messages
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    foreign = tmp_path / "foreign.json"
    foreign.write_text(json.dumps({"messages": [{"role": "system", "content": parts}]}))
    before = talk.all_messages
    do(f"/load {foreign}")
    assert (talk.system, talk.messages) == ("a\nb", [])
    do(f"/load {file}")
    assert do("/clear") == "conversation forgotten"
    assert talk.messages == []
    with pytest.raises(UsageError, match="the chat is empty"):
        do("/regen")
    assert do('/system ""') == "system message removed"
    assert talk.all_messages == []
    assert do(f"/load {file}") == f"3 messages loaded from {file}"
    assert talk.all_messages == before
    do("/regen")
    assert talk.awaits_answer
    do("/set parameter top_p 0.5")
    assert talk.params.top_p == 0.5
    assert do("/?") == do("/help")


@pytest.mark.parametrize(
    ("line", "error", "why"),
    [
        ("/nothing", UsageError, "no command /nothing; /help"),
        ("/exti", UsageError, r"no command /exti \(did you mean /exit\?\)"),
        ("/set nothing 1", UsageError, "one of verbose, quiet, reasoning show"),
        ("/set reasoning 5", UsageError, "wanted a name and a value"),
        ("/set temperature", UsageError, "wanted a name and a value"),
        ("/set temperature hot", llamacy.ArgumentError, "temperature: wanted"),
        ("/set logits_processors 1", UsageError, "wanted a name"),
        ("/save", UsageError, "name of a file"),
        ("/save new.json", UsageError, "the chat is empty"),
        ("/load nowhere.json", OSError, "^nowhere.json: No such file"),
        ("/load broken.json", UsageError, "broken.json: wanted a chat"),
        ("/load other.json", UsageError, r"other.json: .*messages\[0\]\['role'\]"),
    ],
)
def test_invalid_commands_raise_and_change_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    error: type[Exception],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text("{")
    Path("other.json").write_text('{"messages": [{"content": "x"}]}')
    entry = read_entry(typed(line))
    assert isinstance(entry, Command)
    talk = Talk(GREEDY)
    with pytest.raises(error, match=why):
        obey(entry, talk)
    assert talk == Talk(GREEDY)


def test_a_chat_is_saved_completely_or_not_at_all(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    talk = Talk(GREEDY, messages=[{"role": "user", "content": "ba" * 5000}])
    file = tmp_path / "chat.json"
    file.write_text("before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError):
            obey(Command("save", str(file)), talk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(llamacy.ModelFileError, match="found a folder"):
        obey(Command("save", str(tmp_path)), talk)
    obey(Command("save", str(file)), talk)
    assert json.loads(file.read_text())["messages"] == talk.messages
