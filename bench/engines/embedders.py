"""Libraries that embed texts: the process of one, which times what its parent asks for.

    python embedders.py NAME MODEL ONNX N_THREADS

MODEL is a sentence-transformers folder or a GGUF file, as the library reads; ONNX is
the same model for onnxruntime, or empty. The answer to the start is the library's
version. Then each line of standard input is a JSON list of texts, and is answered with
the seconds that their vectors took.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np

Encode = Callable[[list[str]], Any]
BATCH = 256  # fastembed's
MOST_TOKENS = 256  # MiniLM's own limit, which its GGUF file does not tell


def llamacy(model: str, onnx: str, n_threads: int) -> Encode:
    """Embed with this library."""
    import llamacy

    loaded = llamacy.load(model, n_threads=n_threads)
    return lambda texts: loaded.embed(texts, truncate=True)


def sentence_transformers(model: str, onnx: str, n_threads: int) -> Encode:
    """Embed with PyTorch, as sentence-transformers does unless told otherwise."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(n_threads)
    return SentenceTransformer(model, device="cpu").encode


def onnxruntime(model: str, onnx: str, n_threads: int) -> Encode:
    """Embed as fastembed does: batches of 256, each padded to its longest text."""
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(onnx, options)
    tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.enable_padding()

    def batches(texts: list[str]) -> Iterator[Any]:
        for first in range(0, len(texts), BATCH):
            encoded = tokenizer.encode_batch(texts[first : first + BATCH])
            ids = np.array([each.ids for each in encoded], np.int64)
            mask = np.array([each.attention_mask for each in encoded], np.int64)
            inputs = {"input_ids": ids, "attention_mask": mask}
            inputs["token_type_ids"] = np.zeros_like(ids)
            (hidden,) = session.run(None, inputs)
            sums = (hidden * mask[..., None]).sum(1)
            yield sums / np.linalg.norm(sums, axis=1, keepdims=True)

    return lambda texts: np.concatenate(list(batches(texts)))


def llama_cpp(model: str, onnx: str, n_threads: int) -> Encode:
    """Embed with llama-cpp-python, which joins texts up to its batch."""
    import llama_cpp

    sizes = {"n_ctx": 512, "n_batch": 512, "n_ubatch": 512}  # larger ones are slower
    loaded = llama_cpp.Llama(
        model,
        embedding=True,
        n_threads=n_threads,
        n_threads_batch=n_threads,
        verbose=False,
        **sizes,
    )

    def cut(text: str) -> str:
        tokens = loaded.tokenize(text.encode(), special=False)
        if len(tokens) <= MOST_TOKENS:
            return text
        kept = tokens[1 : MOST_TOKENS - 1]  # without [CLS] and [SEP]
        return loaded.detokenize(kept).decode("utf-8", "replace")

    return lambda texts: loaded.embed([cut(text) for text in texts], normalize=True)


LIBRARIES: dict[str, tuple[Callable[[str, str, int], Encode], str]] = {
    "llamacy": (llamacy, "llamacy"),
    "sentence-transformers": (sentence_transformers, "sentence-transformers"),
    "onnxruntime": (onnxruntime, "onnxruntime"),
    "llama.cpp": (llama_cpp, "llama-cpp-python"),
}


def main() -> None:
    """Run as a command."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of a library must not be taken for an answer

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    name, model, onnx, n_threads = sys.argv[1:]
    load, package = LIBRARIES[name]
    encode = load(model, onnx, int(n_threads))
    answer(version(package))
    for line in sys.stdin:
        texts = json.loads(line)
        start = perf_counter()
        vectors = np.asarray(encode(texts))
        seconds = perf_counter() - start
        if len(vectors) != len(texts):
            raise SystemExit(f"wanted {len(texts)} vectors, found {len(vectors)}")
        answer(seconds)


if __name__ == "__main__":
    main()
