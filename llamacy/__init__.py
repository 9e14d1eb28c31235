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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamacy.chat.formats import CHAT_FORMATS
    from llamacy.chat.results import ChatCompletion, ChatPiece, Message, ToolCall
    from llamacy.chat.stream import AsyncChatStream, ChatStream
    from llamacy.config import ModelConfig
    from llamacy.errors import (
        ArgumentError,
        BusyError,
        ChatTemplateError,
        ClosedError,
        ContextLengthError,
        CPUError,
        ForkedError,
        FormatError,
        HubAccessError,
        HubConnectionError,
        HubError,
        HubNotFoundError,
        LlamacyError,
        ModelFileError,
        ModelOutputError,
        OutOfMemoryError,
        UnsupportedCallError,
        UnsupportedError,
    )
    from llamacy.formats.converted import ConvertedFile
    from llamacy.generation.streams import AsyncStream, Stream
    from llamacy.hub import CachedModel, cached_models, pull, remove_cached
    from llamacy.model.adapters import Adapter
    from llamacy.model.loading import load
    from llamacy.model.model import Model
    from llamacy.model_files.converting import convert
    from llamacy.model_files.inspecting import ModelInfo, inspect
    from llamacy.model_files.quantizing import QuantizedFile, quantize
    from llamacy.model_files.tokenizer import load_tokenizer
    from llamacy.quality.kl_divergence import kl_divergence
    from llamacy.quality.perplexity import perplexity
    from llamacy.quality.statistics import KLDivergence, Perplexity
    from llamacy.results import (
        Completion,
        Piece,
        Score,
        Timings,
        TokenLogprob,
        Usage,
    )
    from llamacy.sampling import SamplingParams
    from llamacy.sessions.session import Session
    from llamacy.tokenizers.base import Tokenizer

    __version__: str

__all__ = [
    "Adapter",
    "ArgumentError",
    "AsyncChatStream",
    "AsyncStream",
    "BusyError",
    "CHAT_FORMATS",
    "CPUError",
    "CachedModel",
    "ChatCompletion",
    "ChatPiece",
    "ChatStream",
    "ChatTemplateError",
    "ClosedError",
    "Completion",
    "ContextLengthError",
    "ConvertedFile",
    "ForkedError",
    "FormatError",
    "HubAccessError",
    "HubConnectionError",
    "HubError",
    "HubNotFoundError",
    "KLDivergence",
    "LlamacyError",
    "Message",
    "Model",
    "ModelConfig",
    "ModelFileError",
    "ModelInfo",
    "ModelOutputError",
    "OutOfMemoryError",
    "Perplexity",
    "Piece",
    "QuantizedFile",
    "SamplingParams",
    "Score",
    "Session",
    "Stream",
    "Timings",
    "TokenLogprob",
    "Tokenizer",
    "ToolCall",
    "UnsupportedCallError",
    "UnsupportedError",
    "Usage",
    "__version__",
    "cached_models",
    "convert",
    "inspect",
    "kl_divergence",
    "load",
    "load_tokenizer",
    "perplexity",
    "pull",
    "quantize",
    "remove_cached",
]

_HOMES = {
    "chat.formats": ["CHAT_FORMATS"],
    "chat.results": ["ChatCompletion", "ChatPiece", "Message", "ToolCall"],
    "chat.stream": ["AsyncChatStream", "ChatStream"],
    "config": ["ModelConfig"],
    "errors": [name for name in __all__ if name.endswith("Error")],
    "formats.converted": ["ConvertedFile"],
    "generation.streams": ["AsyncStream", "Stream"],
    "hub": ["CachedModel", "cached_models", "pull", "remove_cached"],
    "model.adapters": ["Adapter"],
    "model.loading": ["load"],
    "model.model": ["Model"],
    "model_files.converting": ["convert"],
    "model_files.inspecting": ["ModelInfo", "inspect"],
    "model_files.quantizing": ["QuantizedFile", "quantize"],
    "model_files.tokenizer": ["load_tokenizer"],
    "quality.kl_divergence": ["kl_divergence"],
    "quality.perplexity": ["perplexity"],
    "quality.statistics": ["KLDivergence", "Perplexity"],
    "results": ["Completion", "Piece", "Score", "Timings", "TokenLogprob", "Usage"],
    "sampling": ["SamplingParams"],
    "sessions.session": ["Session"],
    "tokenizers.base": ["Tokenizer"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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
    return sorted({*globals(), *__all__})
