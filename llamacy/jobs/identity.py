"""A model's identity, as far as texts depend on it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from llamacy.jobs.tasks import file_name
from llamacy.model.model import Model
from llamacy.system.whole_files import file_errors


def identity_of_model(model: Model) -> dict[str, Any]:
    """Return the digest of a model's weights, and the options that change its texts."""
    recipe = model.recipe
    options = {} if recipe is None else dict(recipe.options)
    return {
        "name": file_name(model),
        "weights": "" if recipe is None else recipe.fingerprint,
        "n_ctx": model.n_ctx,
        "kv_type": options.get("kv_type"),
        "quantize": options.get("quantize"),
        "adapters": [[_digest(path), scale] for path, scale in model.adapters],
    }


def _digest(path: str) -> str:
    """Return the digest of a file, or of a folder's files."""
    digest = hashlib.blake2b(digest_size=16)
    with file_errors(path):
        found = Path(path)
        files = sorted(found.iterdir()) if found.is_dir() else [found]
        for file in files:
            if file.is_file():
                with open(file, "rb") as data:
                    digest.update(hashlib.file_digest(data, "blake2b").digest())
    return digest.hexdigest()
