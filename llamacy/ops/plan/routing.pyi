from typing import Self

class Routing:
    def __new__(
        cls,
        n_batch: int,
        n_expert: int,
        n_used: int,
        is_normalized: bool,
        gating: str = "softmax",
        scale: float = 1,
        n_group: int = 1,
        n_group_used: int = 1,
        is_chosen_by_gates: bool = False,
        jitter: float = 0,
        n_best: int = 2,
    ) -> Self: ...
    @property
    def n_used(self) -> int: ...
    @property
    def n_slots(self) -> int: ...
    @property
    def n_prepared(self) -> int: ...
