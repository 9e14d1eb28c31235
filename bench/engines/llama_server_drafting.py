"""llama-server (of xllamacpp) with its n-gram drafts: reads tasks, writes their times.

A line of standard input is a prompt, as token ids, and the number of tokens to generate
greedily; a line of standard output is the seconds that these took.
"""

from __future__ import annotations

import json
import sys

import xllamacpp

KIND = xllamacpp.common_speculative_type


def main() -> None:
    """Run tasks until there are no more."""
    path, n_threads, drafts = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel = 4096, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = n_threads
    params.speculative.types = [getattr(KIND, f"COMMON_SPECULATIVE_TYPE_{drafts}")]
    server = xllamacpp.Server(params)
    for line in sys.stdin:
        prompt, n_tokens = json.loads(line)
        options = {"n_predict": n_tokens, "temperature": 0, "ignore_eos": True}
        done = server.handle_completions({"prompt": prompt, **options})
        if done["usage"]["completion_tokens"] != n_tokens:
            raise SystemExit(f"wanted {n_tokens} tokens, found {done}")
        print(json.dumps(done["timings"]["predicted_ms"] / 1000), flush=True)


if __name__ == "__main__":
    main()
