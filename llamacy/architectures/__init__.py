"""Model families: one short file each, named as the formats name the family.

A family is three functions: `layers(config)`, what it adds to the layers that a file
describes; `tensors(config, layer)`, the names and shapes that a layer is made of; and
`forward(model)`, the parts of a model put together in the vocabulary of
`llamacy.ops.vocabulary`. Adding a family is a file and a row in the table.
"""

from __future__ import annotations

from llamacy.architectures import (
    apertus,
    arcee,
    bailingmoe2,
    cohere2,
    cohere2moe,
    command_r,
    dots1,
    ernie4_5_moe,
    falcon,
    gemma,
    gemma2,
    gemma3,
    gemma4,
    glm4moe,
    gpt2,
    gpt_oss,
    gptneox,
    granite,
    hunyuan_moe,
    llama,
    olmo2,
    phi2,
    phi3,
    qwen2,
    qwen2moe,
    qwen3,
    qwen3moe,
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
    "cohere2": Architecture(cohere2),
    "cohere2moe": Architecture(cohere2moe, is_mixture=True),
    "command-r": Architecture(command_r),
    "dots1": Architecture(dots1, is_mixture=True),
    "ernie4_5-moe": Architecture(ernie4_5_moe, is_mixture=True),
    "falcon": Architecture(falcon),
    "gemma": Architecture(gemma),
    "gemma2": Architecture(gemma2),
    "gemma3": Architecture(gemma3),
    "gemma4": Architecture(gemma4),
    "glm4moe": Architecture(glm4moe, is_mixture=True),
    "gpt-oss": Architecture(gpt_oss, is_mixture=True),
    "gpt2": Architecture(gpt2),
    "gptneox": Architecture(gptneox),
    "granite": Architecture(granite),
    "hunyuan-moe": Architecture(hunyuan_moe, is_mixture=True),
    "llama": Architecture(llama),
    "olmo2": Architecture(olmo2),
    "phi2": Architecture(phi2),
    "phi3": Architecture(phi3),
    "qwen2": Architecture(qwen2),
    "qwen2moe": Architecture(qwen2moe, is_mixture=True),
    "qwen3": Architecture(qwen3),
    "qwen3moe": Architecture(qwen3moe, is_mixture=True),
    "smollm3": Architecture(smollm3),
    "stablelm": Architecture(stablelm),
    "starcoder2": Architecture(starcoder2),
}


def find_architecture(name: str, path: str) -> Architecture:
    """Find the family called `name`.

    Raises
    ------
    UnsupportedError
        There is no such family; the error names those that there are.
    """
    if name not in ARCHITECTURES:
        known = f"one of {', '.join(ARCHITECTURES)}"
        raise UnsupportedError(path, "general.architecture", known, shown(name))
    return ARCHITECTURES[name]
