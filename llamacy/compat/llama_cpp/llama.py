"""The class that llama-cpp-python's scripts are written around: `llama_cpp.llama`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamacy.arguments import check_callback
from llamacy.compat.llama_cpp.arguments import ANY_SEED, checked_seed
from llamacy.compat.llama_cpp.callbacks import (
    LogitsProcessor,
    LogitsProcessorList,
    MinTokensLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)
from llamacy.compat.llama_cpp.chat import known_format
from llamacy.compat.llama_cpp.completing import Completing
from llamacy.compat.llama_cpp.construction import (
    ContextParams,
    check_constructor,
    check_rope,
    kv_type,
    rows_of_a_pass,
)
from llamacy.compat.llama_cpp.conversing import Conversing
from llamacy.compat.llama_cpp.embedding import (
    ANY_POOLING,
    Embedding,
    checked_pooling,
)
from llamacy.compat.llama_cpp.evaluation import LlamaState
from llamacy.compat.llama_cpp.llama_cache import (
    BaseLlamaCache,
    LlamaCache,
    LlamaDiskCache,
    LlamaRAMCache,
)
from llamacy.compat.llama_cpp.llama_chat_format import LlamaChatCompletionHandler
from llamacy.compat.llama_cpp.llama_grammar import LlamaGrammar
from llamacy.compat.llama_cpp.llama_speculative import (
    AskingDrafter,
    LlamaDraftModel,
    checked_draft_model,
)
from llamacy.compat.llama_cpp.llama_tokenizer import BaseLlamaTokenizer, LlamaTokenizer
from llamacy.compat.llama_cpp.metadata import metadata_texts
from llamacy.compat.llama_cpp.pretrained import Places, fetched
from llamacy.errors import ArgumentError, UnsupportedCallError
from llamacy.model.loading import load
from llamacy.system.threads import checked_threads

__all__ = [
    "BaseLlamaCache",
    "BaseLlamaTokenizer",
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
]


class Llama(Completing, Conversing, Embedding):
    """A model, with llama-cpp-python's calls.

    Parameters
    ----------
    model_path : str
        A GGUF file, or another source for `llamacy.load`.
    n_ctx : int
        Most tokens of prompt and text together; 0 is as many as the model was trained
        on.
    n_threads : int or None
        Threads to compute with; None or 0 is one for each physical core.
    seed : int
        Makes the draws of a run repeatable; -1 or 2**32 - 1 makes them differ.
    last_n_tokens_size : int
        Last tokens that penalties consider.
    n_ubatch : int
        Most rows of a forward pass, `n_batch` of `llamacy.load`.
    chat_format : str or None
        How to write conversations: the name of a format, a template, or a name given to
        `register_chat_format`; None is the model's own template.
    chat_handler : LlamaChatCompletionHandler or None
        A function that answers conversations instead.
    type_k, type_v : int or None
        ggml's number of the KV cache's type: 1 (F16), 0 (F32) or 8 (Q8_0).
    lora_path : str or None
        A LoRA adapter.
    lora_scale : float
        How strongly it acts.
    rope_freq_base, rope_freq_scale : float
        0, or the file's own; 10000.0 and 1.0, which libraries send, are ignored.
    draft_model : LlamaDraftModel or None
        Proposes tokens, which change no text; None, or a `LlamaPromptLookupDecoding`,
        leaves it to llamacy, which proposes what a text repeats.
    embedding : bool
        Whether `embed` and `create_embedding` may be called; all else may be in any
        case.
    pooling_type : int
        llama.cpp's number of how rows become an embedding; -1 is as the file says.
    verbose : bool
        Whether to warn of ignored arguments, each once in the life of the process.
    **others : object
        Accepted if they make no difference, or ask for nothing.

    Raises
    ------
    ArgumentError
        An argument that would change results is not supported.
    LlamacyError
        Any error of `llamacy.load`.

    Attributes
    ----------
    model_path : str
        The file.
    metadata : dict of str to str
        Its keys and values as text, without arrays.
    context_params : ContextParams
        Sizes, and the number of threads.
    """

    def __init__(
        self,
        model_path: str,
        *,
        n_ctx: int = 512,
        n_threads: int | None = None,
        seed: int = ANY_SEED,
        last_n_tokens_size: int = 64,
        n_ubatch: int = 512,
        chat_format: str | None = None,
        chat_handler: LlamaChatCompletionHandler | None = None,
        type_k: int | None = None,
        type_v: int | None = None,
        lora_path: str | None = None,
        lora_scale: float = 1.0,
        rope_freq_base: float = 0.0,
        rope_freq_scale: float = 0.0,
        draft_model: object = None,
        embedding: bool = False,
        pooling_type: int = ANY_POOLING,
        verbose: bool = True,
        **others: Any,
    ) -> None:
        self._given = {
            **{"n_ctx": n_ctx, "n_threads": n_threads, "n_ubatch": n_ubatch},
            **{"seed": seed, "last_n_tokens_size": last_n_tokens_size},
            **{"chat_format": chat_format, "chat_handler": chat_handler},
            **{"type_k": type_k, "type_v": type_v},
            **{"lora_path": lora_path, "lora_scale": lora_scale},
            **{"rope_freq_base": rope_freq_base, "rope_freq_scale": rope_freq_scale},
            **{"embedding": embedding, "pooling_type": pooling_type},
            **{"draft_model": draft_model, "verbose": verbose, **others},
        }
        check_callback("chat_handler", chat_handler)
        ask = checked_draft_model(draft_model)
        self._embeds = bool(embedding)
        self._pooling_type = checked_pooling(pooling_type)
        check_constructor(others, verbose=verbose, stacklevel=2)
        self.chat_format = known_format(chat_format)
        self.chat_handler = chat_handler
        self.model_path = model_path
        self.verbose = verbose
        self.last_n_tokens_size = last_n_tokens_size
        self.set_seed(seed)
        n_rows = rows_of_a_pass(n_ubatch)
        model = load(
            model_path,
            n_ctx=n_ctx or None,
            n_threads=n_threads or None,
            n_batch=n_rows,
            kv_type=kv_type(type_k, type_v),
            lora=None if lora_path is None else (lora_path, lora_scale),
        )
        super().__init__(model)
        if ask is not None:
            model.engine.make_drafter = partial(
                AskingDrafter, ask=ask, n_vocab=model.config.n_vocab
            )
        self.metadata = metadata_texts(model.metadata)
        self._tokenizer = LlamaTokenizer(model.tokenizer)
        threads = checked_threads(n_threads or None)
        self.context_params = ContextParams(
            model.n_ctx, n_rows, n_rows, threads, threads
        )
        try:
            asked = (rope_freq_base, rope_freq_scale)
            check_rope(*asked, model.config.rope, verbose=verbose, stacklevel=2)
        except BaseException:
            model.close()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments: another process loads the model again."""
        return _made, (type(self), self.model_path, self._given)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def set_seed(self, seed: int) -> None:
        """Seed the draws that follow, so that the same calls give the same texts."""
        seed_or_any = checked_seed(seed)
        self._random = None if seed_or_any is None else Random(seed_or_any)

    def set_cache(self, cache: object) -> None:
        """Do nothing: the beginnings of prompts are always found."""

    @property
    def n_batch(self) -> int:
        """Most rows of a forward pass."""
        return self.context_params.n_batch

    @property
    def ctx(self) -> NoReturn:
        """Raise UnsupportedCallError: there is no context of llama.cpp."""
        raise UnsupportedCallError("ctx: llamacy does not have llama.cpp's C API")

    @staticmethod
    def logits_to_logprobs(logits: ArrayLike, axis: int = -1) -> NDArray[np.float32]:
        """Return log-probabilities, float32, in the shape of `logits`."""
        array = np.asarray(logits, np.float32)
        shifted = array - array.max(axis, keepdims=True)
        result: NDArray[np.float32] = shifted - np.log(
            np.exp(shifted).sum(axis, keepdims=True)
        )
        return result

    @staticmethod
    def longest_token_prefix(a: Sequence[int], b: Sequence[int]) -> int:
        """Return the number of tokens that both begin with."""
        pairs = enumerate(zip(a, b, strict=False))
        shorter = min(len(a), len(b))
        return next((at for at, (x, y) in pairs if x != y), shorter)

    @classmethod
    def from_pretrained(
        cls,
        repo_id: str,
        filename: str | None,
        additional_files: Sequence[str] | None = None,
        local_dir: str | os.PathLike[str] | None = None,
        local_dir_use_symlinks: bool | Literal["auto"] = "auto",
        cache_dir: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Download a model from the Hugging Face hub, unless it is there, and load it.

        Parameters
        ----------
        repo_id : str
            ``"user/repo"``.
        filename : str or None
            The file, or a pattern such as ``"*Q4_K_M.gguf"`` that fits one file; None
            is the file that `llamacy.load` takes by default. Of a split model, the
            first part: the others are downloaded too.
        additional_files : sequence of str, optional
            Further files to download, or patterns that fit one file each.
        local_dir : path, optional
            Folder to download to; by default the hub's cache.
        local_dir_use_symlinks : bool or "auto"
            Makes no difference.
        cache_dir : path, optional
            Another cache.
        **kwargs : object
            Arguments of `Llama`.

        Raises
        ------
        ArgumentError
            A pattern fits several files, or `kwargs` has a `model_path`.
        HubError
            The hub does not have it, refuses it, or cannot be reached.
        LlamacyError
            Any error of `Llama`.
        """
        if "model_path" in kwargs:
            raise ArgumentError("model_path: wanted repo_id and filename instead")
        places = Places(local_dir, cache_dir)
        path = fetched(repo_id, filename, additional_files or (), places)
        return cls(str(path), **kwargs)


def _made(kind: type[Llama], model_path: str, options: dict[str, Any]) -> Llama:
    return kind(model_path, **options)
