"""llama-cpp-python's caches of prompts: `llama_cpp.llama_cache`.

llamacy finds the beginnings of all prompts in its KV cache, so that these objects are
accepted wherever llama-cpp-python takes them, and stay empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn


class BaseLlamaCache:
    """A cache that nothing is written to.

    Parameters
    ----------
    capacity_bytes : int
        Makes no difference: `llamacy.load` has `prompt_cache`.
    """

    def __init__(self, capacity_bytes: int = 2 << 30) -> None:
        self.capacity_bytes = capacity_bytes

    @property
    def cache_size(self) -> int:
        """Bytes in the cache: 0."""
        return 0

    def __contains__(self, key: Sequence[int]) -> bool:
        return False

    def __getitem__(self, key: Sequence[int]) -> NoReturn:
        raise KeyError("Key not found")

    def __setitem__(self, key: Sequence[int], value: object) -> None:
        pass


class LlamaRAMCache(BaseLlamaCache):
    """Accepted and not used."""


class LlamaDiskCache(BaseLlamaCache):
    """Accepted and not used; no folder is made.

    Parameters
    ----------
    cache_dir : str
        Makes no difference.
    capacity_bytes : int
        Makes no difference.
    """

    def __init__(
        self, cache_dir: str = ".cache/llama_cache", capacity_bytes: int = 2 << 30
    ) -> None:
        super().__init__(capacity_bytes)
        self.cache_dir = cache_dir


LlamaCache = LlamaRAMCache
