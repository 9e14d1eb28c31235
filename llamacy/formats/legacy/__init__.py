"""The formats before GGUF, in which LLaMA and Alpaca were distributed in 2023.

==========  =========  ============================================================
format      since      changes
==========  =========  ============================================================
ggml        10 March   no version; tokens without scores; models in several files
ggmf v1     22 March   a version; scores
ggjt v1     30 March   tensors begin at multiples of 32 bytes; one file
ggjt v2     11 May     another order of the weights in blocks of 32
ggjt v3     19 May     scales of Q4_0, Q4_1 and Q8_0 as float16; later the K types
==========  =========  ============================================================

GGUF followed on 21 August. `version` lists the formats, `part` reads one file, `file`
joins the files of a model, `layouts` and `tensor` rewrite blocks, `vocabulary` and
`metadata` translate to GGUF's keys, and `model` presents the result as a GGUF file.
Source: llama.cpp and ggml of that year.
"""
