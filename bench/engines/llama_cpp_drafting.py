"""llama-cpp-python with its prompt lookup: reads tasks, and writes how long each took.

A line of standard input is a prompt and the answer that is forced, as lists of token
ids; a line of standard output is the seconds after the prompt was read, CPU seconds,
and the numbers of drafted and of accepted tokens, which it does not tell.
"""

from __future__ import annotations

import json
import sys
import time

import llama_cpp
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding


def run(model: llama_cpp.Llama, prompt: list[int], answer: list[int]) -> list[float]:
    """Generate the answer, and return its figures."""

    def force(ids, logits):
        logits[answer[len(ids) - len(prompt)]] = 1e9
        return logits

    model.reset()
    processors = llama_cpp.LogitsProcessorList([force])
    cpu, first, tokens = time.process_time(), 0.0, []
    for token in model.generate(prompt, temp=0.0, logits_processor=processors):
        first = first or time.perf_counter()
        tokens.append(token)
        if len(tokens) == len(answer):
            break
    seconds = time.perf_counter() - first
    if tokens != answer:
        raise SystemExit("another text was generated")
    return [seconds, time.process_time() - cpu, 0, 0]


def main() -> None:
    """Run tasks until there are no more."""
    path, n_threads = sys.argv[1], int(sys.argv[2])
    model = llama_cpp.Llama(
        path, n_ctx=4096, n_threads=n_threads, n_threads_batch=n_threads,
        draft_model=LlamaPromptLookupDecoding(), logits_all=True, verbose=False,
    )  # fmt: skip
    for line in sys.stdin:
        print(json.dumps(run(model, *json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
