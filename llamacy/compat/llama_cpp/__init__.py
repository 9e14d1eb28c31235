"""llama-cpp-python's everyday calls, so that its scripts run with another import.

>>> from llamacy.compat.llama_cpp import Llama
>>> llm = Llama("demo", n_ctx=256)
>>> llm("The capital of France is", temperature=0)["choices"][0]["text"]
' Paris'

Arguments, defaults and results are llama-cpp-python's (0.3). What makes no difference
here, like the number of layers on a GPU, is taken and logged. What would change the
result, and llamacy does not have, raises ArgumentError, which names the argument, or
UnsupportedCallError. Where the two differ:

- A Llama may be used by any number of threads, except for :meth:`Llama.eval` and what
  follows it.
- Beginnings of prompts are always found again, so a cache changes nothing.
- Log-probabilities need no ``logits_all`` and are plain floats.
- A prompt that begins with the beginning-of-text token is not given a second one.
- A model without a chat template needs a `chat_format`: none is guessed, and it may
  be a template. What messages say never counts as a control token.
- `n_ctx` is as it is asked for, not rounded up.
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
