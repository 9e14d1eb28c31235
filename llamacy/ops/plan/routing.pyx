"""Which rows go to which experts, in one forward pass; experts.h explains it."""

import numpy as np

from libc.stdint cimport int32_t

GATINGS = {
    "softmax": GATING_SOFTMAX,
    "sigmoid": GATING_SIGMOID,
    "softmax_of_chosen": GATING_CHOSEN,
    "sparse_mixer": GATING_SPARSE,
}


cdef class Routing:
    """Room for the experts of up to n_batch rows; steps of a program fill and read it.

    Parameters
    ----------
    n_batch : int
        Most rows of a pass.
    n_expert, n_used : int
        Experts, and how many of them each row goes through.
    is_normalized : bool
        Whether the weights of a row's experts have the sum 1.
    gating : str, optional
        Makes gates of a row's scores.
    scale : float, optional
        Multiplies the weights.
    n_group, n_group_used : int, optional
        Groups of as many experts each, and how many of them a row may choose from.
    is_chosen_by_gates : bool, optional
        Whether rows choose by gates, and not by scores.
    jitter : float, optional
        Of a sparse mixer, which scores are close to the best.
    n_best : int, optional
        Best gates of a group, which are summed: 1 or 2.

    Raises
    ------
    ValueError
        `n_used` is not within 1 and `n_expert`, or the groups do not go with both.
    """

    def __cinit__(
        self, int n_batch, int n_expert, int n_used, is_normalized, gating="softmax",
        float scale=1, int n_group=1, int n_group_used=1, is_chosen_by_gates=False,
        double jitter=0, int n_best=2,
    ):
        if not 1 <= n_used <= n_expert:
            raise ValueError(f"n_used: wanted 1 to {n_expert}, found {n_used}")
        if n_group < 1 or n_expert % n_group:
            wanted = f"a divisor of {n_expert}"
            raise ValueError(f"n_group: wanted {wanted}, found {n_group}")
        least = -(-n_used // (n_expert // n_group))
        if not least <= n_group_used <= n_group:
            wanted = f"{least} to {n_group}"
            raise ValueError(f"n_group_used: wanted {wanted}, found {n_group_used}")
        self._n_batch = n_batch
        self.routes.gating = GATINGS[gating]
        self.routes.scale = scale
        self.routes.most_far = 2 * jitter
        self.routes.n_parts = n_group
        self.routes.n_parts_used = n_group_used
        self.routes.n_best = n_best
        self.routes.n_expert = n_expert
        self.routes.n_used = n_used
        self.routes.is_normalized = is_normalized
        self._arrays = []
        cdef int n = n_batch * n_used
        self.routes.keys = NULL
        if is_chosen_by_gates:
            self.routes.keys = <float*>self.integers(n_batch * (n_expert + n_group))
        self.routes.expert = self.integers(n)
        self.routes.weight = <float*>self.integers(n)
        self.routes.slot = self.integers(n)
        self.routes.row = self.integers(n)
        self.routes.group = self.integers(n)
        self.routes.count = self.integers(n_expert)
        self.routes.groups = <expert_group*>self.integers(
            n_expert * sizeof(expert_group) // sizeof(int32_t))

    cdef int32_t* integers(self, int n) except NULL:
        cdef int32_t[::1] array = np.full(n, 0, np.int32)
        self._arrays.append(array)
        return &array[0]

    def __str__(self):
        return f"routes{self.routes.n_used}of{self.routes.n_expert}"

    @property
    def n_used(self):
        """Experts that each row goes through."""
        return self.routes.n_used

    @property
    def n_slots(self):
        """Slots of n_batch rows: one for each row and each of its experts."""
        return self._n_batch * self.routes.n_used

    @property
    def n_prepared(self):
        """Rows that prepared forms of all slots take at most, group by group."""
        cdef int n_groups = most_groups(&self.routes, self._n_batch)
        return self.n_slots + n_groups * (GROUP_ROWS - 1)
