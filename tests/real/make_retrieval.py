"""Remakes retrieval.json: the order in which sentence-transformers finds passages.

    PYTHONPATH=. ../oracle/bin/python tests/real/make_retrieval.py

The environment needs sentence-transformers 6. retrieval.txt, which was written for this
test, has questions, each with ten passages after it, of which the first answers it.
"""

from __future__ import annotations

import base64
import json
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from tests.support import real_models

HERE = Path(__file__).parent


def main() -> None:
    """Write the order of all passages for each question."""
    lines = (HERE / "retrieval.txt").read_text(encoding="utf-8").splitlines()
    questions = [line[2:] for line in lines if line.startswith("? ")]
    passages = [line for line in lines if not line.startswith("? ")]
    folder = real_models.fetched_folder(real_models.MINILM)
    model = SentenceTransformer(str(folder), device="cpu")
    scores = model.encode(questions) @ model.encode(passages).T
    order = np.argsort(-scores, axis=1, kind="stable").astype("<u2")
    packed = base64.b64encode(zlib.compress(order.tobytes(), 9)).decode()
    names = ("sentence-transformers", "transformers", "torch")
    made_with = {name: version(name) for name in names}
    text = json.dumps({"made with": made_with, "order": packed}, indent=1)
    (HERE / "retrieval.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
