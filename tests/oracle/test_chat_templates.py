"""The recorded renderings of chat templates are those of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.oracle

VECTORS = json.loads(
    (Path(__file__).parents[1] / "chat/vectors.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", VECTORS["families"])
def test_the_recorded_renderings_are_those_of_transformers(name: str) -> None:
    transformers: Any = pytest.importorskip("transformers")
    tokenizers: Any = pytest.importorskip("tokenizers")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()),
        bos_token=VECTORS["bos_token"],
        eos_token=VECTORS["eos_token"],
    )
    family = VECTORS["families"][name]
    for case in family["cases"]:
        options = {
            "chat_template": family["template"],
            "tokenize": False,
            **case["options"],
        }
        if "error" in case:
            with pytest.raises(Exception, match=case["error"]):
                tokenizer.apply_chat_template(case["messages"], **options)
        else:
            text = tokenizer.apply_chat_template(case["messages"], **options)
            assert text == case["text"]
