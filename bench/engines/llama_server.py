"""llama-server (of xllamacpp) on a free port: says where, and ends with its input.

    python llama_server.py MODEL THREADS SLOTS CONTEXT

SLOTS texts are generated at once, each with CONTEXT tokens at the most.
"""

from __future__ import annotations

import os
import sys

import xllamacpp


def main() -> None:
    """Serve until standard input ends."""
    path, (n_threads, n_slots, n_ctx) = sys.argv[1], map(int, sys.argv[2:])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of the library must not be taken for an answer
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel = n_ctx * n_slots, n_slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = n_threads
    params.cache_ram_mib = 0  # no prompt comes twice: keeping them would only cost time
    server = xllamacpp.Server(params)
    print(server.listening_address, file=answers, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
