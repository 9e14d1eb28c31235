"""Puts `llamacy.compat.llama_cpp` in llama-cpp-python's place among the modules."""

from __future__ import annotations

import importlib
import sys

from llamacy.errors import UnsupportedCallError

_NAME = "llama_cpp"
_HOME = "llamacy.compat.llama_cpp"
_SUBMODULES = """llama llama_cache llama_chat_format llama_cpp llama_grammar
llama_speculative llama_tokenizer llama_types""".split()


def install() -> None:
    """Make ``import llama_cpp`` import `llamacy.compat.llama_cpp` in this process.

    Libraries that import llama-cpp-python, such as LangChain, then run on llamacy
    without a change, whether or not llama-cpp-python is installed. Its submodules are
    replaced too: ``llama_cpp.llama``, ``llama_cache``, ``llama_chat_format``,
    ``llama_cpp``, ``llama_grammar``, ``llama_speculative``, ``llama_tokenizer`` and
    ``llama_types``. Others, such as ``llama_cpp.server``, cannot be imported. Calling
    it again changes nothing.

    Raises
    ------
    UnsupportedCallError
        llama-cpp-python has been imported already, so that some modules would go on
        using it.

    Examples
    --------
    >>> from llamacy import compat
    >>> compat.install()
    >>> from llama_cpp import Llama, LlamaGrammar
    >>> Llama.__module__
    'llamacy.compat.llama_cpp.llama'
    """
    home = importlib.import_module(_HOME)
    present = sys.modules.get(_NAME)
    if present is home:
        return
    if present is not None:
        place = getattr(present, "__file__", None) or "an unknown place"
        raise UnsupportedCallError(
            f"install: wanted to come before the first import of {_NAME}, found it "
            f"imported from {place}"
        )
    for each in _SUBMODULES:
        sys.modules[f"{_NAME}.{each}"] = importlib.import_module(f"{_HOME}.{each}")
    sys.modules[_NAME] = home
