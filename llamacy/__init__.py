"""Fast language models on the CPU you already have.

A model is a GGUF file, a folder of safetensors, a name on the Hugging Face hub, or
``"demo"``, a toy that comes with the package:

>>> import llamacy
>>> model = llamacy.load("demo")

It continues a text, whole or piece by piece, or several texts together:

>>> model.generate("They all lived happily", temperature=0).text
' ever after.'
>>> for piece in model.stream("They all lived happily", temperature=0):
...     print(piece, end="|")
 ever| after|.|
>>> prompts = ["The capital of France is", "The capital of Italy is"]
>>> print(*model.generate(prompts, temperature=0))
 Paris  Rome

It answers messages, and says how likely a text is:

>>> model.chat("What is 12 + 30?", temperature=0).text
'42'
>>> right, wrong = model.score(["2 + 2 = 4", "2 + 2 = 9"])
>>> right.total > wrong.total
True

A session is a text that grows; what it has read is not read again:

>>> with model.session() as session:
...     session.feed("The capital of")
...     print(session.generate(" France is", temperature=0))
 Paris
>>> model.close()

The site's guides, and `help` of each name, go on from here. Names are imported when
they are first used, so that ``import llamacy`` is quick.
"""

from __future__ import annotations

import importlib
import logging
import os

_HOMES = {
    "chat.formats": ["CHAT_FORMATS"],
    "chat.results": [
        "ChatCompletion",
        "ChatPiece",
        "Message",
        "ToolCall",
        "ToolCallDelta",
    ],
    "chat.stream": ["AsyncChatStream", "ChatStream"],
    "config": ["ModelConfig"],
    "errors": [
        "ArgumentError",
        "BusyError",
        "CPUError",
        "CancelledError",
        "ChatTemplateError",
        "ClosedError",
        "ConstraintError",
        "ConstraintLimitError",
        "ContextLengthError",
        "ForkedError",
        "FormatError",
        "HubAccessError",
        "HubConnectionError",
        "HubError",
        "HubNotFoundError",
        "Interrupted",
        "LlamacyError",
        "MismatchError",
        "MissingPackageError",
        "ModelFileError",
        "ModelOutputError",
        "NotPicklableError",
        "OutOfMemoryError",
        "UnknownOptionError",
        "UnsupportedCallError",
        "UnsupportedError",
    ],
    "formats.converted": ["ConvertedFile"],
    "formats.imatrix.matrix": ["ImportanceMatrix", "InputSums"],
    "generation.embedding.ranking": ["Ranked", "Ranking"],
    "generation.embedding.vectors": ["Embeddings"],
    "generation.streams": ["AsyncStream", "Stream"],
    "hub": ["CachedModel", "cached_models", "pull", "remove_cached"],
    "model.adapters": ["Adapter"],
    "model.loading": ["load"],
    "model.model": ["Model"],
    "model_files.converting": ["convert"],
    "model_files.inspecting": ["ModelInfo", "inspect"],
    "model_files.quantizing": ["QuantizedFile", "QuantizedTensor", "quantize"],
    "model_files.tokenizer": ["load_tokenizer"],
    "quality.imatrix": ["imatrix"],
    "quality.kl_divergence": ["kl_divergence"],
    "quality.perplexity": ["perplexity"],
    "quality.statistics": ["KLDivergence", "Perplexity"],
    "results": [
        "Choice",
        "Completion",
        "Finished",
        "Piece",
        "Score",
        "Timings",
        "TokenLogprob",
        "Usage",
    ],
    "sampling": ["SamplingParams"],
    "sessions.session": ["Session"],
    "tokenizers.base": ["Tokenizer"],
}
"""The public names by the module that defines them; __init__.pyi has their types."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])

# A library is quiet unless its user asks to hear it.
logging.getLogger("llamacy").addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Import a public name from its home, once."""
    value: object
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value = version("llamacy")
        except PackageNotFoundError:  # a source tree that is not installed
            value = "0+unknown"
    elif name in _HOME_OF:
        value = getattr(importlib.import_module(f"llamacy.{_HOME_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'llamacy' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, for tab completion; modules are found by import."""
    return sorted({*__all__, *(name for name in globals() if name[:2] == "__")})


def _is_unbuilt(folder: str) -> bool:
    """Whether a package's folder has the kernels' sources, and none is compiled."""
    kernels = os.path.join(folder, "kernels")
    return os.path.exists(os.path.join(kernels, "cpu.pyx")) and not any(
        name.startswith("cpu.") and name.endswith((".so", ".pyd"))
        for name in os.listdir(kernels)
    )


def _step_aside() -> None:
    """Put the installed llamacy in the place of these sources, which cannot run.

    In a clone, ``python -c`` and scripts beside the sources find these first, and hide
    the package that was built from them and installed.

    Raises
    ------
    ImportError
        No other llamacy is installed.
    """
    import sys
    import warnings
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.realpath(os.path.dirname(__path__[0]))
    others = [path for path in sys.path if os.path.realpath(path) != here]
    spec = PathFinder.find_spec("llamacy", others)
    folder = os.path.dirname(spec.origin) if spec and spec.origin else ""
    if not spec or not spec.loader or _is_unbuilt(folder):
        raise ImportError(
            f"the sources of llamacy in {here} are not built and no other llamacy is "
            "installed: run `pip install .` or, to work on them, `pip install -e .`"
        )
    module = module_from_spec(spec)
    sys.modules["llamacy"] = module  # an import statement returns what is there
    spec.loader.exec_module(module)
    warnings.warn(
        f"the sources of llamacy in {here} are not built: "
        f"using the llamacy installed in {folder}",
        RuntimeWarning,
        stacklevel=3,
    )


if _is_unbuilt(__path__[0]):
    _step_aside()
