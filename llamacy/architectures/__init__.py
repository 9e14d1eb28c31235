"""Model families: one short file each, named as the formats name the family.

A family is three functions: `layers(config)`, what it adds to the layers that a file
describes; `tensors(config, layer)`, the names and shapes that a layer is made of; and
`forward(model)`, the parts of a model put together in the vocabulary of
`llamacy.ops.vocabulary`. Adding a family is a file and a row in the table.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from llamacy.architectures import (
    apertus,
    arcee,
    bailingmoe2,
    bailingmoe3,
    bert,
    cohere2,
    cohere2moe,
    command_r,
    deepseek2,
    dots1,
    ernie4_5,
    ernie4_5_moe,
    eurobert,
    exaone4,
    falcon,
    falcon_h1,
    gemma,
    gemma2,
    gemma3,
    gemma4,
    gemma_embedding,
    glm4,
    glm4moe,
    gpt2,
    gpt_oss,
    gptneox,
    granite,
    granite_swa,
    granitehybrid,
    granitemoe,
    hunyuan_dense,
    hunyuan_moe,
    internlm2,
    jamba,
    jina_bert_v2,
    jina_bert_v3,
    kimi_linear,
    laguna,
    lfm2,
    lfm2moe,
    lfm3,
    llama,
    llama_embed,
    mamba,
    mamba2,
    mellum,
    minicpm,
    mistral3,
    mistral4,
    modern_bert,
    nemotron_h,
    nemotron_h_moe,
    nomic_bert,
    nomic_bert_moe,
    olmo2,
    olmoe,
    phi2,
    phi3,
    phimoe,
    qwen2,
    qwen2moe,
    qwen2vl,
    qwen3,
    qwen3moe,
    qwen3next,
    qwen3vl,
    qwen3vlmoe,
    qwen35,
    qwen35moe,
    seed_oss,
    smollm3,
    stablelm,
    starcoder2,
)
from llamacy.architectures.architecture import Architecture
from llamacy.errors import UnsupportedError
from llamacy.printable import shown

ARCHITECTURES = {
    "apertus": Architecture(apertus),
    "arcee": Architecture(arcee),
    "bailingmoe2": Architecture(bailingmoe2, is_mixture=True),
    "bailingmoe3": Architecture(bailingmoe3, is_mixture=True),
    "bert": Architecture(bert),
    "cohere2": Architecture(cohere2),
    "cohere2moe": Architecture(cohere2moe, is_mixture=True),
    "command-r": Architecture(command_r),
    "deepseek2": Architecture(deepseek2),
    "dots1": Architecture(dots1, is_mixture=True),
    "ernie4_5": Architecture(ernie4_5),
    "ernie4_5-moe": Architecture(ernie4_5_moe, is_mixture=True),
    "eurobert": Architecture(eurobert),
    "exaone4": Architecture(exaone4),
    "falcon": Architecture(falcon),
    "falcon-h1": Architecture(falcon_h1),
    "gemma": Architecture(gemma),
    "gemma2": Architecture(gemma2),
    "gemma-embedding": Architecture(gemma_embedding),
    "gemma3": Architecture(gemma3),
    "gemma4": Architecture(gemma4),
    "glm4": Architecture(glm4),
    "glm4moe": Architecture(glm4moe, is_mixture=True),
    "gpt-oss": Architecture(gpt_oss, is_mixture=True),
    "gpt2": Architecture(gpt2),
    "gptneox": Architecture(gptneox),
    "granite": Architecture(granite),
    "granite_swa": Architecture(granite_swa),
    "granitehybrid": Architecture(granitehybrid),
    "granitemoe": Architecture(granitemoe),
    "hunyuan-dense": Architecture(hunyuan_dense),
    "hunyuan-moe": Architecture(hunyuan_moe, is_mixture=True),
    "internlm2": Architecture(internlm2),
    "jamba": Architecture(jamba),
    "jina-bert-v2": Architecture(jina_bert_v2),
    "jina-bert-v3": Architecture(jina_bert_v3),
    "kimi-linear": Architecture(kimi_linear, is_mixture=True),
    "laguna": Architecture(laguna, is_mixture=True),
    "lfm2": Architecture(lfm2),
    "lfm2moe": Architecture(lfm2moe, is_mixture=True),
    "lfm3": Architecture(lfm3),
    "llama": Architecture(llama),
    "llama-embed": Architecture(llama_embed),
    "mamba": Architecture(mamba),
    "mamba2": Architecture(mamba2),
    "mellum": Architecture(mellum, is_mixture=True),
    "minicpm": Architecture(minicpm),
    "mistral3": Architecture(mistral3),
    "mistral4": Architecture(mistral4, is_mixture=True),
    "modern-bert": Architecture(modern_bert),
    "nemotron_h": Architecture(nemotron_h),
    "nemotron_h_moe": Architecture(nemotron_h_moe, is_mixture=True),
    "nomic-bert": Architecture(nomic_bert),
    "nomic-bert-moe": Architecture(nomic_bert_moe, is_mixture=True),
    "olmo2": Architecture(olmo2),
    "olmoe": Architecture(olmoe, is_mixture=True),
    "phi2": Architecture(phi2),
    "phi3": Architecture(phi3),
    "phimoe": Architecture(phimoe, is_mixture=True),
    "qwen2": Architecture(qwen2),
    "qwen2moe": Architecture(qwen2moe, is_mixture=True),
    "qwen2vl": Architecture(qwen2vl),
    "qwen3": Architecture(qwen3),
    "qwen3moe": Architecture(qwen3moe, is_mixture=True),
    "qwen3vl": Architecture(qwen3vl),
    "qwen35": Architecture(qwen35),
    "qwen35moe": Architecture(qwen35moe, is_mixture=True),
    "qwen3next": Architecture(qwen3next, is_mixture=True),
    "qwen3vlmoe": Architecture(qwen3vlmoe, is_mixture=True),
    "seed_oss": Architecture(seed_oss),
    "smollm3": Architecture(smollm3),
    "stablelm": Architecture(stablelm),
    "starcoder2": Architecture(starcoder2),
}

ENCODERS: Final = frozenset("neo-bert t5encoder".split())
"""Families that embed texts, and that are not among these."""

ENCODER_NOTE: Final = ", an encoder, of which only the tokenizer can be used"


_MOST_LETTERS: Final = 64  # of a name that is compared with others
_LIKENESS: Final = 0.7


def find_architecture(name: str, path: str) -> Architecture:
    """Find the family called `name`.

    Raises
    ------
    UnsupportedError
        There is no such family; the error names those with a similar name.
    """
    if name not in ARCHITECTURES:
        short = name[:_MOST_LETTERS]
        near = get_close_matches(short, ARCHITECTURES, cutoff=_LIKENESS)
        examples = f"near it {', '.join(near)}" if near else "such as llama"
        wanted = f'one that the guide "Supported models and files" lists, {examples}'
        found = f"{name}{ENCODER_NOTE}" if name in ENCODERS else shown(name)
        raise UnsupportedError(path, "general.architecture", wanted, found)
    return ARCHITECTURES[name]
