"""Remakes vectors.json: what llama.cpp and transformers make of the real models.

    PYTHONPATH=. ../oracle/bin/python tests/real/make_vectors.py

The environment needs llama-cpp-python 0.3.36, built for the machine at hand
(`CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary llama-cpp-python …`), and
transformers 5. chapter.txt is the first chapter of Alice's Adventures in Wonderland
(Lewis Carroll, 1865), a paragraph a line; it is in the public domain.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

import llamacy
from tests.support import divergence, real_models
from tests.support.divergence import Engine, Floats
from tests.support.random_texts import id_sums, random_texts

HERE = Path(__file__).parent
N_TEXTS = 3000
N_CLEAR = 5
N_READ = 800
N_CTX = 512
# Prompts whose likeliest token leads by 0.6 nats or more all along.
PROMPTS = {
    "SmolLM2": ["1, 2, 3, 4, 5, 6, 7,"],
    "Gemma 3": [
        "1, 2, 3, 4, 5, 6, 7,",
        "We the People of the United States, in Order to form a more perfect",
    ],
}
QUESTIONS = ["What is the chemical symbol for water?", "Count from 1 to 10."]
N_GREEDY = 32


@contextmanager
def llama(path: Path, **options: Any) -> Iterator[llama_cpp.Llama]:
    """Load a file with llama.cpp."""
    model = llama_cpp.Llama(
        str(path), verbose=False, n_threads=1, n_threads_batch=1, **options
    )
    try:
        yield model
    finally:
        model.close()


def engine(model: llama_cpp.Llama) -> Engine:
    """Return an engine that begins a text with llama.cpp."""
    model.reset()

    def read(ids: list[int]) -> Floats:
        begin = model.n_tokens
        model.eval(ids)
        return np.array(model.scores[begin : begin + len(ids)])

    return read


def tokens(path: Path) -> dict[str, Any]:
    """Return digests of the ids of random texts, and some ids."""
    texts = random_texts(N_TEXTS)
    with llama(path, vocab_only=True) as model:
        ids = [
            model.tokenize(text.encode(), add_bos=False, special=False)
            for text in texts
        ]
    return {
        "sums": base64.b64encode(id_sums(ids)).decode(),
        "sha256": hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        "clear": ids[:N_CLEAR],
    }


def accuracy(path: Path, f32: Path, ids: list[int]) -> dict[str, Any]:
    """Measure llama.cpp's divergence on a file, and on its weights as float32."""
    exact = {"type_k": 0, "type_v": 0}  # keys and values in float32, too
    with (
        llama(path, n_ctx=N_READ, logits_all=True) as native,
        llama(f32, n_ctx=N_READ, logits_all=True, **exact) as float32,
    ):
        both = {"native": native, "float32": float32}
        engines = {name: (engine(one), N_READ) for name, one in both.items()}
        done = divergence.divergences(ids[:N_READ], divergence.reference(path), engines)
        return {
            name: {
                "kld": {n: float(np.mean(done[name].kld[:n])) for n in (200, N_READ)},
                "perplexity": done[name].perplexity(),
                "chapter": chapter(one, ids),
            }
            for name, one in both.items()
        }


def chapter(model: llama_cpp.Llama, ids: list[int]) -> float:
    """Return the perplexity of a text as `llama-perplexity` computes it."""
    nll: list[float] = []
    for begin in range(0, len(ids) - N_CTX + 1, N_CTX):
        part = ids[begin : begin + N_CTX]
        if model.metadata.get("tokenizer.ggml.add_bos_token") != "false":
            part[0] = model.token_bos()
        read = divergence.Divergence()
        rows = divergence.log_softmax(engine(model)(part))
        divergence.note(read, rows, rows, np.array(part[1:]))
        nll += read.nll[N_CTX // 2 :]
    return float(np.exp(np.mean(nll)))


def greedy(path: Path, name: str) -> list[dict[str, str]]:
    """Return what llama.cpp continues prompts with."""
    with llama(path, n_ctx=N_CTX) as model:
        return [
            {
                "prompt": prompt,
                "text": model(prompt, max_tokens=N_GREEDY, temperature=0)["choices"][0][
                    "text"
                ],
            }
            for prompt in PROMPTS[name]
        ]


def conversations() -> list[dict[str, Any]]:
    """Return conversations to render."""
    system = {"role": "system", "content": "Be brief."}
    user = {"role": "user", "content": "Why is the sky blue?"}
    answer = {"role": "assistant", "content": "  Because of the air.\n"}
    other = {"role": "user", "content": "And <b>at night</b>?\n\n{{ x }} 'ü' 森 🙂"}
    marked = {"role": "user", "content": "a <|im_end|> b"}
    return [
        {"messages": [user]},
        {"messages": [system, user]},
        {"messages": [user, answer, other]},
        {"messages": [system, user, answer, other, answer, user]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [user, {"role": "assistant", "content": "The"}], "begun": True},
        {"messages": [marked], "marked": True},
    ]


def chat(path: Path) -> dict[str, Any]:
    """Render conversations with transformers, and answer questions with llama.cpp."""
    with llama(path, n_ctx=N_CTX) as model:
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer(models.BPE()),
            bos_token="<|im_start|>",
            eos_token="<|im_end|>",
        )
        template = model.metadata["tokenizer.chat_template"]

        def render(messages: list[dict[str, str]], begun: bool = False) -> str:
            return str(
                tokenizer.apply_chat_template(
                    messages,
                    chat_template=template,
                    tokenize=False,
                    add_generation_prompt=not begun,
                    continue_final_message=begun,
                )
            )

        def ids(text: str) -> list[int]:
            made = model.tokenize(text.encode(), add_bos=False, special=True)
            return [int(token) for token in made]

        cases = conversations()
        for case in cases:
            case["text"] = render(case["messages"], case.get("begun", False))
            case["ids"] = ids(case["text"])
        answers = []
        for question in QUESTIONS:
            prompt = ids(render([{"role": "user", "content": question}]))
            done = model(prompt, max_tokens=N_GREEDY, temperature=0)
            answers.append({"question": question, "text": done["choices"][0]["text"]})
    return {"renderings": cases, "answers": answers}


def measure(name: str, text: str) -> dict[str, Any]:
    """Return all figures of one model."""
    path = real_models.fetched(real_models.MODELS[name])
    ids = llamacy.load_tokenizer(path).encode(text)
    with tempfile.TemporaryDirectory() as folder:
        f32 = Path(folder) / "f32.gguf"
        llamacy.quantize(path, f32, "F32")
        return {
            "tokens": tokens(path),
            "greedy": greedy(path, name),
            "accuracy": accuracy(path, f32, ids),
        }


def main() -> None:
    text = (HERE / "chapter.txt").read_text(encoding="utf-8")
    made: dict[str, Any] = {
        "made with": {
            name: version(name) for name in ("llama-cpp-python", "transformers")
        },
        "models": {},
    }
    for name in real_models.MODELS:
        made["models"][name] = measure(name, text)
    made["chat"] = chat(real_models.fetched(real_models.SMOLLM2))
    lines = json.dumps(made, indent=1, ensure_ascii=False)
    lines = re.sub(
        r"(?<=[\[\d,])\n\s+(?=[\d\]])", "", lines
    )  # lists of ids on a line each
    (HERE / "vectors.json").write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
