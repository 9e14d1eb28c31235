from typing import Self

class Routing:
    def __new__(
        cls, n_batch: int, n_expert: int, n_used: int, is_normalized: bool
    ) -> Self: ...
    @property
    def n_slots(self) -> int: ...
    @property
    def n_prepared(self) -> int: ...
