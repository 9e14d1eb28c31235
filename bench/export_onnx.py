"""Write a sentence-transformers folder's encoder as ONNX, for `embeddings.py`.

    python bench/export_onnx.py FOLDER FILE

Needs torch, transformers, onnx and onnxscript. Inputs are those that fastembed's models
have; the output is the hidden state of every token.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from transformers import AutoModel


class Encoder(torch.nn.Module):
    """The model with a mask of (texts, 1, tokens, tokens), which ONNX can follow."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Any, mask: Any, types: Any) -> Any:
        hidden = ((1.0 - mask.float()) * -1e9)[:, None, None, :]
        hidden = hidden.expand(-1, 1, ids.shape[1], -1)
        found = self.model(input_ids=ids, attention_mask=hidden, token_type_ids=types)
        return found.last_hidden_state


def main() -> None:
    """Run as a command."""
    folder, path = sys.argv[1:]
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.zeros(2, 9, dtype=torch.long)
    most = model.config.max_position_embeddings
    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=most)}
    torch.onnx.export(
        Encoder(model),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        path,
        input_names=["input_ids", "attention_mask", "token_type_ids"],
        output_names=["last_hidden_state"],
        dynamic_shapes=[sizes] * 3,
        external_data=False,
        dynamo=True,
    )


if __name__ == "__main__":
    main()
