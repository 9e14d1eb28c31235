"""llama-cpp-python with its grammars: reads tasks, writes their times.

A line of standard input is a prompt, a JSON schema or null, and the number of tokens of
free text; a line of standard output is the number of tokens after the first, the
seconds that these took, and the text, all greedy.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import Any

import llama_cpp


def main() -> None:
    """Run tasks until there are no more."""
    path, n_threads = sys.argv[1], int(sys.argv[2])
    model = llama_cpp.Llama(
        path, n_ctx=4096, n_threads=n_threads, n_threads_batch=n_threads, verbose=False
    )
    for line in sys.stdin:
        print(json.dumps(run(model, *json.loads(line))), flush=True)


def run(model: Any, prompt: str, schema: Any, n_free: int) -> tuple[int, float, str]:
    """Generate one text, which ends where the model ends it if there is a schema."""
    grammar = None
    if schema is not None:
        grammar = llama_cpp.LlamaGrammar.from_json_schema(
            json.dumps(schema), verbose=False
        )
    tokens: list[int] = []
    started = ended = 0.0
    model.reset()
    prompt_tokens = model.tokenize(prompt.encode())
    for token in model.generate(prompt_tokens, temp=0.0, grammar=grammar):
        ended = perf_counter()
        started = started or ended
        if schema is not None and token == model.token_eos():
            break
        tokens.append(token)
        if schema is None and len(tokens) == n_free:
            break
    return len(tokens) - 1, ended - started, model.detokenize(tokens).decode()


if __name__ == "__main__":
    main()
