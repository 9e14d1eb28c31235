"""llama-cpp-python's everyday API, so that its scripts run with another import.

>>> from llamacy.compat.llama_cpp import Llama
>>> llm = Llama("demo", n_ctx=256)
>>> llm("The capital of France is", temperature=0)["choices"][0]["text"]
' Paris'

Arguments, defaults and results are those of llama-cpp-python 0.3. Arguments that make
no difference here, such as the number of layers on a GPU, are accepted and logged.
Arguments that ask for a feature that llamacy does not have raise ArgumentError, which
names the argument; methods that it does not have raise UnsupportedCallError. The two
libraries differ in this:

- Any number of threads may use a Llama, except for `Llama.eval` and the methods that
  continue the text it has read.
- Beginnings of prompts are always found in the KV cache, so that `set_cache` changes
  nothing.
- Log-probabilities do not need `logits_all`, and are plain floats.
- A prompt that begins with the beginning-of-text token does not get a second one.
- A model without a chat template needs a `chat_format`, which may be a template:
  llamacy does not guess. Names of control tokens in messages are plain text.
- `n_ctx` is not rounded up.
"""

from llamacy.compat.llama_cpp.callbacks import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from llamacy.compat.llama_cpp.construction import (
    LlamaCache,
    LlamaDiskCache,
    LlamaRAMCache,
)
from llamacy.compat.llama_cpp.llama import Llama
from llamacy.compat.llama_cpp.vocabulary import LlamaTokenizer
from llamacy.protocols.openai.chat import (
    ChatChoice,
    ChatLogprobs,
    ChatMessage,
    CreateChatCompletionResponse,
)
from llamacy.protocols.openai.common import CompletionUsage
from llamacy.protocols.openai.completions import (
    CompletionChoice,
    CompletionLogprobs,
    CreateCompletionResponse,
)

__all__ = [
    "ChatChoice",
    "ChatLogprobs",
    "ChatMessage",
    "CompletionChoice",
    "CompletionLogprobs",
    "CompletionUsage",
    "CreateChatCompletionResponse",
    "CreateCompletionResponse",
    "Llama",
    "LlamaCache",
    "LlamaDiskCache",
    "LlamaRAMCache",
    "LlamaTokenizer",
    "LogitsProcessor",
    "LogitsProcessorList",
    "StoppingCriteria",
    "StoppingCriteriaList",
]
