"""The plugin for the command line tool `llm`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.hub_server import HubServer, Repo
from tests.support.puppet import saying

pytest.importorskip("llm")

from click.testing import CliRunner, Result
from llm.cli import cli
from llm.plugins import load_plugins, pm

from llamacy.integrations import llm as plugin
from llamacy.integrations.llm.models import (
    AsyncLlamacyModel,
    LlamacyModel,
    LlamacyOptions,
)

pytestmark = pytest.mark.integrations

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of llm's settings, with the plugin in place."""
    folder = tmp_path / "llm user"
    folder.mkdir()
    monkeypatch.setenv("LLM_USER_PATH", str(folder))
    load_plugins()
    is_ours = not pm.is_registered(plugin)  # run from sources that are not installed
    if is_ours:
        pm.register(plugin, "llamacy")
    yield folder
    if is_ours:
        pm.unregister(plugin)


def run(*words: str, ends: int = 0) -> str:
    result: Result = CliRunner().invoke(cli, [*words])
    assert result.exit_code == ends, result.output
    return result.output


def test_entry_point_brings_the_plugin_to_the_command(user_folder: Path) -> None:
    if "llamacy" not in {one.name for one in entry_points(group="llm")}:
        pytest.skip("llamacy is not installed")
    command = [sys.executable, "-P", "-m", "llm", "-m", "llamacy/demo", "-n"]
    done = subprocess.run(
        [*command, "What is 12 + 30?", "-o", "temperature", "0"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


@pytest.mark.parametrize("stream", [[], ["--no-stream"]])
def test_command_answers_and_goes_on(stream: list[str]) -> None:
    options = ["-o", "temperature", "0", *stream]
    answered = run("-m", "llamacy/demo", "What is 12 + 30?", "-u", *options)
    assert "42" in answered
    assert "21 input, 2 output" in answered
    assert run("-c", "What is the capital of Italy?", *options) == "Rome\n"
    (_, last) = json.loads(run("logs", "--json", "-n", "2"))
    assert last["response_json"]["finish_reason"] == "stop"


def test_models_of_the_cache_are_listed(hub: HubServer, babble_model: Path) -> None:
    files = {"babble-Q8_0.gguf": babble_model.read_bytes()}
    hub.repos["somebody/babble-GGUF"] = Repo(files)
    llamacy.pull("somebody/babble-GGUF:Q8_0")
    listed = run("models")
    assert "llamacy/demo" in listed
    assert "llamacy/somebody/babble-GGUF:Q8_0" in listed


def test_models_are_added_by_their_paths_and_removed(
    babble_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(babble_model.parent)
    assert run("llamacy", "add", babble_model.name) == "llamacy/babble\n"
    run("llamacy", "add", babble_model.name, "--name", "mine")
    monkeypatch.chdir(tmp_path)
    assert f"llamacy/babble: {babble_model}" in run("llamacy", "models")
    assert run("-m", "llamacy/mine", "Hello", "-o", "max_tokens", "1")
    run("llamacy", "remove", "llamacy/mine")
    run("llamacy", "remove", "babble")
    assert run("llamacy", "models") == "llamacy/demo\n"
    assert "wanted one of the added models (none)" in run(
        "llamacy", "remove", "babble", ends=1
    )


def test_file_that_is_not_a_model_is_not_added(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    assert "text.gguf" in run("llamacy", "add", str(tmp_path / "text.gguf"), ends=1)
    assert run("llamacy", "models") == "llamacy/demo\n"


@pytest.mark.parametrize("broken", ["{", "[]", '{"a": 1}'])
def test_broken_list_leaves_other_models(user_folder: Path, broken: str) -> None:
    (user_folder / "llamacy.json").write_text(broken)
    assert "llamacy/demo" in run("models")
    assert "llamacy.json: the list of models: wanted" in run(
        "llamacy", "models", ends=1
    )


def test_bad_options_are_refused() -> None:
    bad = {"temprature": "0", "temperature": "-1", "template_arguments": "{"}
    for name, value in bad.items():
        output = run("-m", "llamacy/demo", "Hello", "-o", name, value, ends=1)
        assert name in output or "temperature: wanted" in output
    options = LlamacyOptions(template_arguments='{"enable_thinking": false}')
    assert options.chat_options() == {"template_arguments": {"enable_thinking": False}}


def test_base_model_continues_a_prompt_but_answers_no_conversation(
    base_model: Path,
) -> None:
    model = LlamacyModel("base", str(base_model))
    text = model.prompt("Once", temperature=0, max_tokens=4).text()
    with llamacy.load(base_model) as loaded:
        assert text == loaded.generate("Once", temperature=0, max_tokens=4).text
    with pytest.raises(llamacy.ChatTemplateError):
        model.prompt("Once", system="Be brief.").text()
    answer = model.prompt("Once", system="Hm.", chat_format="chatml", max_tokens=1)
    assert answer.usage().output == 1


def test_system_prompt_and_earlier_turns_reach_the_model() -> None:
    model = LlamacyModel("demo", "demo")
    conversation = model.conversation()
    first = conversation.prompt("What is 12 + 30?", system="Be brief.", temperature=0)
    assert first.text() == "42"
    second = conversation.prompt("What is the capital of Italy?", temperature=0)
    assert second.text() == "Rome"
    with llamacy.load("demo") as loaded:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 12 + 30?"},
            {"role": "assistant", "content": "42"},
            {"role": "user", "content": "What is the capital of Italy?"},
        ]
        assert second.usage().input == len(loaded.chat_prompt(messages))


def test_a_response_follows_a_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 22]}}}
    model = LlamacyModel("demo", "demo")
    response = model.prompt("Hello", schema={**schema, "required": ["n"]})
    assert json.loads(response.text())["n"] in (1, 22)


def test_coroutines_answer_at_the_same_time() -> None:
    model = AsyncLlamacyModel("demo", "demo")

    async def answers() -> list[str]:
        asked = ["What is 12 + 30?", "What is the capital of Italy?"] * 3
        responses = [model.prompt(question, temperature=0) for question in asked]
        return list(await asyncio.gather(*(one.text() for one in responses)))

    assert asyncio.run(answers()) == ["42", "Rome"] * 3


class Puppet(LlamacyModel):
    """Calls a tool first, and answers when it has the result."""

    def options(self, prompt: Any) -> dict[str, Any]:
        assert self._held is not None
        has_result = any(one.role == "tool" for one in prompt.messages)
        said = "<think>\nHm.\n</think>\n\nIt is 3." if has_result else CALL
        return super().options(prompt) | saying(self._held, said)


def test_tools_are_called_and_reasoning_is_told_apart(puppet_path: Path) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    chain = Puppet("puppet", str(puppet_path)).chain("What is 1 + 2?", tools=[add])
    assert chain.text() == "It is 3."
    asked, answered = chain._responses
    (call,) = asked.tool_calls()
    assert (call.name, call.arguments) == ("add", {"a": 1, "b": 2})
    (result,) = (one for one in answered.prompt.messages if one.role == "tool")
    assert result.parts[0].output == "3"
    parts = answered.messages()[0].parts
    assert [type(part).__name__ for part in parts] == ["ReasoningPart", "TextPart"]


def test_importing_the_plugin_loads_nothing_compiled() -> None:
    code = (
        "import sys, llm; before = set(sys.modules); import llamacy.integrations.llm; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "assert 'numpy' not in new and 'jinja2' not in new, new; "
        "assert 'llamacy.kernels' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
