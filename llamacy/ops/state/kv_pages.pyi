from typing import Final

PAGE: Final[int]
KV_TYPES: Final[dict[str, int]]
PAGE_TYPES: Final[dict[str, int]]

def layer_bytes(
    type_name: str,
    n_head_kv: int,
    head_dim: int,
    value_dim: int,
    is_latent: bool = False,
) -> int: ...
