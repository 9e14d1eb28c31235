# Which rows go to which experts: the arrays of experts.h, and who owns them.

cdef extern from "experts.h" nogil:
    enum:
        GROUP_ROWS

    ctypedef struct expert_group:
        pass

    ctypedef struct routing:
        int n_expert
        int n_used
        bint is_normalized
        int32_t* expert
        float* weight
        int32_t* slot
        int32_t* row
        int32_t* group
        int32_t* count
        expert_group* groups

    void route_row(const routing* r, const float* scores, int row)
    void group_rows(routing* r, int n_rows)
    int most_groups(const routing* r, int n_rows)
    void gather_slots(
        const kernel_table* kernels, const routing* r, const float* x, size_t ldx,
        bint is_by_row, int k, float* y, size_t ldy, void* prepared, int begin, int end)
    void multiply_experts(
        const kernel_table* kernels, const routing* r, const linear_args* a,
        size_t stride, size_t stride2, int begin, int end, void* scratch)


cdef class Routing:
    """Room for the experts of up to n_batch rows; steps of a program fill and read it.

    Parameters
    ----------
    n_batch : most rows.
    n_expert, n_used : experts, and how many of them each row goes through.
    is_normalized : whether the weights of those have the sum 1.
    """

    cdef routing routes
    cdef list _arrays
    cdef int n_batch

    def __cinit__(self, int n_batch, int n_expert, int n_used, is_normalized):
        if not 1 <= n_used <= n_expert:
            raise ValueError(f"n_used: wanted 1 to {n_expert}, found {n_used}")
        self.n_batch = n_batch
        self.routes.n_expert = n_expert
        self.routes.n_used = n_used
        self.routes.is_normalized = is_normalized
        self._arrays = []
        cdef int n = n_batch * n_used
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

    @property
    def n_slots(self):
        """Slots of n_batch rows: one for each row and each of its experts."""
        return self.n_batch * self.routes.n_used

    @property
    def n_prepared(self):
        """Rows that prepared forms of all slots take at most, group by group."""
        return self.n_slots + most_groups(&self.routes, self.n_batch) * (GROUP_ROWS - 1)
