"""The tokens from which on an activated adapter acts (aLoRA).

Greenewald et al. 2025, arXiv:2504.12397: an adapter that was trained to act on the rows
from its last invocation on needs no keys and values of its own for the text before.
"""

from __future__ import annotations

import os
from typing import Any, Final

from llamacy.errors import FormatError
from llamacy.printable import shown

GGUF_KEY: Final = "adapter.alora.invocation_tokens"
PEFT_KEY: Final = "alora_invocation_tokens"
_MAX_TOKENS: Final = 4096
_MAX_ID: Final = 2**31 - 1


def checked_invocation(
    path: str | os.PathLike[str], key: str, found: object
) -> tuple[int, ...]:
    """Return an adapter's invocation tokens; empty if its file has none.

    Raises
    ------
    FormatError
        They are not token ids.
    """
    ids: Any = found.tolist() if hasattr(found, "tolist") else found
    if ids is None or ids == []:
        return ()
    is_list = isinstance(ids, list | tuple) and 0 < len(ids) <= _MAX_TOKENS
    if not is_list or not all(_is_id(each) for each in ids):
        wanted = f"1 to {_MAX_TOKENS} token ids"
        raise FormatError(path, key, wanted, shown(found))
    return tuple(ids)


def _is_id(value: object) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return 0 <= value <= _MAX_ID
