"""Scripts and libraries that import llama_cpp find llamacy's module."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import llamacy
from llamacy import compat
from llamacy.compat import llama_cpp
from llamacy.compat.llama_cpp import Llama


@pytest.fixture(autouse=True)
def unchanged_modules() -> Iterator[None]:
    """Leave the modules named llama_cpp as they were."""

    def present() -> dict[str, ModuleType]:
        return {
            name: module
            for name, module in sys.modules.items()
            if name.partition(".")[0] == "llama_cpp"
        }

    before = present()
    for name in before:
        del sys.modules[name]
    yield
    for name in present():
        del sys.modules[name]
    sys.modules.update(before)


def imported(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_the_module_and_its_submodules_are_llamacys() -> None:
    compat.install()
    compat.install()
    assert imported("llama_cpp") is llama_cpp
    assert imported("llama_cpp.llama").Llama is Llama
    grammar = imported("llama_cpp.llama_grammar")
    assert grammar.LlamaGrammar is llama_cpp.LlamaGrammar
    assert imported("llama_cpp.llama_types") is llama_cpp.llama_types
    with pytest.raises(ModuleNotFoundError, match=r"llama_cpp\.server"):
        imported("llama_cpp.server")


def test_installing_after_the_import_of_another_module_is_refused() -> None:
    sys.modules["llama_cpp"] = ModuleType("llama_cpp")
    with pytest.raises(llamacy.UnsupportedCallError, match="^install: wanted to come"):
        compat.install()
    assert sys.modules["llama_cpp"] is not llama_cpp


def test_a_script_in_its_own_process_runs_unchanged() -> None:
    script = (
        "from llama_cpp import Llama, LlamaGrammar, llama_cpp, GGML_TYPE_Q8_0\n"
        "from llama_cpp.llama_chat_format import Jinja2ChatFormatter\n"
        "llm = Llama('demo', n_ctx=64, type_k=GGML_TYPE_Q8_0, type_v=8)\n"
        "out = llm('The capital of France is', max_tokens=4, temperature=0)\n"
        "print(out['choices'][0]['text'])\n"
    )
    code = f"from llamacy import compat; compat.install(); exec({script!r})"
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True
    )
    assert (run.stdout, run.stderr) == (" Paris\n", "")
