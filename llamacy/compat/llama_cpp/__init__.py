"""llama-cpp-python's everyday API, so that its scripts run with another import.

>>> from llamacy.compat.llama_cpp import Llama
>>> llm = Llama("demo", n_ctx=256)
>>> llm("The capital of France is", temperature=0)["choices"][0]["text"]
' Paris'

Libraries that import ``llama_cpp`` themselves run after `llamacy.compat.install`.
Arguments, defaults and results are those of llama-cpp-python 0.3. Arguments that make
no difference here, such as the number of layers on a GPU, are accepted; a warning names
each once, unless `verbose` is False. Arguments of `Llama` that would change results
raise ArgumentError; calls and arguments of calls that ask for a feature that llamacy
does not have raise UnsupportedCallError. The two libraries differ in this:

- Any number of threads may use a Llama, except for `Llama.eval` and the methods that
  continue the text it has read.
- Beginnings of prompts are always found in the KV cache, so that `set_cache` changes
  nothing.
- Log-probabilities do not need `logits_all`, and are plain floats.
- A prompt that begins with the beginning-of-text token does not get a second one.
- A model without a chat template needs a `chat_format`, which may be a template:
  llamacy does not guess. Names of control tokens in messages are plain text.
- `n_ctx` is not rounded up.
- The RoPE is always the file's.
"""

from typing import Any

from llamacy.compat.llama_cpp import (
    llama_chat_format,
    llama_cpp,
    llama_grammar,
    llama_types,
)
from llamacy.compat.llama_cpp.ignoring import IgnoredArgumentWarning
from llamacy.compat.llama_cpp.llama import (
    BaseLlamaCache,
    BaseLlamaTokenizer,
    Llama,
    LlamaCache,
    LlamaDiskCache,
    LlamaDraftModel,
    LlamaGrammar,
    LlamaRAMCache,
    LlamaState,
    LlamaTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    MinTokensLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)
from llamacy.compat.llama_cpp.llama_types import (
    CompletionChoice,
    CompletionLogprobs,
    CompletionUsage,
    CreateChatCompletionResponse,
    CreateCompletionResponse,
)

__version__ = "0.3.36"

__all__ = [
    "BaseLlamaCache",
    "BaseLlamaTokenizer",
    "CompletionChoice",
    "CompletionLogprobs",
    "CompletionUsage",
    "CreateChatCompletionResponse",
    "CreateCompletionResponse",
    "IgnoredArgumentWarning",
    "Llama",
    "LlamaCache",
    "LlamaDiskCache",
    "LlamaDraftModel",
    "LlamaGrammar",
    "LlamaRAMCache",
    "LlamaState",
    "LlamaTokenizer",
    "LogitsProcessor",
    "LogitsProcessorList",
    "MinTokensLogitsProcessor",
    "StoppingCriteria",
    "StoppingCriteriaList",
    "llama_chat_format",
    "llama_cpp",
    "llama_grammar",
    "llama_types",
]


def __getattr__(name: str) -> Any:
    """Return a type of `llama_types`, or a name of llama.cpp's C API."""
    home = llama_types if name in vars(llama_types) else llama_cpp
    return getattr(home, name)
