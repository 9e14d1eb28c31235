"""The files LLaMA and Alpaca first came in, in 2023, before there was GGUF.

=========  ==========  ============================================================
magic      since       what it changed
=========  ==========  ============================================================
``ggml``   10 March    no version; tokens without scores; models in several files
``ggmf`` 1 22 March    a version; scores
``ggjt`` 1 30 March    tensors begin at multiples of 32 bytes; one file
``ggjt`` 2 11 May      another order of the weights in blocks of 32
``ggjt`` 3 19 May      scales of Q4_0, Q4_1 and Q8_0 as float16; later the K types
=========  ==========  ============================================================

GGUF came on 21 August. `version` says what follows from magic and version, `part`
reads one file, `file` joins the files of a model, `layouts` rewrites blocks,
`vocabulary` and `metadata` say in GGUF's words what a file says in its own, and
`conversion` writes it all. Source: llama.cpp and ggml of that year.
"""
